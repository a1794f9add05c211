// Wire structs to JSON text and back. The codecs are instantiated in codec.cpp for every type of
// wire_types.h, from the structs themselves: a member's name is its key, an enumerator's name its
// text. Absent optionals are left out; unknown members are ignored when decoding and missing ones
// keep their defaults, so that older and newer sides can read each other. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace ingle::protocol {

template <class T>
std::string encode(const T& value);

// null stands for an absent optional and for nothing else; whole numbers may be written as 2.0.
// Errors: malformed (member, line and column, what was expected), and those of parse_json with its
// usual limits.
template <class T>
base::Result<T> decode(std::string_view json);

}  // namespace ingle::protocol
