// Random weights for a CLIP text model in any size, for benchmarks.
#pragma once

#include <format>

#include "models/random_joint.h"
#include "tensor/memory_weights.h"
#include "text/clip_text.h"

namespace ingle::text {

// Every weight of the published model; norms have none of their own in an empty source.
inline tensor::RandomWeights random_clip_weights(const ClipTextConfig& config) {
  const tensor::MemoryWeights none;
  tensor::Graph asked(none);
  build_clip_text(asked, config, {});
  auto out = models::random_joint_weights(asked);
  for (std::int64_t i = 0; i < config.layers; ++i)
    for (const auto* name : {"layer_norm1", "layer_norm2"})
      for (const auto* part : {"weight", "bias"})
        out.add(std::format("encoder.layers.{}.{}.{}", i, name, part), {config.width});
  return out;
}

}  // namespace ingle::text
