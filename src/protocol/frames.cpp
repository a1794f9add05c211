#include "protocol/frames.h"

#include <format>
#include <utility>

#include "base/check.h"

namespace ingle::protocol {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kHeadBytes = 5;
constexpr std::size_t kPictureHeadBytes = 24;

template <class T>
void append_number(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T out = 0;
  for (std::size_t i = 0; i < sizeof out; ++i)
    out |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[at + i])) << (8 * i));
  return out;
}

bool is_kind(char letter) { return std::string_view("RIMEVPZX").contains(letter); }

}  // namespace

void append_frame(std::string& out, FrameKind kind, std::string_view payload) {
  CHECK(payload.size() <= kFrameBytesMax, "a frame is too large");
  out.reserve(out.size() + kHeadBytes + payload.size());
  out += static_cast<char>(kind);
  append_number(out, static_cast<std::uint32_t>(payload.size()));
  out += payload;
}

base::Result<std::optional<Frame>> FrameReader::next() {
  buffer_.erase(0, std::exchange(taken_, 0));
  if (buffer_.empty()) return std::nullopt;
  if (!is_kind(buffer_.front()))
    return fail(ErrorCode::malformed,
                std::format("no frame begins with the byte {}",
                            static_cast<int>(static_cast<unsigned char>(buffer_.front()))));
  if (buffer_.size() < kHeadBytes) return std::nullopt;
  const auto length = number_at<std::uint32_t>(buffer_, 1);
  if (length > kFrameBytesMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("a frame of {} bytes; at most {} are taken", length, kFrameBytesMax));
  if (buffer_.size() < kHeadBytes + length) return std::nullopt;
  taken_ = kHeadBytes + length;
  return Frame{static_cast<FrameKind>(buffer_.front()),
               std::string_view(buffer_).substr(kHeadBytes, length)};
}

std::string encode_picture(const RawPicture& picture) {
  std::string out;
  out.reserve(kPictureHeadBytes + picture.pixels.size());
  for (const auto number : {picture.width, picture.height, picture.channels, picture.index})
    append_number(out, number);
  append_number(out, picture.seed);
  out += picture.pixels;
  return out;
}

base::Result<RawPicture> decode_picture(std::string_view payload) {
  const auto broken = [](std::string what) {
    return fail(ErrorCode::malformed, "a picture of the worker is broken: " + std::move(what));
  };
  if (payload.size() < kPictureHeadBytes) return broken("it has no head");
  RawPicture out{.width = number_at<std::uint32_t>(payload, 0),
                 .height = number_at<std::uint32_t>(payload, 4),
                 .channels = number_at<std::uint32_t>(payload, 8),
                 .index = number_at<std::uint32_t>(payload, 12),
                 .seed = number_at<std::uint64_t>(payload, 16),
                 .pixels = payload.substr(kPictureHeadBytes)};
  const auto is_side = [](std::uint32_t side) { return side >= 1 && side <= kPictureSideMax; };
  if (!is_side(out.width) || !is_side(out.height) || (out.channels != 1 && out.channels != 3))
    return broken(
        std::format("{} by {} pixels of {} channels", out.width, out.height, out.channels));
  const auto expected = std::size_t{out.width} * out.height * out.channels;
  if (out.pixels.size() != expected)
    return broken(std::format("{} bytes of pixels instead of {}", out.pixels.size(), expected));
  return out;
}

}  // namespace ingle::protocol
