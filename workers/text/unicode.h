// What tokenizers need of Unicode: valid UTF-8, composed form, lower case, classes of characters
// and graphemes. The tables are libutf8proc's. Pure. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ingle::text {

// Every byte that is no part of a valid character becomes U+FFFD; the functions below want this.
std::string valid_utf8(std::string_view bytes);

// Normalization form C. Quadratic in the length of a run of unordered combining marks.
std::string composed(std::string_view text);

// Lower case character by character, with no regard to its neighbours (so a final sigma stays
// medial); U+0130 becomes two characters.
std::string lowered(std::string_view text);

void append_utf8(std::string& text, char32_t code);

bool is_letter(char32_t code);  // \p{L}
bool is_number(char32_t code);  // \p{N}
bool is_space(char32_t code);   // \s: the property White_Space
bool is_word(char32_t code);    // \w: letters, marks, numbers, connecting punctuation

// Bytes of the first extended grapheme cluster. `text` is not empty.
std::size_t grapheme_length(std::string_view text);

// Without the white space at its end.
std::string_view without_trailing_space(std::string_view text);

}  // namespace ingle::text
