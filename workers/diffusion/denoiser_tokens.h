// TokenDenoiser: what the transformers have in common: one evaluation for each branch, tokens
// instead of maps, inputs that stay for the whole picture, and the step cache. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/denoiser.h"
#include "models/joint.h"
#include "models/step_cache.h"

namespace ingle::diffusion {

class TokenDenoiser : public Denoiser {
 public:
  const Traits& traits() const override { return traits_; }
  PartPrograms& programs() override { return *programs_; }
  base::Status replace_weights(const tensor::WeightSource& weights) override {
    caches_.clear();  // their programs end before the module that they are of
    return programs_->replace_weights(weights);
  }
  base::Status begin(const DenoiserRun& run, const tensor::PackProgress& progress) override;
  base::Status predict(const Evaluation& evaluation, std::span<float> out,
                       const std::atomic<bool>& stop) override;

  std::uint64_t caches_bytes() const override;
  void forget() override { caches_.clear(); }

 protected:
  explicit TokenDenoiser(std::unique_ptr<PartPrograms> programs) : programs_(std::move(programs)) {}

  using Inputs = std::vector<std::pair<std::string, std::vector<float>>>;
  struct Branch {
    std::string key{};  // says all that `build` depends on
    std::function<void(tensor::Graph&, models::Part)> build{};
    Inputs inputs{};  // of the whole picture
    std::size_t sample_values = 0;
  };
  virtual Branch make_branch(const DenoiserRun& run, const Condition& condition) const = 0;
  virtual std::vector<float> time_input(float timestep) const = 0;
  // All tokens of the pictures: of the latents, then of references.
  virtual std::vector<float> to_tokens(std::span<const float> latents) const = 0;
  // A sample's tokens to the map of what is predicted.
  virtual std::vector<float> from_tokens(std::span<const float> tokens) const = 0;
  virtual std::string_view tokens_name() const { return "hidden_states"; }

  Traits traits_{};
  DenoiserRun run_{};

 private:
  struct Cache {
    std::string key{};
    std::unique_ptr<models::StepCache> steps{};
  };
  base::Result<models::StepCache*> step_cache(std::size_t branch);

  std::unique_ptr<PartPrograms> programs_;
  std::vector<Branch> branches_{};
  std::vector<Cache> caches_{};  // one a branch, while the sizes stay
};

}  // namespace ingle::diffusion
