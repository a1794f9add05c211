#include "text/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/unicode.h"

namespace ingle::text {
namespace {

// The character that ends before `offset`.
char32_t char_before(std::string_view text, std::size_t offset) {
  auto start = offset - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return base::first_char(text.substr(start, offset - start)).code;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word(char_before(text, begin))) return false;
  return end == text.size() || !is_word(base::first_char(text.substr(end)).code);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::ranges::stable_sort(tokens_, std::ranges::greater{},
                           [](const AddedToken& token) { return token.content.size(); });
  for (std::uint32_t i = 0; i < tokens_.size(); ++i)
    by_first_[static_cast<unsigned char>(tokens_[i].content[0])].push_back(i);
}

const AddedToken* AddedTokens::begins(std::string_view text) const {
  for (const auto i : by_first_[static_cast<unsigned char>(text[0])])
    if (text.starts_with(tokens_[i].content)) return &tokens_[i];
  return nullptr;
}

std::vector<TextPart> AddedTokens::split(std::string_view text) const {
  std::vector<TextPart> out;
  std::size_t done = 0;  // everything before is in `out`
  for (std::size_t offset = 0; offset < text.size();) {
    const auto* token = begins(text.substr(offset));
    if (token == nullptr) {
      ++offset;
      continue;
    }
    auto begin = offset;
    auto end = offset + token->content.size();
    offset = end;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->strip_left)
      begin = std::max(done, without_trailing_space(text.substr(0, begin)).size());
    while (token->strip_right && end < text.size()) {
      const auto next = base::first_char(text.substr(end));
      if (!is_space(next.code)) break;
      end += next.length;
    }
    if (begin > done) out.push_back({.text = text.substr(done, begin - done)});
    out.push_back({.text = text.substr(begin, end - begin), .id = token->id});
    done = offset = end;
  }
  if (done < text.size()) out.push_back({.text = text.substr(done)});
  return out;
}

}  // namespace ingle::text
