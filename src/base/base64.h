// Base64 (RFC 4648, padded). Pure; slow enough with pictures to belong on a lane.
#pragma once

#include <string>
#include <string_view>

namespace ingle::base {

inline constexpr std::string_view kBase64Letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string encode_base64(std::string_view bytes);

}  // namespace ingle::base
