// The two forms of settings inside JPEG and WebP files. Inside pixels/ only. Pure.
//   EXIF: a TIFF block whose IFD 0x8769 has the UserComment (0x9286): eight bytes that name the
//         letters ("UNICODE\0": UTF-16), then the text
//   XMP:  RDF in XML, with the element ingle:picture
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::pixels {

// Big-endian, as A1111's tools write and read it.
std::string exif_of(std::string_view comment);
// The comment; empty: there is none. Errors: malformed, limit_exceeded.
base::Result<std::string> comment_of_exif(std::string_view exif);

std::string xmp_of(std::string_view json);
// The element's text; empty: there is none. Errors: limit_exceeded.
base::Result<std::string> json_of_xmp(std::string_view xmp);

// Bytes from anywhere as UTF-8: as they are where they are valid, else read as Latin-1; without
// NULs.
std::string as_utf8(std::string_view bytes);

}  // namespace ingle::pixels
