// Pixels into picture files. Pure; any thread; blocks for tens of milliseconds, with WebP for up to
// a second or two: for lanes.
#pragma once

#include <string>

#include "base/error.h"
#include "pixels/format.h"
#include "pixels/pixels.h"
#include "pixels/texts.h"

namespace ingle::pixels {

inline constexpr int kQualityMax = 100;

// `quality`, 1 to 100, is of JPEG and WebP; WebP of 100 is exact. The texts stand in the file as
// texts.h says; what a JPEG has no room for is left out. CHECKed: the quality is in its range.
// Errors: out_of_memory, internal (the library refused).
base::Result<std::string> encode(Format format, const Pixels& pixels, int quality,
                                 const Texts& texts = {});

}  // namespace ingle::pixels
