#include "diffusion/noise.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace ingle::diffusion {
namespace {

constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

std::pair<float, float> normals(std::uint32_t a, std::uint32_t b) {
  const double u = (static_cast<double>(a) + 1) * 0x1p-32;
  const double angle = 2 * std::numbers::pi * static_cast<double>(b) * 0x1p-32;
  const double radius = std::sqrt(-2 * std::log(u));
  return {static_cast<float>(radius * std::cos(angle)),
          static_cast<float>(radius * std::sin(angle))};
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

void fill_normal(std::uint64_t seed, std::uint32_t stream, std::uint64_t first,
                 std::span<float> out) {
  const std::array<std::uint32_t, 2> key = {static_cast<std::uint32_t>(seed),
                                            static_cast<std::uint32_t>(seed >> 32)};
  std::array<float, 4> block{};
  std::uint64_t of_block = ~0ull;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const std::uint64_t element = first + k;
    if (element / 4 != of_block) {
      of_block = element / 4;
      const auto words = philox({static_cast<std::uint32_t>(of_block),
                                 static_cast<std::uint32_t>(of_block >> 32), stream, 0},
                                key);
      std::tie(block[0], block[1]) = normals(words[0], words[1]);
      std::tie(block[2], block[3]) = normals(words[2], words[3]);
    }
    out[k] = block[element % 4];
  }
}

}  // namespace ingle::diffusion
