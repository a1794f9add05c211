#include "diffusion/part_programs.h"

#include <algorithm>
#include <utility>

namespace ingle::diffusion {

base::Result<std::unique_ptr<PartPrograms>> PartPrograms::create(
    tensor::Executor& executor, const tensor::WeightSource& weights) {
  TRY_ASSIGN(auto module, executor.open(weights));
  return std::unique_ptr<PartPrograms>(new PartPrograms(executor, weights, std::move(module)));
}

base::Result<tensor::Program*> PartPrograms::program(
    const std::string& key, const std::function<void(tensor::Graph&)>& build,
    std::span<const std::string> outputs, const tensor::PackProgress& progress) {
  const auto found = std::ranges::find(kept_, key, &Kept::key);
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front().program.get();
  }
  tensor::Graph graph(*weights_);
  build(graph);
  TRY(graph.status());
  while (kept_.size() >= kProgramsMax) kept_.pop_back();
  TRY_ASSIGN(auto made, module_->compile(graph, outputs, progress));
  kept_.push_front({key, std::move(made)});
  return kept_.front().program.get();
}

base::Status PartPrograms::replace_weights(const tensor::WeightSource& weights) {
  TRY_ASSIGN(auto module, executor_.open(weights));
  kept_.clear();
  module_ = std::move(module);
  weights_ = &weights;
  return {};
}

}  // namespace ingle::diffusion
