// gguf_bench FILE N: reads the metadata of a GGUF file N times, every string of every array
// included, and prints {"rounds": N, "median_ms": M, "min_ms": L}. bench/gguf_python.py does the
// same with python3-gguf.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <print>
#include <string_view>
#include <vector>

#include "gguf/facts.h"
#include "gguf/reader.h"
#include "platform/files.h"

namespace {

using namespace ingle;

// Opens, parses, and looks at each string, so that nothing is left undone for later.
base::Result<std::uint64_t> read_once(const char* path) {
  const gguf::Limits limits;
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, limits.header_bytes_max));
  TRY_ASSIGN(const auto header, gguf::parse(file.bytes(), file.file_size_bytes(), limits));
  TRY_ASSIGN(const auto facts, gguf::facts_of(header));
  std::uint64_t bytes = facts.vocabulary_size;
  for (const auto& [key, value] : header.metadata) {
    const auto* array = value.as_array();
    if (array == nullptr || array->element != gguf::ValueType::string) continue;
    array->for_each_string([&bytes](std::string_view text) {
      bytes += text.size() + (text.empty() ? 0 : static_cast<unsigned char>(text.front()));
    });
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  const int times = argc == 3 ? std::atoi(argv[2]) : 0;
  if (times <= 0) {
    std::println(stderr, "usage: gguf_bench FILE N");
    return 2;
  }
  std::vector<double> all_ms;
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto bytes = read_once(argv[1]);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!bytes) {
      std::println(stderr, "gguf_bench: {}", bytes.error().text());
      return 1;
    }
    if (*bytes == 0) return 1;  // keeps the reading from being optimised away
    all_ms.push_back(took.count());
  }
  std::ranges::sort(all_ms);
  std::println(R"({{"rounds": {}, "median_ms": {:.4f}, "min_ms": {:.4f}}})", times,
               all_ms[all_ms.size() / 2], all_ms.front());
  return 0;
}
