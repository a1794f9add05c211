// What golden cases of pipelines share: settings that only their READMEs state, noise from the
// case, and pictures drawn with it item by item. For golden-check. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/drawing.h"
#include "diffusion/family.h"
#include "diffusion/golden_check.h"

namespace ingle::diffusion {

// The number behind the first of `words` that the text has, such as "CFG " in "CFG 7.5".
std::optional<double> stated(std::string_view text, std::initializer_list<std::string_view> words);
std::string readme_of(const models::GoldenCase& golden);

// Noise that the case has; every use has a tensor's name.
class GoldenNoise : public NoiseSource {
 public:
  GoldenNoise(const models::GoldenCase& golden, std::map<NoiseUse, std::string> names)
      : golden_(golden), names_(std::move(names)) {}
  base::Status fill(NoiseUse use, std::size_t evaluation, std::span<float> planes) override;
  std::size_t item = 0;

 private:
  const models::GoldenCase& golden_;
  const std::map<NoiseUse, std::string> names_;
};

// A model of a case, open on an executor. Not moved, since its parts refer to each other.
struct GoldenModel {
  weights::ModelFiles files{};
  Family family{};
  std::unique_ptr<Denoiser> denoiser{};
  std::unique_ptr<VaeStage> vae{};
  SchedulerConfig scheduler{};
};
// `replaced`: roles with folders of the case that are used instead. Errors: those of the parts.
base::Result<std::unique_ptr<GoldenModel>> open_golden(
    const models::GoldenCase& golden, tensor::Executor& executor,
    std::map<std::string, std::filesystem::path> replaced = {});

// One run of a case: a drawing, and where in io.safetensors it is compared: "TAG.out.latents", ...
struct Shot {
  std::string tag{};  // with the dot at its end, or empty
  Drawing drawing{};
  std::map<NoiseUse, std::string> noise{};
  std::string outputs = "out.";
};
// Draws every item of the batch and compares all that the case has of it.
base::Status run_shot(const models::GoldenCase& golden, GoldenModel& model, const Shot& shot,
                      const std::vector<Condition>& positive,
                      const std::vector<Condition>& negative, Comparisons& out);

// Item i of a tensor's first axis; the last one there is when it has fewer.
std::span<const float> item_of(const models::GoldenTensor& tensor, std::size_t i);

// "PREFIXprompt_embeds" and what goes with it, an element per batch item; empty when not there.
std::vector<Condition> conditions_of(const models::GoldenCase& golden, std::string_view prefix);
// [1, 3, h, w] from 0 to 1, or [h, w, 3] from 0 to 255. Errors: not_found, malformed.
base::Result<Pixels> golden_pixels(const models::GoldenCase& golden, std::string_view name);

}  // namespace ingle::diffusion
