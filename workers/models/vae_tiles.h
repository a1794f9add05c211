// Decoding in tiles: a large picture with the memory of a small one. The decoder's head (up to its
// middle, with the attention over the whole map) runs once on everything, since it is small; the
// tail runs on tiles that overlap. A tile's outermost part, where it misses its surroundings, is
// not used; between there and the middle of the overlap one tile fades into the next, so that what
// the group norms see differently in each tile shows no seam. One thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "models/vae.h"
#include "tensor/executor.h"

namespace ingle::models {

struct TileOptions {
  std::int64_t side = 64;     // of a tile, in latents; at least 1
  std::int64_t overlap = 16;  // of two neighbours, in latents; at least 0, less than the side
};

// Where tiles begin along one axis: as few as will do, at even distances, the last one ending at
// `length`. One tile at 0 when the side is not less than the length.
std::vector<std::int64_t> tile_starts(std::int64_t length, const TileOptions& options);

// How much each pixel of each tile counts along one axis, [tiles, side * factor]: for each pixel of
// the picture, the tiles' shares add up to 1.
std::vector<float> tile_shares(std::int64_t length, std::int64_t factor,
                               const TileOptions& options);

// Decodes one latent [height, width, c] to a picture [factor * height, factor * width, 3].
// `module` was opened on `weights`. Errors: those of the graph and of the executor; cancelled
// between any two tiles and within one.
base::Result<std::vector<float>> decode_in_tiles(tensor::Module& module,
                                                 const tensor::WeightSource& weights,
                                                 const VaeConfig& config,
                                                 std::span<const float> latent, std::int64_t height,
                                                 std::int64_t width, const TileOptions& options,
                                                 const std::atomic<bool>& stop);

}  // namespace ingle::models
