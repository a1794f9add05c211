#include <algorithm>

#include "diffusion/prompts.h"
#include "diffusion/text_part.h"
#include "text/clip_text.h"
#include "text/t5_text.h"

namespace ingle::diffusion {
namespace {

constexpr std::int64_t kTokensDistilled = 256;  // schnell
constexpr std::int64_t kTokens = 512;           // dev
constexpr std::int64_t kTokensMin = 8;

// What its tokenizer was made for, where that is less than its family's.
std::int64_t tokens_of(const weights::ModelFiles& files, std::int64_t family) {
  const auto part = files.part("tokenizer_2");
  if (!part) return family;
  const auto config = weights::Config::load((*part)->folder / "tokenizer_config.json");
  const auto own = config ? config->integer("model_max_length", family) : family;
  return std::clamp(own, kTokensMin, family);
}

// T5's states of the padded text, filling too, and CLIP's pooled state.
class FluxPrompts : public PromptEncoder {
 public:
  FluxPrompts(TextPart<text::ClipTextEncoder> clip, TextPart<text::T5Encoder> t5,
              std::int64_t tokens)
      : clip_(std::move(clip)), t5_(std::move(t5)), tokens_(tokens) {}

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
    TRY(clip_.encoder().prepare({}, {}, progress(clip_.role())));
    return t5_.encoder().prepare({.tokens = tokens_}, progress(t5_.role()));
  }
  std::int64_t channels() override { return t5_.encoder().config().width; }
  base::Status open(const ReplacedWeights& replaced) override {
    TRY(clip_.open(replaced));
    return t5_.open(replaced);
  }

 private:
  base::Result<Condition> condition(const std::string& prompt, const PromptUse& use,
                                    std::vector<text::Ids>& all, const std::atomic<bool>& stop) {
    const auto tokens = use.tokens_max > 0 ? use.tokens_max : tokens_;
    TRY_ASSIGN(const auto words, clip_.tokenizer().encode(prompt));
    const auto clip_ids = text::fitted(clip_.tokenizer().specials(), words, text::kChunkIds);
    TRY_ASSIGN(const auto pooled, clip_.encoder().encode(clip_ids, {}, {}, stop));
    TRY_ASSIGN(const auto pieces, t5_.tokenizer().encode(prompt));
    const auto t5_ids =
        text::fitted(t5_.tokenizer().specials(), pieces, static_cast<std::size_t>(tokens));
    TRY_ASSIGN(auto states, t5_.encoder().encode(t5_ids, {}, 1, tokens, stop));
    all.push_back(clip_ids);
    all.push_back(t5_ids);
    return Condition{
        .tokens = tokens, .context = std::move(states.hidden), .pooled = pooled.pooled};
  }

  TextPart<text::ClipTextEncoder> clip_;
  TextPart<text::T5Encoder> t5_;
  const std::int64_t tokens_;
};

}  // namespace

base::Result<std::unique_ptr<PromptEncoder>> make_flux_prompts(const weights::ModelFiles& files,
                                                               const PartExecutors& executors) {
  TRY_ASSIGN(auto clip,
             TextPart<text::ClipTextEncoder>::create(
                 files, "text_encoder", text::TokenizerKind::clip, executors("text_encoder")));
  TRY_ASSIGN(auto t5, TextPart<text::T5Encoder>::create(files, "text_encoder_2",
                                                        text::TokenizerKind::unigram,
                                                        executors("text_encoder_2")));
  TRY_ASSIGN(const auto* const transformer, files.part("transformer"));
  const bool guided = transformer->config.flag("guidance_embeds", false);
  return std::make_unique<FluxPrompts>(std::move(clip), std::move(t5),
                                       tokens_of(files, guided ? kTokens : kTokensDistilled));
}

}  // namespace ingle::diffusion
