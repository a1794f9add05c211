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

  // The largest absolute value; not a number when one is none. `to_int8`: row * factor to the
  // nearest whole number, which must be in [-128, 127].
  float (*largest)(const float* row, std::int64_t n);
  void (*to_int8)(const float* row, float factor, std::int8_t* to, std::int64_t n);

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

  // Of each channel over `places` rows, `step` apart: the sum of row - origin and of its square.
  void (*moments)(const float* rows, std::int64_t step, std::int64_t places, const float* origin,
                  float* sum, float* square, std::int64_t channels);
  void (*moments_bf16)(const Bf16* rows, std::int64_t step, std::int64_t places,
                       const float* origin, float* sum, float* square, std::int64_t channels);

  // Softmax in parts. `highest_with`: row becomes scale * row + bias (bias may be null), its
  // largest value is returned; `highest` only looks. `exponentials`: row becomes exp(row - most),
  // the sum is returned; -infinity gives 0. `weights`: the same in bf16 of exp(scale * row - most),
  // which must not be above 0 by more than rounding; a coarser function, within what bf16 tells.
  float (*highest_with)(float* row, float scale, const float* bias, std::int64_t n);
  float (*highest)(const float* row, std::int64_t n);
  float (*exponentials)(float* row, float most, std::int64_t n);
  float (*weights)(const float* row, Bf16* to, float scale, float most, std::int64_t n);

  // Matrices as bf16 products read them, in pairs along the summed axis. `pack_turned`: `count`
  // rows of `width` elements (even), `step` apart, become [width / 2][lane][2]; rows from count to
  // lane (a multiple of 16) are zeros. `pack_pairs`: two rows of n become [n][2]; b may be null
  // (zeros).
  void (*pack_turned)(const Bf16* rows, std::int64_t step, std::int64_t count, std::int64_t width,
                      std::int64_t lane, Bf16* to);
  void (*pack_pairs)(const Bf16* a, const Bf16* b, Bf16* to, std::int64_t n);
};

// The best for this processor.
const Kernels& kernels();

}  // namespace ingle::tensor::cpu
