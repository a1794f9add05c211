#include <algorithm>
#include <format>

#include "diffusion/prompts.h"
#include "diffusion/text_part.h"
#include "text/clip_text.h"

namespace ingle::diffusion {
namespace {

using text::ClipHidden;
using text::ClipTextEncoder;
using text::PromptChunks;

// SD: one encoder, the hidden state through the final norm. SDXL: two side by side, the one before
// the last without it, and the second's pooled state.
class ClipPrompts : public PromptEncoder {
 public:
  ClipPrompts(std::vector<TextPart<ClipTextEncoder>> parts, bool sdxl, bool zeros)
      : parts_(std::move(parts)), sdxl_(sdxl), zeros_(zeros) {}

  base::Result<Prompted> encode(const std::string& prompt,
                                const std::optional<std::string>& negative, const PromptUse& use,
                                const std::atomic<bool>& stop) override {
    Prompted out;
    std::vector<PromptChunks> positive, other;
    std::size_t count = 1;
    for (auto& part : parts_) {
      TRY_ASSIGN(positive.emplace_back(),
                 text::chunk_prompt(part.tokenizer(), prompt, use.options));
      TRY_ASSIGN(other.emplace_back(),
                 text::chunk_prompt(part.tokenizer(), negative.value_or(""), use.options));
      count = std::max({count, positive.back().count(), negative ? other.back().count() : 1});
    }
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const auto& specials = parts_[i].tokenizer().specials();
      text::fill_chunks(positive[i], count, specials);
      if (negative) text::fill_chunks(other[i], count, specials);
      out.ids.push_back(positive[i].ids);
      out.ids.push_back(other[i].ids);
    }
    TRY_ASSIGN(out.positive, condition(positive, use.clip_skip, stop));
    if (!negative) return out;
    if (sdxl_ && zeros_ && negative->empty()) {
      out.negative = out.positive;
      std::ranges::fill(out.negative->context, 0.0f);
      std::ranges::fill(out.negative->pooled, 0.0f);
    } else {
      TRY_ASSIGN(out.negative, condition(other, use.clip_skip_negative, stop));
    }
    return out;
  }

  base::Status warm(const RoleProgress& progress) override {
    for (auto& part : parts_)
      TRY(part.encoder().prepare({}, hidden(part, 0), progress(part.role())));
    return {};
  }
  std::int64_t channels() override {
    std::int64_t out = 0;
    for (auto& part : parts_) out += part.encoder().config().width;
    return out;
  }
  base::Status open(const ReplacedWeights& replaced) override {
    for (auto& part : parts_) TRY(part.open(replaced));
    return {};
  }

 private:
  ClipHidden hidden(TextPart<ClipTextEncoder>& part, std::int64_t skip) const {
    if (!sdxl_) return {.skip = skip, .final_norm = true, .pooled = false};
    return {.skip = skip + 1, .final_norm = false, .pooled = &part == &parts_.back()};
  }

  base::Result<Condition> condition(const std::vector<PromptChunks>& chunks, std::int64_t skip,
                                    const std::atomic<bool>& stop) {
    if (skip < 0 || skip + 1 >= parts_[0].encoder().config().layers)
      return base::fail(base::ErrorCode::invalid_argument,
                        std::format("clip_skip must be from 0 to {} with this model, not {}",
                                    parts_[0].encoder().config().layers - 2, skip));
    std::vector<text::Embeddings> all;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const text::ClipTextSizes sizes{static_cast<std::int64_t>(chunks[i].count()),
                                      static_cast<std::int64_t>(text::kChunkIds)};
      TRY_ASSIGN(auto made,
                 parts_[i].encoder().encode(chunks[i].ids, sizes, hidden(parts_[i], skip), stop));
      weigh(made, chunks[i]);
      all.push_back(std::move(made));
    }
    Condition out{.tokens = all[0].items * all[0].tokens};
    for (std::size_t row = 0; row < static_cast<std::size_t>(out.tokens); ++row)
      for (const auto& made : all) {
        const auto width = static_cast<std::size_t>(made.width);
        const auto values = std::span(made.hidden).subspan(row * width, width);
        out.context.insert(out.context.end(), values.begin(), values.end());
      }
    // Of several chunks the first is pooled.
    const auto& last = all.back();
    out.pooled.assign(last.pooled.begin(), last.pooled.begin() + last.pooled_width);
    return out;
  }

  static void weigh(text::Embeddings& made, const PromptChunks& chunks) {
    if (!chunks.weighted()) return;
    const auto each = text::kChunkIds * static_cast<std::size_t>(made.width);
    for (std::size_t chunk = 0; chunk < chunks.count(); ++chunk)
      text::apply_weights(
          std::span(made.hidden).subspan(chunk * each, each),
          std::span(chunks.weights).subspan(chunk * text::kChunkIds, text::kChunkIds));
  }

  std::vector<TextPart<ClipTextEncoder>> parts_;
  const bool sdxl_;
  const bool zeros_;  // no negative prompt is zeros, not an empty text
};

}  // namespace

base::Result<std::unique_ptr<PromptEncoder>> make_clip_prompts(Family family,
                                                               const weights::ModelFiles& files,
                                                               const PartExecutors& executors) {
  const bool sdxl = family == Family::sdxl;
  std::vector<TextPart<ClipTextEncoder>> parts;
  for (const std::string_view role : {"text_encoder", "text_encoder_2"}) {
    if (parts.size() == (sdxl ? 2 : 1)) break;
    TRY_ASSIGN(auto part, TextPart<ClipTextEncoder>::create(files, role, text::TokenizerKind::clip,
                                                            executors(role)));
    parts.push_back(std::move(part));
  }
  return std::make_unique<ClipPrompts>(std::move(parts), sdxl,
                                       files.index.flag("force_zeros_for_empty_prompt", true));
}

}  // namespace ingle::diffusion
