#include "diffusion/denoiser_tokens.h"

#include <algorithm>
#include <array>
#include <format>

namespace ingle::diffusion {
namespace {

const std::vector<std::string>& sample_output() {
  static const std::vector<std::string> outputs = {"sample"};
  return outputs;
}

}  // namespace

base::Status TokenDenoiser::begin(const DenoiserRun& run, const tensor::PackProgress& progress) {
  TRY(check(run));
  run_ = run;
  branches_.clear();
  for (const auto* condition : run.conditions) {
    branches_.push_back(make_branch(run, *condition));
    if (run.step_cache > 0) continue;
    const auto& branch = branches_.back();
    TRY(programs_->program(
        branch.key, [&](tensor::Graph& graph) { branch.build(graph, models::Part::whole); },
        sample_output(), progress));
  }
  for (std::size_t i = 0; i < branches_.size() && run.step_cache > 0; ++i) {
    TRY_ASSIGN(auto* const cache, step_cache(i));
    cache->reset();
  }
  if (run.step_cache <= 0) caches_.clear();
  return {};
}

base::Result<models::StepCache*> TokenDenoiser::step_cache(std::size_t branch) {
  caches_.resize(std::max(caches_.size(), branch + 1));
  auto& cache = caches_[branch];
  const auto key = std::format("{} {}", branches_[branch].key, run_.step_cache);
  if (cache.key != key) {
    cache = {};
    TRY_ASSIGN(cache.steps, models::StepCache::create(programs_->module(), programs_->weights(),
                                                      branches_[branch].build, 1,
                                                      {.change_max = run_.step_cache}));
    cache.key = key;
  }
  return cache.steps.get();
}

std::uint64_t TokenDenoiser::caches_bytes() const {
  std::uint64_t out = 0;
  for (const auto& cache : caches_)
    if (cache.steps != nullptr) out += cache.steps->copies_bytes();
  return out;
}

base::Status TokenDenoiser::predict(const Evaluation& evaluation, std::span<float> out,
                                    const std::atomic<bool>& stop) {
  const auto tokens = to_tokens(evaluation.latents);
  const auto time = time_input(evaluation.timestep);
  const auto size = run_.size.elements();
  std::vector<float> sample;
  for (std::size_t i = 0; i < evaluation.branches; ++i) {
    const auto& branch = branches_[i];
    std::vector<tensor::Feed> feeds = {{tokens_name(), std::span<const float>(tokens)},
                                       {"time", std::span<const float>(time)}};
    for (const auto& [name, data] : branch.inputs)
      feeds.push_back({name, std::span<const float>(data)});
    sample.resize(branch.sample_values);
    if (run_.step_cache > 0) {
      TRY_ASSIGN(auto* const cache, step_cache(i));
      TRY(cache->run(0, feeds, sample, stop));
    } else {
      TRY_ASSIGN(
          auto* const program,
          programs_->program(
              branch.key, [&](tensor::Graph& graph) { branch.build(graph, models::Part::whole); },
              sample_output()));
      const std::array fetches = {tensor::Fetch{"sample", sample}};
      TRY(program->run(feeds, fetches, stop));
    }
    const auto map = from_tokens(sample);
    std::ranges::copy(map, out.begin() + static_cast<std::ptrdiff_t>(i * size));
  }
  return {};
}

}  // namespace ingle::diffusion
