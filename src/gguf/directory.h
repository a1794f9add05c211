// The tensor directory of a GGUF header. Internal to this room. Pure.
#pragma once

#include "gguf/cursor.h"
#include "gguf/reader.h"

namespace ingle::gguf {

// Smallest entry: name length, dimension count, one dimension, type, offset.
inline constexpr std::uint64_t kTensorBytesMin = 8 + 4 + 8 + 4 + 8;

// Reads `count` entries at `cursor` into header.tensors, then finds the data section and checks
// that every tensor lies in it by itself. header.alignment and file_size_bytes are set before.
base::Status read_directory(Cursor& cursor, std::uint64_t count, const Limits& limits,
                            Header& header);

// The first text that comes twice; nothing when all differ.
std::optional<std::string_view> find_twice(std::vector<std::string_view> texts);

}  // namespace ingle::gguf
