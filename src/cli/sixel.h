// Pictures as sixels: the form that DEC's terminals had and that xterm, foot, mlterm, Windows
// Terminal and others show. A fixed palette of 6 by 6 by 6 colours; what a pixel is off goes to its
// neighbours. Pure.
#pragma once

#include <string>

#include "pixels/pixels.h"

namespace ingle::cli {

// CHECKed: no side is 0.
std::string sixels(const pixels::Pixels& pixels);

}  // namespace ingle::cli
