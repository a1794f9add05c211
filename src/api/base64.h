// Base64 that clients send: pictures (base/base64.h writes it). Pure; slow enough with pictures to
// belong on a lane.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::api {

// White space is passed over, padding may lack, and what stands before "base64," (a data URL) is
// left out. Errors: malformed.
base::Result<std::string> decode_base64(std::string_view text);

}  // namespace ingle::api
