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

std::uint64_t block_bytes(TensorType type) {
  switch (type) {
    case TensorType::f32:
      return 4;
    case TensorType::f16:
      return 2;
    case TensorType::q4_0:
      return 18;
    case TensorType::q8_0:
      return 34;
    case TensorType::q4_k:
      return 144;
  }
  CHECK(false, "every tensor type has a size");
}

std::uint64_t row_bytes(std::uint64_t values, TensorType type) {
  return values / block_values(type) * block_bytes(type);
}

std::uint16_t half_bits(float value) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
}

// A q8_0 block is a half-precision scale and 32 signed bytes.
void put_q8(std::string& out, std::span<const float> values) {
  for (std::size_t start = 0; start < values.size(); start += 32) {
    const auto block = values.subspan(start, 32);
    float largest = 0;
    for (const float v : block) largest = std::max(largest, std::abs(v));
    const float scale = largest / 127.0f;
    put(out, half_bits(scale));
    for (const float v : block)
      out += static_cast<char>(scale == 0 ? 0 : std::lround(std::clamp(v / scale, -127.f, 127.f)));
  }
}

std::uint8_t four_bits(float value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 15.0f)));
}

// A q4_0 block is a half-precision scale and 32 values of four bits, 8 above zero; the first half
// of them in the low bits.
void put_q4_0(std::string& out, std::span<const float> values) {
  for (std::size_t start = 0; start < values.size(); start += 32) {
    const auto block = values.subspan(start, 32);
    float largest = 0;
    for (const float v : block) largest = std::max(largest, std::abs(v));
    const float scale = largest / 7;
    const auto bits = [&](std::size_t i) {
      return four_bits(scale == 0 ? 8 : block[i] / scale + 8);
    };
    put(out, half_bits(scale));
    for (std::size_t i = 0; i < 16; ++i)
      out += static_cast<char>(bits(i) | static_cast<std::uint8_t>(bits(i + 16) << 4));
  }
}

// A q4_K block: half-precision scale and minimum, eight six-bit multiples of each in twelve bytes,
// and 256 values of four bits, in pairs of 32. All multiples here are 1.
void put_q4_k(std::string& out, std::span<const float> values) {
  constexpr std::string_view kOnes("\x01\x01\x01\x01\x01\x01\x01\x01\x11\x11\x11\x11", 12);
  for (std::size_t start = 0; start < values.size(); start += 256) {
    const auto block = values.subspan(start, 256);
    const auto [least, most] = std::ranges::minmax(block);
    const float scale = (most - least) / 15;
    const float minimum = -least;
    const auto bits = [&](std::size_t i) {
      return four_bits(scale == 0 ? 0 : (block[i] + minimum) / scale);
    };
    put(out, half_bits(scale));
    put(out, half_bits(minimum));
    out += kOnes;
    for (std::size_t pair = 0; pair < 256; pair += 64)
      for (std::size_t i = pair; i < pair + 32; ++i)
        out += static_cast<char>(bits(i) | static_cast<std::uint8_t>(bits(i + 32) << 4));
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
    case TensorType::q4_0:
      put_q4_0(out, values);
      return;
    case TensorType::q8_0:
      put_q8(out, values);
      return;
    case TensorType::q4_k:
      put_q4_k(out, values);
      return;
  }
}

}  // namespace

base::Result<TensorType> parse_tensor_type(std::string_view text) {
  if (text == "f32") return TensorType::f32;
  if (text == "f16") return TensorType::f16;
  if (text == "q4_0") return TensorType::q4_0;
  if (text == "q8_0") return TensorType::q8_0;
  if (text == "q4_k") return TensorType::q4_k;
  return base::fail(
      base::ErrorCode::invalid_argument,
      std::format("'{}' is not a tensor type: use f32, f16, q8_0, q4_0 or q4_k", text));
}

std::uint64_t block_values(TensorType type) {
  switch (type) {
    case TensorType::f32:
    case TensorType::f16:
      return 1;
    case TensorType::q4_0:
    case TensorType::q8_0:
      return 32;
    case TensorType::q4_k:
      return 256;
  }
  CHECK(false, "every tensor type has a block");
}

std::uint64_t GgufWriter::Tensor::rows() const {
  std::uint64_t out = 1;
  for (std::size_t i = 1; i < dimensions.size(); ++i) out *= dimensions[i];
  return out;
}

std::uint64_t GgufWriter::Tensor::size_bytes() const {
  return padded(rows() * row_bytes(dimensions[0], type));
}

void GgufWriter::add(std::string key, MetadataValue value) {
  metadata_.emplace_back(std::move(key), std::move(value));
}

void GgufWriter::add_tensor(std::string name, std::vector<std::uint64_t> dimensions,
                            TensorType type, FillRow fill, std::uint64_t distinct_rows) {
  CHECK(!dimensions.empty() && dimensions.size() <= 4, "a tensor has one to four dimensions");
  CHECK(dimensions[0] % block_values(type) == 0, "a row is made of whole blocks");
  tensors_.push_back(
      {std::move(name), std::move(dimensions), type, std::move(fill), distinct_rows});
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
    for (const auto d : tensor.dimensions) put(out, d);
    put(out, static_cast<std::uint32_t>(tensor.type));
    put(out, offset);
    offset += tensor.size_bytes();
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

std::uint64_t GgufWriter::size_bytes() const {
  std::uint64_t total = header().size();
  for (const auto& tensor : tensors_) total += tensor.size_bytes();
  return total;
}

bool GgufWriter::emit(const Sink& sink) const {
  if (!sink(header())) return false;
  std::string chunk;
  for (const auto& tensor : tensors_) {
    const auto rows = tensor.rows();
    const auto distinct = tensor.distinct_rows == 0 ? rows : std::min(rows, tensor.distinct_rows);
    std::vector<float> values(tensor.dimensions[0]);
    std::string again;  // the distinct rows, when they come more than once
    for (std::uint64_t row = 0; row < distinct; ++row) {
      std::ranges::fill(values, 0.0f);
      tensor.fill(row, values);
      put_row(distinct < rows ? again : chunk, values, tensor.type);
      if (chunk.size() < kChunkBytes) continue;
      if (!sink(chunk)) return false;
      chunk.clear();
    }
    const auto size = rows * row_bytes(tensor.dimensions[0], tensor.type);
    if (!again.empty()) {
      if (!sink(chunk)) return false;
      chunk.clear();
      for (std::uint64_t left = size; left > 0;) {
        const auto part = std::string_view(again).substr(0, left);
        if (!sink(part)) return false;
        left -= part.size();
      }
    }
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
