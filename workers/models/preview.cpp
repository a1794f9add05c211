#include "models/preview.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "base/check.h"

namespace ingle::models {
namespace {

using Matrix = std::vector<double>;  // [size, size], row-major

constexpr std::int64_t kProbeSide = 24;  // latents
constexpr std::int64_t kProbeBlock = 2;  // latents of one colour, since pictures have areas
constexpr double kRidge = 1e-2;          // of the samples' own spread: no map from no evidence

std::size_t idx(std::int64_t value) { return static_cast<std::size_t>(value); }

// Solves a x = b for a symmetric, positive a, in place, by Cholesky's method; b [size, columns].
void solve(Matrix& a, std::vector<double>& b, std::size_t size, std::size_t columns) {
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = a[i * size + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * size + k] * a[j * size + k];
      a[i * size + j] = i == j ? std::sqrt(std::max(sum, 1e-30)) : sum / a[j * size + j];
    }
  for (std::size_t column = 0; column < columns; ++column) {
    for (std::size_t i = 0; i < size; ++i) {
      double sum = b[i * columns + column];
      for (std::size_t k = 0; k < i; ++k) sum -= a[i * size + k] * b[k * columns + column];
      b[i * columns + column] = sum / a[i * size + i];
    }
    for (std::size_t i = size; i-- > 0;) {
      double sum = b[i * columns + column];
      for (std::size_t k = i + 1; k < size; ++k) sum -= a[k * size + i] * b[k * columns + column];
      b[i * columns + column] = sum / a[i * size + i];
    }
  }
}

// Noise of the scale that diffusion ends at (a deviation of 1), in blocks, as a VAE's latents. The
// engine's numbers are the same everywhere; the sum of twelve is nearly normal.
std::vector<float> probe(const LatentScale& scale, std::int64_t side) {
  std::mt19937 random(1);
  const auto normal = [&] {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random()) / 4294967296.0;
    return static_cast<float>(sum);
  };
  const auto inner = side / scale.patch(), channels = scale.channels();
  const auto block = std::max<std::int64_t>(1, kProbeBlock / scale.patch());
  std::vector<float> out(idx(inner * inner * channels));
  for (std::int64_t y = 0; y < inner; ++y)
    for (std::int64_t x = 0; x < inner; ++x)
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto by = y / block * block, bx = x / block * block;
        out[idx((y * inner + x) * channels + c)] =
            by == y && bx == x ? normal() : out[idx((by * inner + bx) * channels + c)];
      }
  return scale.to_vae(out, side, side);
}

// The mean colour of each latent's pixels.
std::vector<float> mean_colours(std::span<const float> picture, std::int64_t side,
                                std::int64_t factor, std::int64_t channels) {
  std::vector<float> out(idx(side * side * 3));
  const auto share = 1 / static_cast<float>(factor * factor);
  for (std::int64_t y = 0; y < side * factor; ++y)
    for (std::int64_t x = 0; x < side * factor; ++x)
      for (std::int64_t c = 0; c < 3; ++c)
        out[idx((y / factor * side + x / factor) * 3 + c)] +=
            share * picture[idx((y * side * factor + x) * channels + std::min(c, channels - 1))];
  return out;
}

}  // namespace

PreviewMap fit_preview_map(std::span<const float> latents, std::int64_t channels,
                           std::span<const float> colours) {
  CHECK(channels >= 1 && !latents.empty() && latents.size() % idx(channels) == 0 &&
            latents.size() / idx(channels) * 3 == colours.size(),
        "a colour for each latent");
  const auto width = idx(channels), size = width + 1, samples = latents.size() / width;
  Matrix a(size * size);
  std::vector<double> b(size * 3);
  const auto value = [&](std::size_t sample, std::size_t i) {
    return i < width ? double{latents[sample * width + i]} : 1.0;
  };
  for (std::size_t sample = 0; sample < samples; ++sample)
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) a[i * size + j] += value(sample, i) * value(sample, j);
      for (std::size_t c = 0; c < 3; ++c)
        b[i * 3 + c] += value(sample, i) * double{colours[sample * 3 + c]};
    }
  for (std::size_t i = 0; i < size; ++i) a[i * size + i] += kRidge * a[i * size + i] + 1e-12;
  solve(a, b, size, 3);
  PreviewMap out{.channels = channels};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < width; ++i) out.factors.push_back(static_cast<float>(b[i * 3 + c]));
    out.offset.push_back(static_cast<float>(b[width * 3 + c]));
  }
  return out;
}

base::Result<PreviewMap> make_preview_map(tensor::Module& module,
                                          const tensor::WeightSource& weights,
                                          const VaeConfig& config, const LatentScale& scale,
                                          const std::atomic<bool>& stop) {
  Graph graph(weights);
  build_vae_decoder(graph, config, {1, kProbeSide, kProbeSide});
  TRY(graph.status());
  const std::string wanted[]{"decoded"};
  TRY_ASSIGN(const auto program, module.compile(graph, wanted));
  const auto latent = probe(scale, kProbeSide);
  const auto side = kProbeSide * config.factor();
  std::vector<float> picture(idx(side * side * config.picture_channels));
  const tensor::Feed feeds[]{{"latent", std::span<const float>(latent)}};
  const tensor::Fetch fetches[]{{"decoded", picture}};
  TRY(program->run(feeds, fetches, stop));
  const auto colours = mean_colours(picture, kProbeSide, config.factor(), config.picture_channels);
  return fit_preview_map(latent, config.latent_channels, colours);
}

std::vector<std::uint8_t> preview_pixels(std::span<const float> latent, const PreviewMap& map) {
  const auto channels = idx(map.channels);
  CHECK(channels > 0 && latent.size() % channels == 0, "latents of the map's channels");
  std::vector<std::uint8_t> out;
  out.reserve(latent.size() / channels * 3);
  for (std::size_t at = 0; at < latent.size(); at += channels)
    for (std::size_t c = 0; c < 3; ++c) {
      float value = map.offset[c];
      for (std::size_t i = 0; i < channels; ++i)
        value += map.factors[c * channels + i] * latent[at + i];
      const float shade = std::isfinite(value) ? std::clamp((value + 1) / 2, 0.0f, 1.0f) : 0.0f;
      out.push_back(static_cast<std::uint8_t>(std::lround(shade * 255)));
    }
  return out;
}

}  // namespace ingle::models
