// How texts are cut into words before the pairs of each are merged: the regular expressions that
// CLIP and Qwen were trained with, written out. Pure. Any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ingle::text {

// Whether CLIP's expression has the alternatives <|startoftext|> and <|endoftext|>: newer files.
enum class ClipWords : std::uint8_t { plain, with_specials };

// 's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+ ; what it does not match, white space,
// is dropped. `text` is in lower case.
std::vector<std::string_view> clip_words(std::string_view text, ClipWords kind);

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+ ; nothing is dropped.
std::vector<std::string_view> qwen_words(std::string_view text);

}  // namespace ingle::text
