// Cursor: reads little-endian fields of an untrusted header in order, never past its end. Internal
// to this room. One thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <format>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::gguf {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie");

class Cursor {
 public:
  // `bytes` is the beginning of a file of `file_size_bytes`.
  Cursor(std::span<const std::byte> bytes, std::uint64_t file_size_bytes)
      : bytes_(bytes), file_size_bytes_(file_size_bytes) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return bytes_.size() - position_; }

  // Copies the next field. `what` names it in the error.
  template <class T>
    requires std::is_arithmetic_v<T>
  base::Status read(T& out, std::string_view what) {
    if (left() < sizeof(T)) [[unlikely]]
      return ends_early(what);
    std::memcpy(&out, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return {};
  }

  // The next `size` bytes, in place.
  base::Result<std::span<const std::byte>> take(std::uint64_t size, std::string_view what) {
    if (size > left()) [[unlikely]]
      return ends_early(what);
    const auto out = bytes_.subspan(position_, size);
    position_ += size;
    return out;
  }

  // A u64 length and so many bytes, in place.
  base::Result<std::string_view> read_string(std::uint64_t bytes_max, std::string_view what) {
    std::uint64_t size = 0;
    TRY(read(size, what));
    if (size > bytes_max) [[unlikely]]
      return too_large(what, size, bytes_max);
    TRY_ASSIGN(const auto raw, take(size, what));
    return std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size());
  }

  std::unexpected<base::Error> malformed(std::string why) const {
    return base::fail(base::ErrorCode::malformed,
                      std::format("{} (near byte {})", std::move(why), position_));
  }
  // A length that no file of this size can hold is malformed; one within it is over our limit.
  std::unexpected<base::Error> too_large(std::string_view what, std::uint64_t value,
                                         std::uint64_t max) const {
    if (value > file_size_bytes_)
      return malformed(std::format("{}: {} is more than the file holds", what, value));
    return base::fail(
        base::ErrorCode::limit_exceeded,
        std::format("{}: {} is over the limit of {} (near byte {})", what, value, max, position_));
  }
  std::unexpected<base::Error> ends_early(std::string_view what) const {
    if (bytes_.size() < file_size_bytes_)
      return base::fail(
          base::ErrorCode::limit_exceeded,
          std::format("{}: the header is longer than the limit of {} bytes", what, bytes_.size()));
    return malformed(std::format("{}: the file ends too early, at byte {}: it is cut off or broken",
                                 what, file_size_bytes_));
  }

 private:
  const std::span<const std::byte> bytes_;
  const std::uint64_t file_size_bytes_;
  std::uint64_t position_ = 0;
};

}  // namespace ingle::gguf
