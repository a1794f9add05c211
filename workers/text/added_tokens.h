// AddedTokens: tokens that are found in a text as they are spelled, before anything else looks at
// it, such as "<|im_start|>". Immutable. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingle::text {

inline constexpr std::size_t kAddedTokensMax = 8192;

struct AddedToken {
  std::string content{};
  std::int32_t id = 0;
  bool normalized = false;   // looked for in the normalised text, else in the text as it came
  bool strip_left = false;   // takes the white space before it along
  bool strip_right = false;  // and after it
  bool single_word = false;  // only where no word character is beside it
};

// A stretch of text, or a token (then `id` is not negative and `text` is as it was spelled).
struct TextPart {
  std::string_view text{};
  std::int32_t id = -1;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // Empty contents are left out.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // The leftmost tokens, of those at one place the longest; between them what is left, never empty.
  std::vector<TextPart> split(std::string_view text) const;
  // The longest token that `text`, which is not empty, begins with; nullptr: none.
  const AddedToken* begins(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;                          // longest first
  std::array<std::vector<std::uint32_t>, 256> by_first_{};  // into tokens_, by first byte
};

}  // namespace ingle::text
