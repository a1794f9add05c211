// Feeds any bytes to the reader of safetensors headers (gguf/safetensors.h, which the catalogue
// uses) and to the worker's with its types above it, and holds what both promise: nothing outside
// the bytes is read (the sanitizers see it), and an accepted header's tensors have names, sizes and
// places of their own in the file. Bytes that do not begin with a length that fits get one, so that
// the JSON behind it is reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "gguf/safetensors.h"
#include "weights/convert_numbers.h"
#include "weights/safetensors_header.h"

namespace {

using namespace ingle;

void require(bool holds) {
  if (!holds) std::abort();
}

using Places = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // begin, end

void hold_places(Places places, std::size_t file_bytes) {
  std::ranges::sort(places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    require(places[i].second <= file_bytes);
    require(i == 0 || places[i - 1].second <= places[i].first);
  }
}

// As the catalogue reads it: whatever the types are.
bool hold_structure(std::span<const std::byte> file) {
  const auto header = gguf::parse_safetensors(file, file.size());
  if (!header) {
    require(!header.error().message.empty());
    return false;
  }
  Places places;
  for (const auto& tensor : header->tensors) {
    require(!tensor.name.empty() && tensor.name.size() <= gguf::SafetensorsLimits{}.name_bytes_max);
    require(tensor.elements / 8 <= tensor.size_bytes);
    require(tensor.offset_bytes + tensor.size_bytes <= file.size());
    if (tensor.size_bytes > 0)
      places.emplace_back(tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes);
  }
  for (std::size_t i = 1; i < header->tensors.size(); ++i)
    require(header->tensors[i - 1].name < header->tensors[i].name);
  hold_places(std::move(places), file.size());
  return true;
}

void hold(std::span<const std::byte> file) {
  const bool structured = hold_structure(file);
  const auto header = weights::parse_safetensors_header(file, file.size());
  if (!header) {
    require(!header.error().message.empty());
    return;
  }
  require(structured);
  Places places;
  for (const auto& tensor : header->tensors) {
    require(!tensor.name.empty() && tensor.name.size() <= gguf::SafetensorsLimits{}.name_bytes_max);
    require(weights::plain_numbers(tensor.type) && tensor.shape.elements() > 0);
    require(tensor.size_bytes == static_cast<std::uint64_t>(tensor.shape.elements()) *
                                     weights::number_type(tensor.type)->block_bytes);
    places.emplace_back(tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes);
    // Every number can be read.
    std::vector<float> numbers(static_cast<std::size_t>(tensor.shape.elements()));
    weights::to_f32(tensor.type, file.subspan(tensor.offset_bytes, tensor.size_bytes), numbers);
  }
  hold_places(std::move(places), file.size());
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
