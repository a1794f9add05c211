// Built several times, each with another -march and INGLE_LEVEL. It may use no inline function of
// any library: the linker keeps one copy of those, which could then be one that this processor
// cannot run.
#include "tensor/onednn_kernels.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

#define INLINE [[gnu::always_inline]] inline

INLINE float from_bits(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
INLINE std::uint32_t to_bits(float value) { return __builtin_bit_cast(std::uint32_t, value); }

INLINE float widen(Bf16 value) { return from_bits(std::uint32_t{value} << 16); }

INLINE Bf16 narrowed(float value) {
  const std::uint32_t bits = to_bits(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;  // a NaN must stay one
  return static_cast<Bf16>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

// Without F16C: the exponent is moved by a product, which also makes subnormals right.
INLINE float widen_half(F16 value) {
  const std::uint32_t magnitude = (value & 0x7fffu) << 13;
  const float moved = from_bits(magnitude) * from_bits(0x77800000u);  // 2^112
  const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  return from_bits(to_bits(moved) | special | (value & 0x8000u) << 16);
}

// e^x within 2 units in the last place; 0 below the smallest normal number.
INLINE float exponential(float x) {
  const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float scaled = clamped * 1.44269504f;
  const std::int32_t whole = static_cast<std::int32_t>(scaled + 128.5f) - 128;
  const float n = static_cast<float>(whole);
  const float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const float out = p * from_bits(static_cast<std::uint32_t>(whole + 127) << 23);
  return x < -87.0f ? 0.0f : out;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }
INLINE float tanh(float x) { return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f); }

// Abramowitz and Stegun 7.1.26: within 1.5e-7.
INLINE float erf(float x) {
  const float a = __builtin_fabsf(x);
  const float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float out = 1.0f - p * t * exponential(-a * a);
  return x < 0.0f ? -out : out;
}

void widen_bf16(const Bf16* __restrict from, float* __restrict to, Size n) {
  for (Size i = 0; i < n; ++i) to[i] = widen(from[i]);
}
void widen_f16(const F16* __restrict from, float* __restrict to, Size n) {
  for (Size i = 0; i < n; ++i) to[i] = widen_half(from[i]);
}
void narrow(const float* __restrict from, Bf16* __restrict to, Size n) {
  for (Size i = 0; i < n; ++i) to[i] = narrowed(from[i]);
}
void f16_to_bf16(const F16* __restrict from, Bf16* __restrict to, Size n) {
  for (Size i = 0; i < n; ++i) to[i] = narrowed(widen_half(from[i]));
}

// Positive numbers have the order of their bits, and what is no number is above all.
float largest(const float* row, Size n) {
  std::uint32_t most = 0;
#pragma omp simd reduction(max : most)
  for (Size i = 0; i < n; ++i) {
    const std::uint32_t bits = to_bits(row[i]) & 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  return from_bits(most);
}
// 1.5 * 2^23 leaves a float no digits behind the point: the whole number is in its lowest bits.
void to_int8(const float* __restrict row, float factor, std::int8_t* __restrict to, Size n) {
  for (Size i = 0; i < n; ++i)
    to[i] = static_cast<std::int8_t>(to_bits(row[i] * factor + 12582912.0f) & 0xffu);
}

void add(float* __restrict row, const float* __restrict b, Size n) {
  for (Size i = 0; i < n; ++i) row[i] += b[i];
}
void mul(float* __restrict row, const float* __restrict b, Size n) {
  for (Size i = 0; i < n; ++i) row[i] *= b[i];
}
void mul_add(float* __restrict row, const float* __restrict b, const float* __restrict c, Size n) {
  for (Size i = 0; i < n; ++i) row[i] = row[i] * b[i] + c[i];
}
void add_product(float* __restrict row, const float* __restrict a, const float* __restrict b,
                 Size n) {
  for (Size i = 0; i < n; ++i) row[i] += a[i] * b[i];
}
void affine(float* row, float factor, float offset, Size n) {
  for (Size i = 0; i < n; ++i) row[i] = row[i] * factor + offset;
}

void silu(float* row, Size n) {
  for (Size i = 0; i < n; ++i) row[i] *= sigmoid(row[i]);
}
void gelu_tanh(float* row, Size n) {
  // 0.5 (1 + tanh(u)) is sigmoid(2 u).
  for (Size i = 0; i < n; ++i) {
    const float x = row[i];
    row[i] = x * sigmoid(1.5957691216f * (x + 0.044715f * x * x * x));
  }
}
void gelu_erf(float* row, Size n) {
  for (Size i = 0; i < n; ++i) row[i] = 0.5f * row[i] * (1.0f + erf(row[i] * 0.70710678f));
}
void gelu_quick(float* row, Size n) {
  for (Size i = 0; i < n; ++i) row[i] *= sigmoid(1.702f * row[i]);
}
void tanh_all(float* row, Size n) {
  for (Size i = 0; i < n; ++i) row[i] = tanh(row[i]);
}
void sigmoid_all(float* row, Size n) {
  for (Size i = 0; i < n; ++i) row[i] = sigmoid(row[i]);
}

void norm(float* __restrict row, Size n, float epsilon, bool centred, const float* __restrict scale,
          const float* __restrict shift) {
  const float count = static_cast<float>(n);
  float mean = 0, square = 0;
  if (centred) {
#pragma omp simd reduction(+ : mean)
    for (Size i = 0; i < n; ++i) mean += row[i];
    mean /= count;
  }
#pragma omp simd reduction(+ : square)
  for (Size i = 0; i < n; ++i) square += (row[i] - mean) * (row[i] - mean);
  const float factor = 1.0f / __builtin_sqrtf(square / count + epsilon);
  if (scale && shift) {
    for (Size i = 0; i < n; ++i) row[i] = (row[i] - mean) * factor * scale[i] + shift[i];
  } else if (scale) {
    for (Size i = 0; i < n; ++i) row[i] = (row[i] - mean) * factor * scale[i];
  } else {
    for (Size i = 0; i < n; ++i) row[i] = (row[i] - mean) * factor;
    if (shift) add(row, shift, n);
  }
}

void rope_pairs(float* __restrict row, const float* __restrict cos, const float* __restrict sin,
                Size half) {
  for (Size i = 0; i < half; ++i) {
    const float a = row[2 * i], b = row[2 * i + 1];
    row[2 * i] = a * cos[i] - b * sin[i];
    row[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}
void rope_halves(float* __restrict row, const float* __restrict cos, const float* __restrict sin,
                 Size half) {
  float* __restrict upper = row + half;
  for (Size i = 0; i < half; ++i) {
    const float a = row[i], b = upper[i];
    row[i] = a * cos[i] - b * sin[i];
    upper[i] = b * cos[i] + a * sin[i];
  }
}

using Floats [[gnu::vector_size(64)]] = float;
using Halves [[gnu::vector_size(32)]] = Bf16;
using Bits [[gnu::vector_size(64)]] = std::uint32_t;

INLINE Floats sixteen(const float* from) {
  Floats out;
  __builtin_memcpy(&out, from, sizeof(out));
  return out;
}
INLINE Floats sixteen(const Bf16* from) {
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  return __builtin_bit_cast(Floats, __builtin_convertvector(halves, Bits) << 16);
}
INLINE float one(const float* from) { return *from; }
INLINE float one(const Bf16* from) { return widen(*from); }

// kVectors times sixteen channels at a time, whose sums stay in registers from place to place.
template <int kVectors, class Number>
INLINE void moments_of(const Number* rows, Size step, Size places, const float* origin, float* sum,
                       float* square) {
  Floats from[kVectors], s[kVectors] = {}, q[kVectors] = {};
  for (int v = 0; v < kVectors; ++v) from[v] = sixteen(origin + 16 * v);
  for (Size p = 0; p < places; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Floats d = sixteen(rows + p * step + 16 * v) - from[v];
      s[v] += d;
      q[v] += d * d;
    }
  __builtin_memcpy(sum, s, sizeof(s));
  __builtin_memcpy(square, q, sizeof(q));
}

template <class Number>
INLINE void all_moments(const Number* rows, Size step, Size places, const float* origin, float* sum,
                        float* square, Size channels) {
  Size c = 0;
  for (; c + 64 <= channels; c += 64)
    moments_of<4>(rows + c, step, places, origin + c, sum + c, square + c);
  for (; c + 16 <= channels; c += 16)
    moments_of<1>(rows + c, step, places, origin + c, sum + c, square + c);
  for (; c < channels; ++c) {
    sum[c] = square[c] = 0;
    for (Size p = 0; p < places; ++p) {
      const float d = one(rows + p * step + c) - origin[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

void moments(const float* rows, Size step, Size places, const float* origin, float* sum,
             float* square, Size channels) {
  all_moments(rows, step, places, origin, sum, square, channels);
}
void moments_bf16(const Bf16* rows, Size step, Size places, const float* origin, float* sum,
                  float* square, Size channels) {
  all_moments(rows, step, places, origin, sum, square, channels);
}

float highest_with(float* __restrict row, float scale, const float* __restrict bias, Size n) {
  float most = -__builtin_inff();
  if (bias) {
#pragma omp simd reduction(max : most)
    for (Size i = 0; i < n; ++i) {
      row[i] = row[i] * scale + bias[i];
      most = row[i] > most ? row[i] : most;
    }
  } else {
#pragma omp simd reduction(max : most)
    for (Size i = 0; i < n; ++i) {
      row[i] *= scale;
      most = row[i] > most ? row[i] : most;
    }
  }
  return most;
}
float exponentials(float* row, float most, Size n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Size i = 0; i < n; ++i) {
    row[i] = exponential(row[i] - most);
    sum += row[i];
  }
  return sum;
}
float highest(const float* row, Size n) {
  float most = -__builtin_inff();
#pragma omp simd reduction(max : most)
  for (Size i = 0; i < n; ++i) most = row[i] > most ? row[i] : most;
  return most;
}

// 2^t for t of 0 and less, within 4e-6 of the value: whole part by the exponent, the rest in (-1,
// 0] by a polynomial.
INLINE float power_of_two(float t) {
  const float clamped = t < -126.0f ? -126.0f : t;
  const std::int32_t whole = static_cast<std::int32_t>(clamped);
  const float f = clamped - static_cast<float>(whole);
  float p = 7.5924664e-3f;
  p = p * f + 5.2922140e-2f;
  p = p * f + 2.3986306e-1f;
  p = p * f + 6.9304424e-1f;
  p = p * f + 9.9999800e-1f;
  const float out = p * from_bits(static_cast<std::uint32_t>(whole + 127) << 23);
  return t < -126.0f ? 0.0f : out;
}

float weights(const float* __restrict row, Bf16* __restrict to, float scale, float most, Size n) {
  const float factor = scale * 1.44269504f, offset = most * 1.44269504f;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Size i = 0; i < n; ++i) {
    const float t = row[i] * factor - offset;
    const float e = power_of_two(t > 0.0f ? 0.0f : t);
    const std::uint32_t bits = to_bits(e) + 0x8000u;
    sum += from_bits(bits & 0xffff0000u);
    to[i] = static_cast<Bf16>(bits >> 16);
  }
  return sum;
}

// Sixteen rows of sixteen words, turned in four rounds of exchanges between halves.
using Words [[gnu::vector_size(64), gnu::may_alias]] = std::uint32_t;

template <int kApart>
INLINE void exchange(Words* __restrict rows) {
  Words lower{}, upper{};
  for (int lane = 0; lane < 16; ++lane) {
    const auto at = static_cast<std::uint32_t>(lane);
    lower[lane] = lane & kApart ? at - kApart + 16 : at;
    upper[lane] = lane & kApart ? at + 16 : at + kApart;
  }
  for (int i = 0; i < 16; ++i) {
    if (i & kApart) continue;
    const Words a = rows[i], b = rows[i + kApart];
    rows[i] = __builtin_shuffle(a, b, lower);
    rows[i + kApart] = __builtin_shuffle(a, b, upper);
  }
}

void pack_turned(const Bf16* __restrict rows, Size step, Size count, Size width, Size lane,
                 Bf16* __restrict to) {
  constexpr Size kTile = 16;
  const Size pairs = width / 2;
  for (Size row = 0; row < lane; row += kTile)
    for (Size pair = 0; pair < pairs; pair += kTile) {
      Words tile[kTile];
      const Size wide = pairs - pair < kTile ? pairs - pair : kTile;
      if (wide == kTile && row + kTile <= count) {
        for (Size i = 0; i < kTile; ++i)
          __builtin_memcpy(&tile[i], rows + (row + i) * step + 2 * pair, sizeof(Words));
      } else {
        for (Size i = 0; i < kTile; ++i) {
          tile[i] = Words{};
          if (row + i < count)
            __builtin_memcpy(&tile[i], rows + (row + i) * step + 2 * pair,
                             static_cast<unsigned long>(wide) * 4);
        }
      }
      exchange<8>(tile);
      exchange<4>(tile);
      exchange<2>(tile);
      exchange<1>(tile);
      for (Size j = 0; j < wide; ++j)
        __builtin_memcpy(to + ((pair + j) * lane + row) * 2, &tile[j], sizeof(Words));
    }
}

void pack_pairs(const Bf16* __restrict a, const Bf16* __restrict b, Bf16* __restrict to, Size n) {
  if (b) {
    for (Size i = 0; i < n; ++i) {
      to[2 * i] = a[i];
      to[2 * i + 1] = b[i];
    }
  } else {
    for (Size i = 0; i < n; ++i) {
      to[2 * i] = a[i];
      to[2 * i + 1] = 0;
    }
  }
}

}  // namespace

extern const Kernels INGLE_LEVEL;
const Kernels INGLE_LEVEL{
    .level = INGLE_LEVEL_NAME,
    .widen_bf16 = widen_bf16,
    .widen_f16 = widen_f16,
    .narrow = narrow,
    .f16_to_bf16 = f16_to_bf16,
    .largest = largest,
    .to_int8 = to_int8,
    .add = add,
    .mul = mul,
    .mul_add = mul_add,
    .add_product = add_product,
    .affine = affine,
    .unary = {silu, gelu_tanh, gelu_erf, gelu_quick, tanh_all, sigmoid_all},
    .norm = norm,
    .rope_pairs = rope_pairs,
    .rope_halves = rope_halves,
    .moments = moments,
    .moments_bf16 = moments_bf16,
    .highest_with = highest_with,
    .highest = highest,
    .exponentials = exponentials,
    .weights = weights,
    .pack_turned = pack_turned,
    .pack_pairs = pack_pairs,
};

}  // namespace ingle::tensor::cpu
