#include <algorithm>
#include <format>

#include "diffusion/prompts.h"
#include "diffusion/text_part.h"
#include "text/qwen3_text.h"

namespace ingle::diffusion {
namespace {

constexpr std::int64_t kTokens = 512;
// Z-Image's captions are padded to multiples of this anyway, and so fewer programs are made.
constexpr std::int64_t kTokensMultiple = 32;

// FLUX.2: all rows of the padded text. Z-Image: the rows of the text alone.
class QwenPrompts : public PromptEncoder {
 public:
  QwenPrompts(TextPart<text::Qwen3Encoder> part, Family family)
      : part_(std::move(part)), padded_(family == Family::flux2) {}

  base::Result<Prompted> encode(const std::string& prompt,
                                const std::optional<std::string>& negative, const PromptUse& use,
                                const std::atomic<bool>& stop) override {
    Prompted out;
    TRY_ASSIGN(out.positive, condition(prompt, use, out.ids, stop));
    if (negative) {
      TRY_ASSIGN(out.negative, condition(*negative, use, out.ids, stop));
    }
    return out;
  }

  base::Status warm(const RoleProgress& progress) override {
    const auto tokens = padded_ ? kTokens : 2 * kTokensMultiple;
    return part_.encoder().prepare({.tokens = tokens, .masked = true}, layers(),
                                   progress(part_.role()));
  }
  std::int64_t channels() override {
    return part_.encoder().config().width * static_cast<std::int64_t>(layers().size());
  }
  base::Status open(const ReplacedWeights& replaced) override { return part_.open(replaced); }

 private:
  text::Qwen3Layers layers() {
    const auto& config = part_.encoder().config();
    return padded_ ? text::flux2_layers(config) : text::z_image_layers(config);
  }

  base::Result<Condition> condition(const std::string& prompt, const PromptUse& use,
                                    std::vector<text::Ids>& all, const std::atomic<bool>& stop) {
    const auto most = use.tokens_max > 0 ? use.tokens_max : kTokens;
    const auto thinking = padded_ ? text::Qwen3Thinking::none : text::Qwen3Thinking::open;
    TRY_ASSIGN(const auto words, part_.tokenizer().encode(text::qwen3_chat(prompt, thinking)));
    const auto& specials = part_.tokenizer().specials();
    auto tokens = most;
    if (!padded_) {
      const auto length =
          std::clamp(static_cast<std::int64_t>(words.size()), std::int64_t{1}, most);
      tokens = (length + kTokensMultiple - 1) / kTokensMultiple * kTokensMultiple;
      tokens = std::max(std::min(tokens, most), length);
    }
    std::size_t used = 0;
    const auto ids = text::fitted(specials, words, static_cast<std::size_t>(tokens), &used);
    std::vector<std::int32_t> mask(ids.size());
    std::fill_n(mask.begin(), used, 1);
    TRY_ASSIGN(auto states, part_.encoder().encode(ids, mask, 1, tokens, layers(), stop));
    if (!padded_) {
      tokens = static_cast<std::int64_t>(std::max<std::size_t>(used, 1));
      states.hidden.resize(static_cast<std::size_t>(tokens * states.width));
    }
    all.push_back(ids);
    return Condition{.tokens = tokens, .context = std::move(states.hidden)};
  }

  TextPart<text::Qwen3Encoder> part_;
  const bool padded_;
};

}  // namespace

base::Result<std::unique_ptr<PromptEncoder>> make_qwen_prompts(Family family,
                                                               const weights::ModelFiles& files,
                                                               const PartExecutors& executors) {
  TRY_ASSIGN(const auto* const part, files.part("text_encoder"));
  if (!part->kind.starts_with("Qwen3"))
    return base::fail(base::ErrorCode::unsupported,
                      std::format("the text encoder '{}' is not known here; FLUX.2 klein and "
                                  "Z-Image with Qwen3 are",
                                  part->kind));
  TRY_ASSIGN(auto encoder,
             TextPart<text::Qwen3Encoder>::create(files, "text_encoder", text::TokenizerKind::qwen,
                                                  executors("text_encoder")));
  return std::make_unique<QwenPrompts>(std::move(encoder), family);
}

base::Result<std::unique_ptr<PromptEncoder>> make_prompt_encoder(Family family,
                                                                 const weights::ModelFiles& files,
                                                                 const PartExecutors& executors) {
  switch (family) {
    case Family::sd1:
    case Family::sd2:
    case Family::sdxl:
      return make_clip_prompts(family, files, executors);
    case Family::flux1:
      return make_flux_prompts(files, executors);
    case Family::flux2:
    case Family::z_image:
      return make_qwen_prompts(family, files, executors);
  }
  return base::fail(base::ErrorCode::internal, "a family without text encoders");
}

}  // namespace ingle::diffusion
