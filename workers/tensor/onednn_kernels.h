// Kernels: the innermost loops of the oneDNN executor's own operations, on rows of f32 that lie in
// the first cache, built once for each level of x86-64 and chosen at run time. They allocate
// nothing and know no tensors. Any thread. Rows may not overlap unless they are the same.
#pragma once

#include <cstdint>

namespace ingle::tensor::cpu {

using Bf16 = std::uint16_t;  // the upper half of an f32
using F16 = std::uint16_t;   // IEEE half

struct Kernels {
  const char* level;

  void (*widen_bf16)(const Bf16* from, float* to, std::int64_t n);
  void (*widen_f16)(const F16* from, float* to, std::int64_t n);
  void (*narrow)(const float* from, Bf16* to, std::int64_t n);  // to nearest, ties to even
  void (*f16_to_bf16)(const F16* from, Bf16* to, std::int64_t n);

  void (*add)(float* row, const float* b, std::int64_t n);
  void (*mul)(float* row, const float* b, std::int64_t n);
  void (*mul_add)(float* row, const float* b, const float* c, std::int64_t n);      // row * b + c
  void (*add_product)(float* row, const float* a, const float* b, std::int64_t n);  // row + a * b
  void (*affine)(float* row, float factor, float offset, std::int64_t n);
  void (*unary[6])(float* row, std::int64_t n);  // by the number of Unary

  // (row - mean) / sqrt(variance + epsilon) * scale + shift; the mean only when `centred`. scale
  // and shift may be null.
  void (*norm)(float* row, std::int64_t n, float epsilon, bool centred, const float* scale,
               const float* shift);
  // A head of 2 * half elements, turned by the angles.
  void (*rope_pairs)(float* row, const float* cos, const float* sin, std::int64_t half);
  void (*rope_halves)(float* row, const float* cos, const float* sin, std::int64_t half);

  // sum and square [channels] grow by row - origin and its square.
  void (*moments)(const float* row, const float* origin, float* sum, float* square,
                  std::int64_t channels);

  // Softmax in parts. `highest`: the largest of scale * row + bias, which goes into row; bias may
  // be null. `exponentials`: row becomes exp(row - most), its sum is returned; -infinity gives 0.
  float (*highest)(float* row, float scale, const float* bias, std::int64_t n);
  float (*exponentials)(float* row, float most, std::int64_t n);
  float (*exponentials_bf16)(const float* row, Bf16* to, float most, std::int64_t n);
};

// The best for this processor.
const Kernels& kernels();

}  // namespace ingle::tensor::cpu
