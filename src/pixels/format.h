// The kinds of picture files that are read and written. Pure.
#pragma once

#include <string_view>

#include "base/error.h"

namespace ingle::pixels {

enum class Format { png, jpeg, webp };

// By the file's first bytes. Errors: unsupported (another format).
inline base::Result<Format> format_of(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return Format::png;
  if (bytes.starts_with("\xff\xd8\xff")) return Format::jpeg;
  if (bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP")
    return Format::webp;
  return base::fail(
      base::ErrorCode::unsupported,
      "the given picture is neither PNG nor JPEG nor WebP: convert it to one of them");
}

}  // namespace ingle::pixels
