// Random weights for a UNet or VAE in any size, for benchmarks: the weights that a graph asked a
// source for that has none, and what is optional beside them: biases of every layer but a UNet's
// projections to heads, and the norms of its transformer blocks.
#pragma once

#include "models/blocks.h"
#include "tensor/random_weights.h"

namespace ingle::models {

inline tensor::RandomWeights random_map_weights(const Graph& asked) {
  tensor::RandomWeights out;
  for (const auto& node : asked.nodes()) {
    if (node.op != tensor::Op::weight) continue;
    Shape shape = node.shape;
    shape[0] /= static_cast<std::int64_t>(node.names.size());
    for (const auto& name : node.names) {
      out.add(name, shape);
      if (!name.ends_with(".weight")) continue;
      const auto layer = name.substr(0, name.size() - std::string_view(".weight").size());
      const bool unet_head = layer.contains("transformer_blocks") && layer.contains(".to_") &&
                             !layer.ends_with(".to_out.0");
      if (!unet_head) out.add(under(layer, "bias"), {shape[0]});
      if (const auto at = layer.find(".attn1.to_q"); at != std::string::npos)
        for (const auto* norm : {"norm1", "norm2", "norm3"}) {
          const auto prefix = under(layer.substr(0, at), norm);
          out.add(under(prefix, "weight"), {shape[1]});
          out.add(under(prefix, "bias"), {shape[1]});
        }
    }
  }
  return out;
}

}  // namespace ingle::models
