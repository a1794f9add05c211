#include "models/positions.h"

#include <cstddef>

#include "base/check.h"

namespace ingle::models {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Calls copy(index in latents, index in tokens) for every element.
template <class Copy>
void for_patches(std::int64_t channels, std::int64_t height, std::int64_t width, PatchOrder order,
                 const Copy& copy) {
  CHECK(channels > 0 && height > 0 && width > 0 && height % 2 == 0 && width % 2 == 0,
        "latents of whole patches");
  const bool channels_first = order == PatchOrder::channel_row_column;
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x) {
        const auto token = (y / 2) * (width / 2) + x / 2;
        const auto place = (y % 2) * 2 + x % 2;
        const auto element = channels_first ? c * 4 + place : place * channels + c;
        copy(at((c * height + y) * width + x), at(token * channels * 4 + element));
      }
}

std::vector<std::int32_t> grid_ids(std::int64_t rows, std::int64_t columns, std::int64_t axes,
                                   std::int32_t first) {
  std::vector<std::int32_t> out;
  out.reserve(at(rows * columns * axes));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      out.insert(out.end(),
                 {first, static_cast<std::int32_t>(row), static_cast<std::int32_t>(column)});
      if (axes == 4) out.push_back(0);
    }
  return out;
}

}  // namespace

std::vector<std::int32_t> flux_text_ids(std::int64_t tokens) {
  return std::vector<std::int32_t>(at(tokens * 3));
}

std::vector<std::int32_t> flux_image_ids(std::int64_t rows, std::int64_t columns) {
  return grid_ids(rows, columns, 3, 0);
}

std::vector<std::int32_t> flux2_text_ids(std::int64_t tokens) {
  std::vector<std::int32_t> out(at(tokens * 4));
  for (std::int64_t i = 0; i < tokens; ++i) out[at(i * 4 + 3)] = static_cast<std::int32_t>(i);
  return out;
}

std::vector<std::int32_t> flux2_image_ids(std::int64_t time, std::int64_t rows,
                                          std::int64_t columns) {
  return grid_ids(rows, columns, 4, static_cast<std::int32_t>(time));
}

std::vector<std::int32_t> z_image_caption_ids(std::int64_t caption_tokens) {
  std::vector<std::int32_t> out(at(caption_tokens * 3));
  for (std::int64_t i = 0; i < caption_tokens; ++i)
    out[at(i * 3)] = static_cast<std::int32_t>(1 + i);
  return out;
}

std::vector<std::int32_t> z_image_image_ids(std::int64_t caption_tokens, std::int64_t rows,
                                            std::int64_t columns) {
  auto out = grid_ids(rows, columns, 3, static_cast<std::int32_t>(caption_tokens + 1));
  out.resize(at(z_image_padded(rows * columns) * 3));
  return out;
}

std::vector<float> pack_latents(std::span<const float> latents, std::int64_t channels,
                                std::int64_t height, std::int64_t width, PatchOrder order) {
  CHECK(latents.size() == at(channels * height * width), "latents of their size");
  std::vector<float> out(latents.size());
  for_patches(channels, height, width, order,
              [&](std::size_t from, std::size_t to) { out[to] = latents[from]; });
  return out;
}

std::vector<float> unpack_latents(std::span<const float> tokens, std::int64_t channels,
                                  std::int64_t height, std::int64_t width, PatchOrder order) {
  CHECK(tokens.size() == at(channels * height * width), "tokens of their size");
  std::vector<float> out(tokens.size());
  for_patches(channels, height, width, order,
              [&](std::size_t to, std::size_t from) { out[to] = tokens[from]; });
  return out;
}

double flux_mu(std::int64_t image_tokens, const FluxShift& shift) {
  const auto slope = (shift.shift_max - shift.shift_base) / (shift.tokens_max - shift.tokens_base);
  return shift.shift_base + slope * (static_cast<double>(image_tokens) - shift.tokens_base);
}

double flux2_mu(std::int64_t image_tokens, std::int64_t steps) {
  const auto tokens = static_cast<double>(image_tokens);
  const auto at_200 = 0.00016927 * tokens + 0.45666666;
  if (image_tokens > 4300) return at_200;
  const auto at_10 = 8.73809524e-05 * tokens + 1.89833333;
  return at_10 + (at_200 - at_10) / 190 * (static_cast<double>(steps) - 10);
}

}  // namespace ingle::models
