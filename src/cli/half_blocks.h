// Pictures as letters, for any terminal with colours: each letter is an upper half block whose
// foreground is one pixel and whose background the one below it. Pure.
#pragma once

#include <string>

#include "pixels/pixels.h"

namespace ingle::cli {

enum class ColourDepth { palette_256, true_colour };

// One line for two rows of pixels; colours are set back at the end of each.
std::string half_blocks(const pixels::Pixels& pixels, ColourDepth depth);

}  // namespace ingle::cli
