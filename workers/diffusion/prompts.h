// PromptEncoder: words to what denoisers take, by a family's tokenizers and text encoders, on an
// executor. One thread; blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/denoiser.h"
#include "diffusion/family.h"
#include "text/prompt_chunks.h"

namespace ingle::diffusion {

struct PromptUse {
  std::int64_t clip_skip = 0;           // layers of CLIP left out at the end
  std::int64_t clip_skip_negative = 0;  // the same for the negative prompt
  text::PromptOptions options{};        // of CLIP's prompts
  std::int64_t tokens_max = 0;          // of T5 and Qwen3; 0: the model's own
  bool operator==(const PromptUse& other) const {
    return clip_skip == other.clip_skip && clip_skip_negative == other.clip_skip_negative &&
           options.syntax == other.options.syntax &&
           options.long_prompts == other.options.long_prompts && tokens_max == other.tokens_max;
  }
};

struct Prompted {
  Condition positive{};
  std::optional<Condition> negative{};
  // What the texts became, for checks: of each tokenizer, the prompt's ids and the negative's.
  std::vector<text::Ids> ids{};
};

// Of a part with another's weights in its place, by role: adapters.
using ReplacedWeights = std::map<std::string, std::unique_ptr<tensor::WeightSource>>;

class PromptEncoder {
 public:
  virtual ~PromptEncoder() = default;
  // `negative`: nothing when no negative condition is wanted. Errors: limit_exceeded (a text that
  // is too long), invalid_argument (clip_skip), those of encoders and executor.
  virtual base::Result<Prompted> encode(const std::string& prompt,
                                        const std::optional<std::string>& negative,
                                        const PromptUse& use, const std::atomic<bool>& stop) = 0;
  // Packs all weights; `progress` is asked for each part's, by its role. Errors: the encoders' own.
  using RoleProgress = std::function<tensor::PackProgress(std::string_view role)>;
  virtual base::Status warm(const RoleProgress& progress) = 0;
  // Of a prompt's tokens.
  virtual std::int64_t channels() = 0;
  // Opens the encoders anew, with those weights that are replaced. Errors: the executor's.
  virtual base::Status open(const ReplacedWeights& replaced) = 0;
};

// The executor of each part, by its role.
using PartExecutors = std::function<tensor::Executor&(std::string_view role)>;

// `files` and the executors outlive it. Errors: model_broken (a part that is missing: which, and
// what to do), unsupported (an encoder that is not known), those of tokenizers and encoders.
base::Result<std::unique_ptr<PromptEncoder>> make_prompt_encoder(Family family,
                                                                 const weights::ModelFiles& files,
                                                                 const PartExecutors& executors);
// By kind of encoder; each in its own file.
base::Result<std::unique_ptr<PromptEncoder>> make_clip_prompts(Family family,
                                                               const weights::ModelFiles& files,
                                                               const PartExecutors& executors);
base::Result<std::unique_ptr<PromptEncoder>> make_flux_prompts(const weights::ModelFiles& files,
                                                               const PartExecutors& executors);
base::Result<std::unique_ptr<PromptEncoder>> make_qwen_prompts(Family family,
                                                               const weights::ModelFiles& files,
                                                               const PartExecutors& executors);

}  // namespace ingle::diffusion
