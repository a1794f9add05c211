#include "models/vae_tiles.h"

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace ingle::models {
namespace {

using base::Result;
using Program = std::unique_ptr<tensor::Program>;

std::size_t idx(std::int64_t value) { return static_cast<std::size_t>(value); }

// A share of the overlap that is thrown away on either side.
constexpr float kMargin = 0.25f;

// From 0 to 1 with no kinks at the ends.
float fade(float position) {
  const float x = std::clamp(position, 0.0f, 1.0f);
  return x * x * (3 - 2 * x);
}

Result<Program> compile(tensor::Module& module, const tensor::WeightSource& weights,
                        const VaeConfig& config, VaeSizes sizes, VaePart part) {
  Graph graph(weights);
  build_vae_decoder(graph, config, sizes, part);
  TRY(graph.status());
  const std::string wanted[]{part == VaePart::head ? "features" : "decoded"};
  return module.compile(graph, wanted);
}

Result<std::vector<float>> run_head(tensor::Module& module, const tensor::WeightSource& weights,
                                    const VaeConfig& config, std::span<const float> latent,
                                    std::int64_t height, std::int64_t width,
                                    const std::atomic<bool>& stop) {
  TRY_ASSIGN(const auto program,
             compile(module, weights, config, {1, height, width}, VaePart::head));
  std::vector<float> out(idx(height * width * config.decoder_channels.back()));
  const tensor::Feed feeds[]{{"latent", latent}};
  const tensor::Fetch fetches[]{{"features", out}};
  TRY(program->run(feeds, fetches, stop));
  return out;
}

// Maps of one item, channels-last.
struct Place {
  std::int64_t top, left, height, width;
};

void cut(std::span<const float> map, std::int64_t map_width, std::int64_t channels,
         const Place& place, std::span<float> tile) {
  for (std::int64_t y = 0; y < place.height; ++y) {
    const auto from = map.subspan(idx(((place.top + y) * map_width + place.left) * channels),
                                  idx(place.width * channels));
    std::ranges::copy(from, tile.begin() + y * place.width * channels);
  }
}

void add_shares(std::span<float> map, std::int64_t map_width, std::int64_t channels,
                const Place& place, std::span<const float> tile, std::span<const float> rows,
                std::span<const float> columns) {
  for (std::int64_t y = 0; y < place.height; ++y) {
    auto* to = map.data() + ((place.top + y) * map_width + place.left) * channels;
    const auto* from = tile.data() + y * place.width * channels;
    for (std::int64_t x = 0; x < place.width; ++x) {
      const float share = rows[idx(y)] * columns[idx(x)];
      for (std::int64_t c = 0; c < channels; ++c) *to++ += share * *from++;
    }
  }
}

}  // namespace

std::vector<std::int64_t> tile_starts(std::int64_t length, const TileOptions& options) {
  CHECK(length >= 1 && options.side >= 1 && options.overlap >= 0 && options.overlap < options.side,
        "tiles that get on");
  if (options.side >= length) return {0};
  const auto stride = options.side - options.overlap, rest = length - options.side;
  const auto steps = (rest + stride - 1) / stride;
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i <= steps; ++i) out.push_back(rest * i / steps);
  return out;
}

std::vector<float> tile_shares(std::int64_t length, std::int64_t factor,
                               const TileOptions& options) {
  const auto starts = tile_starts(length, options);
  const auto side = std::min(options.side, length) * factor;
  const auto overlap = static_cast<float>(options.overlap * factor);
  const float margin = overlap * kMargin, ramp = std::max(overlap - 2 * margin, 1e-3f);
  std::vector<float> out(starts.size() * idx(side)), sums(idx(length * factor));
  for (std::size_t i = 0; i < starts.size(); ++i)
    for (std::int64_t x = 0; x < side; ++x) {
      const float before = static_cast<float>(x) + 0.5f, behind = static_cast<float>(side) - before;
      const float rise = i == 0 ? 1 : fade((before - margin) / ramp);
      const float fall = i + 1 == starts.size() ? 1 : fade((behind - margin) / ramp);
      out[i * idx(side) + idx(x)] = rise * fall;
      sums[idx(starts[i] * factor + x)] += rise * fall;
    }
  for (std::size_t i = 0; i < starts.size(); ++i)
    for (std::int64_t x = 0; x < side; ++x)
      out[i * idx(side) + idx(x)] /= sums[idx(starts[i] * factor + x)];
  return out;
}

Result<std::vector<float>> decode_in_tiles(tensor::Module& module,
                                           const tensor::WeightSource& weights,
                                           const VaeConfig& config, std::span<const float> latent,
                                           std::int64_t height, std::int64_t width,
                                           const TileOptions& options,
                                           const std::atomic<bool>& stop) {
  CHECK(latent.size() == idx(height * width * config.latent_channels), "a latent of its size");
  TRY_ASSIGN(const auto features, run_head(module, weights, config, latent, height, width, stop));
  const auto rows = std::min(options.side, height), columns = std::min(options.side, width);
  TRY_ASSIGN(const auto program,
             compile(module, weights, config, {1, rows, columns}, VaePart::tail));
  const auto factor = config.factor(), depth = config.decoder_channels.back(),
             colours = config.picture_channels;
  const auto row_shares = tile_shares(height, factor, options),
             column_shares = tile_shares(width, factor, options);
  const auto tops = tile_starts(height, options), lefts = tile_starts(width, options);
  std::vector<float> out(idx(height * factor * width * factor * colours));
  std::vector<float> in(idx(rows * columns * depth)),
      tile(idx(rows * factor * columns * factor * colours));
  for (std::size_t i = 0; i < tops.size(); ++i)
    for (std::size_t j = 0; j < lefts.size(); ++j) {
      cut(features, width, depth, {tops[i], lefts[j], rows, columns}, in);
      const tensor::Feed feeds[]{{"features", std::span<const float>(in)}};
      const tensor::Fetch fetches[]{{"decoded", tile}};
      TRY(program->run(feeds, fetches, stop));
      add_shares(out, width * factor, colours,
                 {tops[i] * factor, lefts[j] * factor, rows * factor, columns * factor}, tile,
                 std::span(row_shares).subspan(i * idx(rows * factor)),
                 std::span(column_shares).subspan(j * idx(columns * factor)));
    }
  return out;
}

}  // namespace ingle::models
