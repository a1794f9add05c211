// Embedding vectors: shortening and the base64 of the wire. Pure.
#pragma once

#include <string>
#include <vector>

namespace ingle::api::openai {

// The first `dimensions` values, scaled to length 1 again (a vector of zeros stays one).
std::vector<float> shorten(std::vector<float> vector, std::size_t dimensions);

// Base64 (RFC 4648, padded) of the values as little-endian 32-bit floats.
std::string base64_of(const std::vector<float>& vector);

}  // namespace ingle::api::openai
