#include "gguf/reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <format>

#include "gguf/cursor.h"
#include "gguf/directory.h"

namespace ingle::gguf {
namespace {

constexpr std::uint32_t kVersionMin = 2;
constexpr std::uint32_t kVersionMax = 3;
constexpr std::uint64_t kPairBytesMin = 8 + 1 + 4 + 1;  // key length, key, type, value
constexpr std::uint64_t kStringBytesMin = 8;            // its length

struct TypeFacts {
  std::string_view name;
  std::uint64_t bytes;  // of a value; 0: it varies
};
constexpr std::array<TypeFacts, 13> kValueTypes{{{"u8", 1},
                                                 {"i8", 1},
                                                 {"u16", 2},
                                                 {"i16", 2},
                                                 {"u32", 4},
                                                 {"i32", 4},
                                                 {"f32", 4},
                                                 {"bool", 1},
                                                 {"string", 0},
                                                 {"array", 0},
                                                 {"u64", 8},
                                                 {"i64", 8},
                                                 {"f64", 8}}};

const TypeFacts& facts_of_type(ValueType type) {
  return kValueTypes[static_cast<std::size_t>(type)];
}

template <class T>
T load(const std::byte* at) {
  T out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

// A number or boolean that lies at `at`.
Value load_scalar(ValueType type, const std::byte* at) {
  switch (type) {
    case ValueType::u8:
      return {type, std::uint64_t{load<std::uint8_t>(at)}};
    case ValueType::u16:
      return {type, std::uint64_t{load<std::uint16_t>(at)}};
    case ValueType::u32:
      return {type, std::uint64_t{load<std::uint32_t>(at)}};
    case ValueType::u64:
      return {type, load<std::uint64_t>(at)};
    case ValueType::i8:
      return {type, std::int64_t{load<std::int8_t>(at)}};
    case ValueType::i16:
      return {type, std::int64_t{load<std::int16_t>(at)}};
    case ValueType::i32:
      return {type, std::int64_t{load<std::int32_t>(at)}};
    case ValueType::i64:
      return {type, load<std::int64_t>(at)};
    case ValueType::f32:
      return {type, double{load<float>(at)}};
    case ValueType::f64:
      return {type, load<double>(at)};
    case ValueType::boolean:
      return {type, load<std::uint8_t>(at) != 0};
    case ValueType::string:
    case ValueType::array:
      break;
  }
  CHECK(false, "a scalar type");
}

base::Status read_type(Cursor& cursor, ValueType& out, std::string_view key) {
  std::uint32_t number = 0;
  TRY(cursor.read(number, "value type"));
  if (number >= kValueTypes.size())
    return cursor.malformed(
        std::format("key '{}' has value type {}, which does not exist", escaped(key), number));
  out = static_cast<ValueType>(number);
  return {};
}

base::Status check_booleans(const Cursor& cursor, std::span<const std::byte> values,
                            std::string_view key) {
  for (const auto value : values)
    if (value > std::byte{1})
      return cursor.malformed(
          std::format("key '{}' holds a boolean that is neither 0 nor 1", escaped(key)));
  return {};
}

// Walks over strings without keeping them: afterwards every length is known to be good.
base::Status skip_strings(Cursor& cursor, std::uint64_t count, const Limits& limits,
                          std::string_view key) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto text = cursor.read_string(limits.string_bytes_max, "string of an array");
    if (!text) [[unlikely]]
      return base::fail(std::move(base::Error(text.error()))
                            .with_context(std::format("element {} of key '{}'", i, escaped(key))));
  }
  return {};
}

base::Result<ArrayView> read_array(Cursor& cursor, const Limits& limits, std::string_view key) {
  ArrayView out;
  TRY(read_type(cursor, out.element, key));
  TRY(cursor.read(out.count, "array count"));
  if (out.element == ValueType::array)
    return base::fail(base::ErrorCode::unsupported,
                      std::format("key '{}' is an array of arrays", escaped(key)));
  const auto width = facts_of_type(out.element).bytes;
  const auto width_min = width == 0 ? kStringBytesMin : width;
  // Before anything is multiplied: no array has more elements than bytes are left.
  if (out.count > cursor.left() / width_min) return cursor.ends_early("array");
  if (out.count > limits.array_count_max)
    return cursor.too_large("array count", out.count, limits.array_count_max);
  if (out.element == ValueType::string) {
    Cursor walk = cursor;
    TRY(skip_strings(walk, out.count, limits, key));
    TRY_ASSIGN(out.packed, cursor.take(walk.position() - cursor.position(), "array"));
    return out;
  }
  TRY_ASSIGN(out.packed, cursor.take(out.count * width, "array"));
  if (out.element == ValueType::boolean) TRY(check_booleans(cursor, out.packed, key));
  return out;
}

base::Result<Value> read_value(Cursor& cursor, const Limits& limits, std::string_view key) {
  Value out;
  TRY(read_type(cursor, out.type, key));
  if (out.type == ValueType::string) {
    TRY_ASSIGN(out.data, cursor.read_string(limits.string_bytes_max, "string value"));
    return out;
  }
  if (out.type == ValueType::array) {
    TRY_ASSIGN(out.data, read_array(cursor, limits, key));
    return out;
  }
  TRY_ASSIGN(const auto raw, cursor.take(facts_of_type(out.type).bytes, "value"));
  if (out.type == ValueType::boolean) TRY(check_booleans(cursor, raw, key));
  return load_scalar(out.type, raw.data());
}

base::Status read_metadata(Cursor& cursor, std::uint64_t count, const Limits& limits,
                           Header& header) {
  header.metadata.reserve(std::min(count, cursor.left() / kPairBytesMin));
  for (std::uint64_t i = 0; i < count; ++i) {
    TRY_ASSIGN(const auto key, cursor.read_string(limits.key_bytes_max, "metadata key"));
    if (key.empty()) return cursor.malformed("a metadata key is empty");
    TRY_ASSIGN(const auto value, read_value(cursor, limits, key));
    header.metadata.emplace_back(key, value);
  }
  std::vector<std::string_view> keys;
  keys.reserve(header.metadata.size());
  for (const auto& [key, value] : header.metadata) keys.push_back(key);
  if (const auto twice = find_twice(std::move(keys)))
    return cursor.malformed(std::format("key '{}' comes twice", escaped(*twice)));
  return {};
}

base::Status read_alignment(const Cursor& cursor, Header& header) {
  const auto* value = header.find("general.alignment");
  if (value == nullptr) return {};
  const auto alignment = value->as_unsigned();
  if (value->type != ValueType::u32 || !alignment || !std::has_single_bit(*alignment) ||
      *alignment > kAlignmentMax)
    return cursor.malformed(std::format(
        "general.alignment is not a u32 that is a power of two up to {}", kAlignmentMax));
  header.alignment = *alignment;
  return {};
}

base::Status read_version(Cursor& cursor, Header& header) {
  std::uint32_t magic = 0;
  TRY(cursor.read(magic, "magic"));
  if (magic != std::bit_cast<std::uint32_t>(std::array{'G', 'G', 'U', 'F'}))
    return base::fail(base::ErrorCode::malformed,
                      "this is no GGUF file: it does not begin with 'GGUF'");
  TRY(cursor.read(header.version, "version"));
  const auto swapped = std::byteswap(header.version);
  if (swapped >= 1 && swapped <= kVersionMax)
    return base::fail(base::ErrorCode::unsupported,
                      "this GGUF file is big-endian: convert it to little-endian first");
  if (header.version < kVersionMin || header.version > kVersionMax)
    return base::fail(base::ErrorCode::unsupported,
                      std::format("GGUF version {} cannot be read, only {} and {}", header.version,
                                  kVersionMin, kVersionMax));
  return {};
}

}  // namespace

