#include "make_gguf/gguf_writer.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <format>
#include <memory>
#include <type_traits>

#include "base/check.h"

namespace ingle::gguf_writer {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint64_t kQ8BlockValues = 32;
constexpr std::uint64_t kQ8BlockBytes = 34;
constexpr std::size_t kChunkBytes = 1 << 20;

// The format's numbers of value types.
constexpr std::uint32_t kU8 = 0, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9,
                        kU64 = 10;

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <class T>
  requires std::is_trivially_copyable_v<T>
void put(std::string& out, T value) {
  const auto raw = std::bit_cast<std::array<char, sizeof(T)>>(value);
  out.append(raw.data(), raw.size());
}

void put(std::string& out, const std::string& text) {
  put(out, std::uint64_t{text.size()});
  out += text;
}

template <class T>
constexpr std::uint32_t type_number() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return kU8;
  if constexpr (std::is_same_v<T, std::uint32_t>) return kU32;
  if constexpr (std::is_same_v<T, std::int32_t>) return kI32;
  if constexpr (std::is_same_v<T, float>) return kF32;
  if constexpr (std::is_same_v<T, bool>) return kBool;
  if constexpr (std::is_same_v<T, std::string>) return kString;
  if constexpr (std::is_same_v<T, std::uint64_t>) return kU64;
  return kArray;
}

void put_value(std::string& out, const MetadataValue& value) {
  std::visit(
      [&out]<class T>(const T& v) {
        put(out, type_number<T>());
        if constexpr (type_number<T>() == kArray) {
          put(out, type_number<typename T::value_type>());
          put(out, std::uint64_t{v.size()});
          for (const typename T::value_type& element : v) put(out, element);
        } else {
          put(out, v);
        }
      },
      value);
}

std::uint64_t row_bytes(std::uint64_t values, TensorType type) {
  switch (type) {
    case TensorType::f32:
      return values * 4;
    case TensorType::f16:
      return values * 2;
    case TensorType::q8_0:
      return values / kQ8BlockValues * kQ8BlockBytes;
  }
  CHECK(false, "every tensor type has a size");
}

std::uint16_t half_bits(float value) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
}

// A q8_0 block is a half-precision scale and 32 signed bytes.
void put_q8(std::string& out, std::span<const float> values) {
  for (std::size_t start = 0; start < values.size(); start += kQ8BlockValues) {
    const auto block = values.subspan(start, kQ8BlockValues);
    float largest = 0;
    for (const float v : block) largest = std::max(largest, std::abs(v));
    const float scale = largest / 127.0f;
    put(out, half_bits(scale));
    for (const float v : block)
      out += static_cast<char>(scale == 0 ? 0 : std::lround(std::clamp(v / scale, -127.f, 127.f)));
  }
}

void put_row(std::string& out, std::span<const float> values, TensorType type) {
  switch (type) {
    case TensorType::f32:
      for (const float v : values) put(out, v);
      return;
    case TensorType::f16:
      for (const float v : values) put(out, half_bits(v));
      return;
    case TensorType::q8_0:
      put_q8(out, values);
      return;
  }
}

}  // namespace

base::Result<TensorType> parse_tensor_type(std::string_view text) {
  if (text == "f32") return TensorType::f32;
  if (text == "f16") return TensorType::f16;
  if (text == "q8_0") return TensorType::q8_0;
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("'{}' is not a tensor type: use f32, f16 or q8_0", text));
}

void GgufWriter::add(std::string key, MetadataValue value) {
  metadata_.emplace_back(std::move(key), std::move(value));
}

void GgufWriter::add_tensor(std::string name, std::vector<std::uint64_t> dimensions,
                            TensorType type, FillRow fill) {
  CHECK(!dimensions.empty() && dimensions.size() <= 4, "a tensor has one to four dimensions");
  CHECK(type != TensorType::q8_0 || dimensions[0] % kQ8BlockValues == 0,
        "a q8_0 row is made of blocks of 32");
  tensors_.push_back({std::move(name), std::move(dimensions), type, std::move(fill)});
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  put(out, std::uint32_t{3});
  put(out, std::uint64_t{tensors_.size()});
  put(out, std::uint64_t{metadata_.size()});
  for (const auto& [key, value] : metadata_) {
    put(out, key);
    put_value(out, value);
  }
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors_) {
    put(out, tensor.name);
    put(out, static_cast<std::uint32_t>(tensor.dimensions.size()));
    std::uint64_t rows = 1;
    for (const auto d : tensor.dimensions) put(out, d);
    for (std::size_t i = 1; i < tensor.dimensions.size(); ++i) rows *= tensor.dimensions[i];
    put(out, static_cast<std::uint32_t>(tensor.type));
    put(out, offset);
    offset += padded(rows * row_bytes(tensor.dimensions[0], tensor.type));
  }
  out.resize(padded(out.size()));
  return out;
}

std::uint64_t GgufWriter::parameter_count() const {
  std::uint64_t total = 0;
  for (const auto& tensor : tensors_) {
    std::uint64_t values = 1;
    for (const auto d : tensor.dimensions) values *= d;
    total += values;
  }
  return total;
}

bool GgufWriter::emit(const Sink& sink) const {
  if (!sink(header())) return false;
  std::string chunk;
  for (const auto& tensor : tensors_) {
    std::uint64_t rows = 1;
    for (std::size_t i = 1; i < tensor.dimensions.size(); ++i) rows *= tensor.dimensions[i];
    std::vector<float> values(tensor.dimensions[0]);
    for (std::uint64_t row = 0; row < rows; ++row) {
      std::ranges::fill(values, 0.0f);
      tensor.fill(row, values);
      put_row(chunk, values, tensor.type);
      if (chunk.size() < kChunkBytes) continue;
      if (!sink(chunk)) return false;
      chunk.clear();
    }
    const auto size = rows * row_bytes(tensor.dimensions[0], tensor.type);
    chunk.append(padded(size) - size, '\0');
  }
  return sink(chunk);
}

std::string GgufWriter::bytes() const {
  std::string out;
  emit([&out](std::string_view part) {
    out += part;
    return true;
  });
  return out;
}

base::Status GgufWriter::write(const std::filesystem::path& path) const {
  const auto temporary = std::format("{}.{}.tmp", path.string(), getpid());
  const auto failed = [&] {
    const int reason = errno;
    std::remove(temporary.c_str());
    return base::fail(base::errno_error(reason, std::format("writing '{}'", path.string())));
  };
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(temporary.c_str(), "wb"),
                                                       &std::fclose);
  if (!file) return failed();
  const bool written = emit([&file](std::string_view part) {
    return std::fwrite(part.data(), 1, part.size(), file.get()) == part.size();
  });
  if (!written) return failed();
  if (std::fclose(file.release()) != 0) return failed();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return failed();
  return {};
}

}  // namespace ingle::gguf_writer
