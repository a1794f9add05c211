// Frames: the bodies of the picture worker's POST /generate, in both directions. A body is a
// sequence of
//   1 byte   what it is (FrameKind)
//   4 bytes  length of the payload in bytes, little-endian; at most kFrameBytesMax
//   payload
// Payload of a picture or preview: width, height, channels, index (4 bytes each), seed (8 bytes),
// all little-endian, then width * height * channels bytes [height, width, channels]. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::protocol {

enum class FrameKind : char {
  request = 'R',  // DrawRequest; the first frame of a request
  image = 'I',    // encoded file (PNG, JPEG, WebP) that the drawing begins with
  mask = 'M',     // the same: white is painted anew
  event = 'E',    // DrawEvent
  preview = 'V',  // small picture
  picture = 'P',
  end = 'Z',    // DrawEnd; the last frame of an answer that came whole
  error = 'X',  // ErrorInfo; the last frame of one that did not
};

inline constexpr std::uint32_t kFrameBytesMax = 64u << 20;  // a picture of 4096 by 4096 has 48 MiB

struct Frame {
  FrameKind kind = FrameKind::event;
  std::string_view payload{};
};

// Appends one frame. CHECKs its size.
void append_frame(std::string& out, FrameKind kind, std::string_view payload);

// Takes frames out of a body that comes in pieces. Holds at most one frame.
class FrameReader {
 public:
  void feed(std::string_view piece) { buffer_.append(piece); }
  // The next whole frame, valid until the next call; nothing: more bytes are needed. Errors:
  // malformed (an unknown kind), limit_exceeded.
  base::Result<std::optional<Frame>> next();
  // Whether bytes of a frame that is not whole are left.
  bool has_rest() const { return buffer_.size() > taken_; }

 private:
  std::string buffer_;
  std::size_t taken_ = 0;  // bytes of the frame that was handed out last
};

struct RawPicture {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t channels = 3;  // 1 or 3
  std::uint32_t index = 0;     // of the request's pictures, from 0
  std::uint64_t seed = 0;
  std::string_view pixels{};  // not owned
};

inline constexpr std::uint32_t kPictureSideMax = 4096;  // pixels

std::string encode_picture(const RawPicture& picture);
// Errors: malformed (sides, channels or length that do not fit each other).
base::Result<RawPicture> decode_picture(std::string_view payload);

}  // namespace ingle::protocol