std::string_view value_type_name(ValueType type) { return facts_of_type(type).name; }

std::string escaped(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (const char c : text.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\')
      out += c;
    else
      out += std::format("\\x{:02x}", byte);
  }
  if (text.size() > bytes_max) out += "...";
  return out;
}

Value ArrayView::at(std::uint64_t index) const {
  CHECK(index < count, "an index inside the array");
  const auto width = facts_of_type(element).bytes;
  CHECK(width != 0, "an array of numbers or booleans");
  return load_scalar(element, packed.data() + index * width);
}

std::optional<std::uint64_t> Value::as_unsigned() const {
  if (const auto* v = std::get_if<std::uint64_t>(&data)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(&data); v != nullptr && *v >= 0)
    return static_cast<std::uint64_t>(*v);
  return std::nullopt;
}

std::optional<double> Value::as_number() const {
  if (const auto* v = std::get_if<std::uint64_t>(&data)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<std::int64_t>(&data)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<double>(&data)) return *v;
  return std::nullopt;
}

std::optional<bool> Value::as_bool() const {
  if (const auto* v = std::get_if<bool>(&data)) return *v;
  return std::nullopt;
}

std::optional<std::string_view> Value::as_string() const {
  if (const auto* v = std::get_if<std::string_view>(&data)) return *v;
  return std::nullopt;
}

const Value* Header::find(std::string_view key) const {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

base::Result<Header> parse(std::span<const std::byte> bytes, std::uint64_t file_size_bytes,
                           const Limits& limits) {
  CHECK(bytes.size() <= file_size_bytes, "the bytes are the beginning of the file");
  Cursor cursor(bytes.first(std::min<std::uint64_t>(bytes.size(), limits.header_bytes_max)),
                file_size_bytes);
  Header header;
  header.file_size_bytes = file_size_bytes;
  TRY(read_version(cursor, header));
  std::uint64_t tensor_count = 0;
  std::uint64_t metadata_count = 0;
  TRY(cursor.read(tensor_count, "tensor count"));
  TRY(cursor.read(metadata_count, "metadata count"));
  if (metadata_count > limits.metadata_count_max)
    return cursor.too_large("metadata count", metadata_count, limits.metadata_count_max);
  if (tensor_count > limits.tensor_count_max)
    return cursor.too_large("tensor count", tensor_count, limits.tensor_count_max);
  TRY(read_metadata(cursor, metadata_count, limits, header));
  TRY(read_alignment(cursor, header));
  TRY(read_directory(cursor, tensor_count, limits, header));
  return header;
}

}  // namespace ingle::gguf
