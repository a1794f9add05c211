// Random weights for a transformer of flux.h, flux2.h or z_image.h in any size, for benchmarks and
// tests: the weights that a graph asked a source for that has none.
#pragma once

#include "models/blocks.h"
#include "tensor/random_weights.h"

namespace ingle::models {

// `asked` was built on an empty source. Every layer gets a bias, too.
inline tensor::RandomWeights random_joint_weights(const Graph& asked) {
  tensor::RandomWeights out;
  for (const auto& node : asked.nodes()) {
    if (node.op != tensor::Op::weight) continue;
    // Layers that are joined have equal sizes, but for FLUX.1's fourth: the MLP, four times as
    // wide.
    const bool with_mlp = node.names.size() == 4;
    const auto parts = with_mlp ? 7 : static_cast<std::int64_t>(node.names.size());
    for (std::size_t i = 0; i < node.names.size(); ++i) {
      Shape shape = node.shape;
      shape[0] = shape[0] / parts * (with_mlp && i == 3 ? 4 : 1);
      const auto& name = node.names[i];
      out.add(name, shape);
      if (shape.rank() == 2 && name.ends_with(".weight"))
        out.add(under(name.substr(0, name.size() - 7), "bias"), {shape[0]});
    }
  }
  return out;
}

}  // namespace ingle::models
