#include "api/openai/vectors.h"

#include <sodium.h>

#include <bit>
#include <cmath>

namespace ingle::api::openai {

static_assert(std::endian::native == std::endian::little, "the wire's floats are little-endian");

std::vector<float> shorten(std::vector<float> vector, std::size_t dimensions) {
  if (dimensions < vector.size()) vector.resize(dimensions);
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * value;
  if (squares <= 0) return vector;
  const double scale = 1 / std::sqrt(squares);
  for (float& value : vector) value = static_cast<float>(value * scale);
  return vector;
}

std::string base64_of(const std::vector<float>& vector) {
  const std::size_t bytes = vector.size() * sizeof(float);
  std::string out(sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(vector.data()),
                    bytes, sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();  // its closing NUL
  return out;
}

}  // namespace ingle::api::openai
