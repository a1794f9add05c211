// Feeds any bytes to the reader of safetensors headers and holds what safetensors_header.h
// promises: nothing outside the bytes is read (the sanitizers see it), and an accepted header's
// tensors have names, elements and places of their own in the file. Bytes that do not begin with a
// length that fits get one, so that the JSON behind it is reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "weights/convert_numbers.h"
#include "weights/safetensors_header.h"

namespace {

using namespace ingle;

void require(bool holds) {
  if (!holds) std::abort();
}

void hold(std::span<const std::byte> file) {
  const auto header = weights::parse_safetensors_header(file, file.size());
  if (!header) {
    require(!header.error().message.empty());
    return;
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
  for (const auto& tensor : header->tensors) {
    require(!tensor.name.empty() && tensor.name.size() <= weights::kTensorNameBytesMax);
    require(weights::plain_numbers(tensor.type) && tensor.shape.elements() > 0);
    require(tensor.size_bytes == static_cast<std::uint64_t>(tensor.shape.elements()) *
                                     weights::number_type(tensor.type)->block_bytes);
    places.emplace_back(tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes);
    // Every number can be read.
    std::vector<float> numbers(static_cast<std::size_t>(tensor.shape.elements()));
    weights::to_f32(tensor.type, file.subspan(tensor.offset_bytes, tensor.size_bytes), numbers);
  }
  std::ranges::sort(places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    require(places[i].second <= file.size());
    require(i == 0 || places[i - 1].second <= places[i].first);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  hold(bytes);
  // As a file that goes on behind what was read of it.
  (void)weights::parse_safetensors_header(bytes, size + 4096);
  // As header text: its end is the last brace, and what follows is data.
  const auto brace = std::ranges::find_last(bytes, std::byte{'}'});
  const auto length = static_cast<std::uint64_t>(brace.begin() - bytes.begin()) + !brace.empty();
  std::vector<std::byte> file(sizeof length + size);
  std::memcpy(file.data(), &length, sizeof length);
  std::ranges::copy(bytes, file.begin() + sizeof length);
  hold(file);
  return 0;
}
