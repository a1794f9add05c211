// Base64 (RFC 4648, padded) of whole files. Pure; slow enough with pictures to belong on a lane.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::api {

std::string encode_base64(std::string_view bytes);
// White space is passed over, padding may lack, and what stands before "base64," (a data URL) is
// left out. Errors: malformed.
base::Result<std::string> decode_base64(std::string_view text);

}  // namespace ingle::api
