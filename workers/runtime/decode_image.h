// Pictures that clients sent, decoded inside the worker's box, where a broken decoder can do the
// least harm. Pure; any thread; blocks for as long as decoding takes.
#pragma once

#include <string_view>

#include "base/error.h"
#include "diffusion/picture.h"

namespace ingle::runtime {

enum class Colours {
  rgb,
  grey,  // for masks: where a PNG is transparent it is 255, if it is so anywhere
};

// PNG, JPEG or WebP by its first bytes; transparency is laid on black. Sizes are looked at before
// anything is allocated. Errors: unsupported (another format), malformed, limit_exceeded (a side
// over diffusion::kSideMax).
base::Result<diffusion::Picture> decode_image(std::string_view bytes, Colours colours);

}  // namespace ingle::runtime
