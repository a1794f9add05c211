// What a pipeline prepares on the host for transformers of the FLUX kind: positions of tokens (for
// rope_tables of blocks.h), latents as tokens and back, and how far the noise schedule is shifted.
// Pure functions. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ingle::models {

// FLUX.1, 3 axes. Text: [tokens, 3] of zeros. Image: (0, row, column), rows first.
std::vector<std::int32_t> flux_text_ids(std::int64_t tokens);
std::vector<std::int32_t> flux_image_ids(std::int64_t rows, std::int64_t columns);

// FLUX.2, 4 axes (time, row, column, place in the text). The picture that is made has time 0, the
// reference picture i has flux2_reference_time(i).
std::vector<std::int32_t> flux2_text_ids(std::int64_t tokens);
std::vector<std::int32_t> flux2_image_ids(std::int64_t time, std::int64_t rows,
                                          std::int64_t columns);
constexpr std::int64_t flux2_reference_time(std::int64_t i) { return 10 + 10 * i; }

// Z-Image, 3 axes. Captions of padded length `caption_tokens` are (1 + i, 0, 0), their padding goes
// on counting; the image is (caption_tokens + 1, row, column), its padding (0, 0, 0).
std::vector<std::int32_t> z_image_caption_ids(std::int64_t caption_tokens);
std::vector<std::int32_t> z_image_image_ids(std::int64_t caption_tokens, std::int64_t rows,
                                            std::int64_t columns);

// Z-Image: both streams are padded to multiples of this.
inline constexpr std::int64_t kZImageTokensMultiple = 32;
constexpr std::int64_t z_image_padded(std::int64_t tokens) {
  return (tokens + kZImageTokensMultiple - 1) / kZImageTokensMultiple * kZImageTokensMultiple;
}

// The order of a patch's elements within a token.
enum class PatchOrder : std::uint8_t {
  channel_row_column,  // FLUX.1, FLUX.2
  row_column_channel,  // Z-Image
};

// Latents [channels, height, width] to tokens [height / 2 * width / 2, channels * 4], patch by
// patch of 2 x 2, rows first; and back. Height and width are even.
std::vector<float> pack_latents(std::span<const float> latents, std::int64_t channels,
                                std::int64_t height, std::int64_t width, PatchOrder order);
std::vector<float> unpack_latents(std::span<const float> tokens, std::int64_t channels,
                                  std::int64_t height, std::int64_t width, PatchOrder order);

// How far the noise schedule is shifted for a picture of so many tokens.
// FLUX.1: a line through (tokens_base, shift_base) and (tokens_max, shift_max).
struct FluxShift {
  double shift_base = 0.5, shift_max = 1.15;
  double tokens_base = 256, tokens_max = 4096;
};
double flux_mu(std::int64_t image_tokens, const FluxShift& shift = {});
// FLUX.2: lines fitted by its authors for 10 and 200 steps, and between them over the steps.
double flux2_mu(std::int64_t image_tokens, std::int64_t steps);

}  // namespace ingle::models
