// Texts: what a picture's file says of how it was made.
//
//            A1111's form                      ingle's JSON
//   PNG      text chunk "parameters"           text chunk "ingle"
//   JPEG     EXIF UserComment, in an APP1      XMP ingle:picture, in an APP1
//   WebP     EXIF UserComment, chunk EXIF      XMP ingle:picture, chunk "XMP "
//
// A segment of a JPEG has 64 KiB: some 32,000 letters of the former. Reading is for files from
// anybody: nothing is decoded but the texts. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::pixels {

inline constexpr std::size_t kTextBytesMax = 1 << 20;  // of a text that is read

struct Texts {
  std::string parameters{};  // A1111's form; empty: none
  std::string ingle{};       // JSON; empty: none
  bool operator==(const Texts&) const = default;
};

// What stands in the file: valid UTF-8 without NULs, and empty where there is nothing. Errors:
// unsupported (no PNG, JPEG or WebP), malformed (a part reaches over the file's end, or its inside
// is damaged), limit_exceeded (a text over kTextBytesMax).
base::Result<Texts> read_texts(std::string_view file);

}  // namespace ingle::pixels
