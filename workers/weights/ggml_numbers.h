// Numbers in ggml's quantised blocks: to f32 and back, by ggml's own library. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/weights.h"

namespace ingle::weights {

// Whether blocks_to_f32 can read the type.
bool readable_blocks(tensor::StorageType type);
// Whole blocks of any content. CHECKs the sizes and readable_blocks(type).
void blocks_to_f32(tensor::StorageType type, std::span<const std::byte> bytes,
                   std::span<float> out);

// Whether quantise can write the type (some need measurements of the model's activations).
bool quantisable(tensor::StorageType type);
// Rows of `width` numbers, each made of whole blocks, into `out`, which has exactly their size
// (CHECKed, as quantisable(type) is). Also writes f16, bf16 and f32.
void quantise(tensor::StorageType type, std::span<const float> rows, std::int64_t width,
              std::span<std::byte> out);

}  // namespace ingle::weights
