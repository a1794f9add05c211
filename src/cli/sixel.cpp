#include "cli/sixel.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <format>
#include <utility>
#include <vector>

#include "base/check.h"

namespace ingle::cli {
namespace {

constexpr int kLevels = 6;  // of red, green and blue
constexpr int kColours = kLevels * kLevels * kLevels;
constexpr int kLevelStep = 255 / (kLevels - 1);
constexpr int kPercentStep = 100 / (kLevels - 1);
constexpr std::uint32_t kBandRows = 6;

// Errors of colours, in sixteenths, that the pixels of a row inherit.
using Errors = std::vector<std::array<int, 3>>;

// The palette's nearest for each pixel of row `y`, by Floyd's and Steinberg's rule: of what a pixel
// is off 7/16 go to the right, and 3/16, 5/16 and 1/16 to the row below.
void choose_row(const pixels::Pixels& pixels, std::uint32_t y, Errors& here, Errors& below,
                std::uint8_t* out) {
  std::ranges::fill(below, std::array<int, 3>{});
  for (std::uint32_t x = 0; x < pixels.width; ++x) {
    int index = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      const auto at = (std::size_t{y} * pixels.width + x) * 3 + c;
      const int wanted =
          std::clamp(static_cast<unsigned char>(pixels.data[at]) + here[x + 1][c] / 16, 0, 255);
      const int level = (wanted + kLevelStep / 2) / kLevelStep;
      const int off = wanted - level * kLevelStep;
      here[x + 2][c] += off * 7;
      below[x][c] += off * 3;
      below[x + 1][c] += off * 5;
      below[x + 2][c] += off;
      index = index * kLevels + level;
    }
    out[x] = static_cast<std::uint8_t>(index);
  }
}

void append_run(std::string& out, char sign, std::size_t count) {
  if (count > 3)
    out += std::format("!{}{}", count, sign);
  else
    out.append(count, sign);
}

// Six rows: each colour's dots in turn, over each other.
void append_band(std::string& out, const std::vector<std::uint8_t>& indices, std::uint32_t width,
                 std::uint32_t rows) {
  std::array<bool, kColours> used{};
  for (std::size_t i = 0; i < std::size_t{rows} * width; ++i) used[indices[i]] = true;
  bool first = true;
  for (int colour = 0; colour < kColours; ++colour) {
    if (!used[static_cast<std::size_t>(colour)]) continue;
    if (!first) out += '$';  // back to the left
    first = false;
    out += std::format("#{}", colour);
    char sign = 0;
    std::size_t count = 0;
    for (std::uint32_t x = 0; x < width; ++x) {
      unsigned dots = 0;
      for (std::uint32_t row = 0; row < rows; ++row)
        dots |= static_cast<unsigned>(indices[std::size_t{row} * width + x] == colour) << row;
      const auto next = static_cast<char>('?' + dots);
      if (next != sign && count > 0) append_run(out, sign, std::exchange(count, 0));
      sign = next;
      ++count;
    }
    if (sign != '?') append_run(out, sign, count);
  }
  out += '-';  // the next six rows
}

}  // namespace

std::string sixels(const pixels::Pixels& pixels) {
  pixels::check_length(pixels);
  CHECK(pixels.width > 0 && pixels.height > 0, "a picture cannot have a side of 0");
  // Pixels that are not set stay as they are; one to one; the palette in percent.
  std::string out = std::format("\x1bP0;1;0q\"1;1;{};{}", pixels.width, pixels.height);
  for (int i = 0; i < kColours; ++i)
    out += std::format("#{};2;{};{};{}", i, i / (kLevels * kLevels) * kPercentStep,
                       i / kLevels % kLevels * kPercentStep, i % kLevels * kPercentStep);
  Errors here(pixels.width + 2), below(pixels.width + 2);
  std::vector<std::uint8_t> indices(std::size_t{kBandRows} * pixels.width);
  for (std::uint32_t y = 0; y < pixels.height; y += kBandRows) {
    const auto rows = std::min(kBandRows, pixels.height - y);
    for (std::uint32_t row = 0; row < rows; ++row) {
      choose_row(pixels, y + row, here, below, indices.data() + std::size_t{row} * pixels.width);
      std::swap(here, below);
    }
    append_band(out, indices, pixels.width, rows);
  }
  return out + "\x1b\\";
}

}  // namespace ingle::cli
