// Names that somebody who wrote `word` may have meant. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingle::base {

// The nearest of `names`, nearest first, at most three: those with few changed letters, and those
// that contain the word. Words over 64 bytes have none.
std::vector<std::string> near_names(std::string_view word, std::span<const std::string> names);

// "; did you mean 'a' or 'b'?", or "" when there are none.
std::string did_you_mean(std::string_view word, std::span<const std::string> names);

}  // namespace ingle::base
