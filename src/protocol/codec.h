// Wire structs to JSON text and back. The codecs are instantiated in codec.cpp (glaze stays there)
// for every type of wire_types.h. Absent optionals are left out; unknown members are ignored when
// decoding, so that an older reader can read a newer writer. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::protocol {

template <class T>
std::string encode(const T& value);

// Errors: malformed (with what and where), limit_exceeded (deeper than 64, or over 64 MiB).
template <class T>
base::Result<T> decode(std::string_view json);

}  // namespace ingle::protocol
