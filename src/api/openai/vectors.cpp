#include "api/openai/vectors.h"

#include <bit>
#include <cmath>

#include "base/base64.h"

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
  return base::encode_base64(
      {reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

}  // namespace ingle::api::openai
