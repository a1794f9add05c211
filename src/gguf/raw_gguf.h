// RawGguf: writes GGUF fields one by one, wrong ones too. For the tests of this room; good files
// come from tools/make_gguf.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gguf/reader.h"

namespace ingle::gguf {

class RawGguf {
 public:
  RawGguf(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3) {
    text("GGUF").put(version).put(tensors).put(pairs);
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  RawGguf& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  RawGguf& text(std::string_view raw) {
    bytes_ += raw;
    return *this;
  }
  RawGguf& string(std::string_view value) { return put(std::uint64_t{value.size()}).text(value); }
  RawGguf& key(std::string_view name, ValueType type) {
    return string(name).put(static_cast<std::uint32_t>(type));
  }
  RawGguf& u32(std::string_view name, std::uint32_t value) {
    return key(name, ValueType::u32).put(value);
  }
  RawGguf& array(std::string_view name, ValueType element, std::uint64_t count) {
    return key(name, ValueType::array).put(static_cast<std::uint32_t>(element)).put(count);
  }
  RawGguf& tensor(std::string_view name, std::initializer_list<std::uint64_t> dimensions,
                  std::uint32_t type, std::uint64_t offset) {
    string(name).put(static_cast<std::uint32_t>(dimensions.size()));
    for (const auto dimension : dimensions) put(dimension);
    return put(type).put(offset);
  }
  // Zeros up to a multiple of 32, then `data` bytes.
  RawGguf& data(std::size_t data_bytes) {
    bytes_.resize((bytes_.size() + 31) / 32 * 32 + data_bytes);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// A parsed header with the bytes it points into, in a block of exactly their size, so that a
// sanitizer sees a read past the end.
struct Parsed {
  std::unique_ptr<std::byte[]> bytes;
  base::Result<Header> header;

  const base::Error& error() const { return header.error(); }
};

inline Parsed parse_copy(std::string_view bytes, const Limits& limits = {}) {
  auto copy = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  auto header = parse({copy.get(), bytes.size()}, bytes.size(), limits);
  return {std::move(copy), std::move(header)};
}

inline Parsed parse_copy(const RawGguf& raw, const Limits& limits = {}) {
  return parse_copy(raw.bytes(), limits);
}

}  // namespace ingle::gguf
