// Feeds any bytes to the GGUF reader and holds what reader.h promises: nothing outside the bytes is
// read (the sanitizers see it), and an accepted header's tensors lie side by side in the file.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "gguf/facts.h"
#include "gguf/reader.h"

namespace {

using namespace ingle;

void require(bool holds) {
  if (!holds) std::abort();
}

void hold_tensors(const gguf::Header& header) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
  for (const auto& tensor : header.tensors) {
    require(!tensor.name.empty() && tensor.size_bytes > 0);
    require(tensor.offset_bytes % header.alignment == 0);
    places.emplace_back(tensor.offset_bytes, tensor.offset_bytes + tensor.size_bytes);
  }
  std::ranges::sort(places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    require(header.data_offset_bytes + places[i].second <= header.file_size_bytes);
    require(i == 0 || places[i - 1].second <= places[i].first);
  }
}

// Reads every element of every array.
std::uint64_t walk_metadata(const gguf::Header& header) {
  std::uint64_t sum = 0;
  for (const auto& [key, value] : header.metadata) {
    require(header.find(key) == &value);
    const auto* array = value.as_array();
    if (array == nullptr) continue;
    if (array->element == gguf::ValueType::string) {
      array->for_each_string([&sum](std::string_view text) {
        for (const char c : text) sum += static_cast<unsigned char>(c);
      });
      continue;
    }
    for (std::uint64_t i = 0; i < array->count; ++i) sum += array->at(i).as_unsigned().value_or(0);
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  // As the beginning of a larger file, and with little patience.
  (void)gguf::parse(bytes, size + 4096, {.header_bytes_max = 4096, .array_count_max = 16});
  const auto header = gguf::parse(bytes, size);
  if (!header) {
    require(!header.error().message.empty());
    return 0;
  }
  hold_tensors(*header);
  volatile std::uint64_t keep = walk_metadata(*header);
  (void)keep;
  const auto facts = gguf::facts_of(*header);
  if (!facts) return 0;
  require(facts->kv_heads.size() == facts->layers);
  require(facts->weight_bytes <= size);
  require(std::isfinite(facts->kv_bytes_per_token(2, 2)));
  return 0;
}
