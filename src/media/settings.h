// The settings that stand in a picture's file, as a request that draws it again. For files from
// anybody: ingle's own, or those of programs that write A1111's form. Pure; any thread; blocks for
// milliseconds.
#pragma once

#include <string_view>

#include "base/error.h"
#include "protocol/images.h"

namespace ingle::media {

// ingle's JSON where there is one, else A1111's text. The request is one that a client could have
// sent: it is checked like any other before anything is drawn. Errors: not_found (no settings in
// it), malformed, and those of pixels::read_texts() and read_a1111().
base::Result<protocol::FoundSettings> find_settings(std::string_view file);

}  // namespace ingle::media
