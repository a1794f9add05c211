// The syntax of weights in prompts, as it is common among Stable Diffusion's users:
//   (text)      weight times 1.1; ((text)): twice
//   (text:1.3)  weight times 1.3
//   [text]      weight divided by 1.1
//   \( \) \[ \] \\   the sign itself
//   BREAK       as a word: what follows begins a new chunk of tokens
// A bracket that is not closed reaches to the end; one that was not opened is a sign like any
// other. Pure. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingle::text {

// Weights, after all brackets, stay within these.
inline constexpr double kWeightMax = 16;

struct WeightedText {
  std::string text{};
  double weight = 1;
  bool chunk_break = false;  // a BREAK instead of a text
  bool operator==(const WeightedText&) const = default;
};

// Pieces in order; neighbours of equal weight are one. At least one piece, which may be empty.
std::vector<WeightedText> parse_prompt(std::string_view prompt);

}  // namespace ingle::text
