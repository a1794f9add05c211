// Noise that depends on a seed and a place alone: element i of a picture's noise is the same
// whatever the batch, the order, the number of threads or the machine's instruction set.
//
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
//   key      seed, low word then high word
//   counter  word 0 and 1: i / 4, low then high; word 2: stream; word 3: 0
// Each call of it gives four words; words 0 and 1 make elements 0 and 1 of the four, words 2 and 3
// elements 2 and 3, by Box and Muller: with u = (a + 1) / 2^32 and v = b / 2^32,
// sqrt(-2 ln u) * cos(2 pi v) and sqrt(-2 ln u) * sin(2 pi v), computed in f64, kept as f32.
//
// Elements of latents are counted as [channel, row, column], so that a layout in memory changes
// nothing. Pure functions. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace ingle::diffusion {

// What the noise of a picture is for: each use has a stream of its own.
enum class NoiseUse : std::uint32_t {
  start = 0,       // the latents at the first step
  posterior = 1,   // what a VAE's encoder draws
  masked = 2,      // the same for the masked picture of a 9-channel model
  step = 1 << 16,  // + the number of the evaluation: what a sampler adds there
};

// One block of Philox4x32-10.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// Standard normals: elements `first` to first + out.size() of a stream.
void fill_normal(std::uint64_t seed, std::uint32_t stream, std::uint64_t first,
                 std::span<float> out);

}  // namespace ingle::diffusion
