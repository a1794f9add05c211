#include "cli/half_blocks.h"

#include <array>
#include <cstdlib>
#include <format>

namespace ingle::cli {
namespace {

using Colour = std::array<int, 3>;

Colour colour_at(const pixels::Pixels& pixels, std::uint32_t x, std::uint32_t y) {
  Colour out{};
  for (std::size_t c = 0; c < 3; ++c)
    out[c] = static_cast<unsigned char>(pixels.data[(std::size_t{y} * pixels.width + x) * 3 + c]);
  return out;
}

int distance(const Colour& a, const Colour& b) {
  int out = 0;
  for (std::size_t c = 0; c < 3; ++c) out += (a[c] - b[c]) * (a[c] - b[c]);
  return out;
}

// The nearest of the 256 colours that terminals share: 16 to 231 are a cube of 6 by 6 by 6, 232 to
// 255 greys. The first sixteen are the person's own.
int nearest_of_256(const Colour& colour) {
  constexpr std::array kLevels{0, 95, 135, 175, 215, 255};
  int cube = 0;
  Colour of_cube{};
  for (std::size_t c = 0; c < 3; ++c) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < kLevels.size(); ++i)
      if (std::abs(kLevels[i] - colour[c]) < std::abs(kLevels[best] - colour[c])) best = i;
    of_cube[c] = kLevels[best];
    cube = cube * 6 + static_cast<int>(best);
  }
  const int mean = (colour[0] + colour[1] + colour[2]) / 3;
  const int grey = mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3) / 10;
  const int level = 8 + 10 * grey;
  const bool is_grey = distance(colour, {level, level, level}) < distance(colour, of_cube);
  return is_grey ? 232 + grey : 16 + cube;
}

// `layer`: 38 for the foreground, 48 for the background.
std::string set_colour(int layer, const Colour& colour, ColourDepth depth) {
  if (depth == ColourDepth::palette_256)
    return std::format("{};5;{}", layer, nearest_of_256(colour));
  return std::format("{};2;{};{};{}", layer, colour[0], colour[1], colour[2]);
}

}  // namespace

std::string half_blocks(const pixels::Pixels& pixels, ColourDepth depth) {
  pixels::check_length(pixels);
  std::string out;
  for (std::uint32_t y = 0; y < pixels.height; y += 2) {
    std::string before;
    for (std::uint32_t x = 0; x < pixels.width; ++x) {
      auto colours = set_colour(38, colour_at(pixels, x, y), depth);
      if (y + 1 < pixels.height)
        colours += ";" + set_colour(48, colour_at(pixels, x, y + 1), depth);
      if (colours != before) out += "\x1b[" + colours + "m";
      before = std::move(colours);
      out += "▀";
    }
    out += "\x1b[0m\n";
  }
  return out;
}

}  // namespace ingle::cli
