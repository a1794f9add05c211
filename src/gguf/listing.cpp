// gguf_listing FILE: prints everything that the reader sees in a GGUF file, in one plain form, for
// python_agrees.py: "meta KEY TYPE VALUE", "array KEY TYPE COUNT SUM", "tensor NAME TYPE DIMENSIONS
// OFFSET SIZE". SUM is FNV-1a over the elements' texts, so that long arrays compare in one number.
#include <cstdio>
#include <format>
#include <print>

#include "gguf/reader.h"
#include "gguf/tensor_types.h"
#include "platform/files.h"

namespace {

using namespace ingle;

std::string scalar_text(const gguf::Value& value) {
  if (const auto text = value.as_string()) return gguf::escaped(*text, SIZE_MAX);
  if (const auto truth = value.as_bool()) return *truth ? "1" : "0";
  if (const auto* number = std::get_if<std::uint64_t>(&value.data))
    return std::format("{}", *number);
  if (const auto* number = std::get_if<std::int64_t>(&value.data))
    return std::format("{}", *number);
  return std::format("{:.9g}", value.as_number().value_or(0));
}

std::uint64_t sum_of(const gguf::ArrayView& array) {
  std::uint64_t sum = 0xCBF29CE484222325u;
  const auto add = [&sum](std::string_view text) {
    for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    sum = (sum ^ '\n') * 0x100000001B3u;
  };
  if (array.element == gguf::ValueType::string)
    array.for_each_string(add);
  else
    for (std::uint64_t i = 0; i < array.count; ++i) add(scalar_text(array.at(i)));
  return sum;
}

base::Status list(const char* path) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path));
  TRY_ASSIGN(const auto header, gguf::parse(file.bytes(), file.file_size_bytes()));
  std::println("version {}", header.version);
  for (const auto& [key, value] : header.metadata) {
    if (const auto* array = value.as_array())
      std::println("array {} {} {} {:x}", key, gguf::value_type_name(array->element), array->count,
                   sum_of(*array));
    else
      std::println("meta {} {} {}", key, gguf::value_type_name(value.type), scalar_text(value));
  }
  for (const auto& tensor : header.tensors) {
    std::string dimensions;
    for (std::uint32_t i = 0; i < tensor.dimension_count; ++i)
      dimensions += std::format("{}{}", i == 0 ? "" : "x", tensor.dimensions[i]);
    std::println("tensor {} {} {} {} {}", tensor.name, gguf::tensor_type_name(tensor.type),
                 dimensions, header.data_offset_bytes + tensor.offset_bytes, tensor.size_bytes);
  }
  return {};
}

// The table of types, for comparison with ggml's.
void list_types() {
  for (std::uint32_t number = 0; number < 256; ++number)
    if (const auto* type = gguf::tensor_type(number))
      std::println("type {} {} {} {}", number, type->name, type->block_elements, type->block_bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    list_types();
    return 0;
  }
  if (const auto done = list(argv[1]); !done) {
    std::println(stderr, "gguf_listing: {}", done.error().text());
    return 1;
  }
  return 0;
}
