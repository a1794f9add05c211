// Keys: reads typed metadata keys of one architecture ("${arch}." before them). For the files that
// make ModelFacts; pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <format>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gguf/facts.h"
#include "gguf/reader.h"

namespace ingle::gguf {

inline std::unexpected<base::Error> bad_key(std::string_view key, std::string_view why) {
  return base::fail(base::ErrorCode::malformed, std::format("key '{}' {}", escaped(key, 96), why));
}

class Keys {
 public:
  Keys(const Header& header, std::string_view architecture)
      : header_(header), prefix_(std::format("{}.", architecture)) {}

  const Value* own(std::string_view rest) const {
    return header_.find(prefix_ + std::string(rest));
  }
  std::string own_name(std::string_view rest) const { return prefix_ + std::string(rest); }

  // 0 when absent.
  base::Result<std::uint32_t> number(std::string_view key) const {
    const auto* value = header_.find(key);
    return value == nullptr ? 0 : to_number(*value, key);
  }
  base::Result<std::uint32_t> own_number(std::string_view rest) const {
    return number(own_name(rest));
  }
  // The largest element where a file gives one number per layer.
  base::Result<std::uint32_t> own_number_or_largest(std::string_view rest) const {
    const auto* value = own(rest);
    const auto* array = value == nullptr ? nullptr : value->as_array();
    if (array == nullptr) return own_number(rest);
    TRY_ASSIGN(const auto all, numbers(*array, own_name(rest), array->count));
    return all.empty() ? 0 : std::ranges::max(all);
  }
  // One number per layer, whether the file gives an array or one for all; empty when absent.
  base::Result<std::vector<std::uint32_t>> own_numbers(std::string_view rest,
                                                       std::uint32_t layers) const {
    const auto* value = own(rest);
    if (value == nullptr) return std::vector<std::uint32_t>();
    if (const auto* array = value->as_array()) return numbers(*array, own_name(rest), layers);
    TRY_ASSIGN(const auto same, own_number(rest));
    return std::vector<std::uint32_t>(layers, same);
  }
  base::Result<std::string> text(std::string_view key) const {
    const auto* value = header_.find(key);
    if (value == nullptr) return std::string();
    const auto found = value->as_string();
    if (!found) return bad_key(key, "is no string");
    return std::string(*found);
  }

  // The first `count` elements.
  static base::Result<std::vector<std::uint32_t>> numbers(const ArrayView& array,
                                                          std::string_view key,
                                                          std::uint64_t count) {
    if (array.element == ValueType::string) return bad_key(key, "is no array of numbers");
    if (array.count < count) return bad_key(key, "has fewer elements than there are layers");
    if (count > kLayersMax) return bad_key(key, "has too many elements");
    std::vector<std::uint32_t> out;
    out.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const Value element = array.at(i);
      if (const auto flag = element.as_bool()) {
        out.push_back(*flag ? 1 : 0);
        continue;
      }
      TRY_ASSIGN(const auto number, to_number(element, key));
      out.push_back(number);
    }
    return out;
  }

 private:
  static base::Result<std::uint32_t> to_number(const Value& value, std::string_view key) {
    const auto found = value.as_unsigned();
    if (!found || *found > UINT32_MAX)
      return bad_key(key, std::format("is no whole number from 0 to {}", UINT32_MAX));
    return static_cast<std::uint32_t>(*found);
  }

  const Header& header_;
  const std::string prefix_;
};

}  // namespace ingle::gguf
