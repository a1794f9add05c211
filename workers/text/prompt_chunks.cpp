#include "text/prompt_chunks.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <numeric>

#include "base/check.h"
#include "text/prompt_syntax.h"
#include "text/sentencepiece_tokenizer.h"

namespace ingle::text {
namespace {

// How far back a full chunk looks for a comma to end at.
constexpr std::size_t kCommaTokens = 20;

struct Token {
  std::int32_t id = 0;
  float weight = 1;
};

class Chunker {
 public:
  // `comma`: the id that full chunks end at; -1: they end where they are full.
  Chunker(const Specials& specials, std::int32_t comma) : specials_(specials), comma_(comma) {}

  void add(Token token) {
    if (open_.size() == kChunkTokens && token.id == comma_)
      close();
    else if (open_.size() == kChunkTokens)
      make_room();
    open_.push_back(token);
  }
  // Ends the chunk.
  void close() {
    Ids ids;
    for (const auto& token : open_) ids.push_back(token.id);
    const auto fitted_ids = fitted(specials_, ids, kChunkIds);
    out_.ids.insert(out_.ids.end(), fitted_ids.begin(), fitted_ids.end());
    const auto begin = out_.weights.size();
    out_.weights.resize(begin + kChunkIds, 1);
    for (std::size_t i = 0; i < open_.size(); ++i) out_.weights[begin + 1 + i] = open_[i].weight;
    open_.clear();
  }
  PromptChunks finish() {
    if (!open_.empty() || out_.ids.empty()) close();
    return std::move(out_);
  }
  std::size_t count() const { return out_.count(); }

 private:
  // The open chunk is full: what follows its last comma goes on in the next one.
  void make_room() {
    const auto commas = std::ranges::find_last(open_, comma_, &Token::id);
    const auto rest = commas.empty() ? kChunkTokens : commas.size() - 1;
    std::vector<Token> next;
    if (rest < kCommaTokens) {
      next.assign(open_.end() - static_cast<std::ptrdiff_t>(rest), open_.end());
      open_.resize(open_.size() - rest);
    }
    close();
    open_ = std::move(next);
  }

  const Specials& specials_;
  std::int32_t comma_;
  std::vector<Token> open_;
  PromptChunks out_;
};

}  // namespace

bool PromptChunks::weighted() const {
  return std::ranges::any_of(weights, [](float weight) { return weight != 1; });
}

base::Result<PromptChunks> chunk_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                        const PromptOptions& options) {
  TRY(check_length(prompt));
  TRY_ASSIGN(const auto comma, tokenizer.encode(","));
  const bool at_commas = options.long_prompts && comma.size() == 1;
  Chunker chunker(tokenizer.specials(), at_commas ? comma[0] : -1);
  std::vector<WeightedText> parts;
  if (options.syntax)
    parts = parse_prompt(prompt);
  else
    parts.push_back({.text = std::string(prompt)});
  for (const auto& part : parts) {
    if (part.chunk_break && options.long_prompts) chunker.close();
    TRY_ASSIGN(const auto ids, tokenizer.encode(part.text));
    for (const auto id : ids) chunker.add({.id = id, .weight = static_cast<float>(part.weight)});
    if (options.long_prompts && chunker.count() > kChunksMax)
      return base::fail(
          base::ErrorCode::limit_exceeded,
          std::format("the prompt has more than {} tokens: shorten it", kChunksMax * kChunkTokens));
  }
  auto out = chunker.finish();
  if (!options.long_prompts && out.count() > 1) {
    out.ids.resize(kChunkIds);
    out.weights.resize(kChunkIds);
  }
  return out;
}

void fill_chunks(PromptChunks& chunks, std::size_t count, const Specials& specials) {
  const auto empty = fitted(specials, {}, kChunkIds);
  while (chunks.count() < count) chunks.ids.insert(chunks.ids.end(), empty.begin(), empty.end());
  chunks.weights.resize(chunks.ids.size(), 1);
}

void apply_weights(std::span<float> hidden, std::span<const float> weights) {
  CHECK(!weights.empty() && hidden.size() % weights.size() == 0, "a weight for every row");
  const auto width = hidden.size() / weights.size();
  const auto sum = [&] { return std::accumulate(hidden.begin(), hidden.end(), 0.0); };
  const auto before = sum();
  for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] *= weights[i / width];
  const auto after = sum();
  // A mean of nearly nothing says nothing about the scale.
  if (std::abs(after) < 1e-6 * static_cast<double>(hidden.size())) return;
  const auto scale = static_cast<float>(before / after);
  for (auto& value : hidden) value *= scale;
}

}  // namespace ingle::text
