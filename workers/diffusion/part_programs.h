// PartPrograms: one part of a model (an encoder, a denoiser, a decoder) on an executor: its
// weights, packed once, and the programs for the sizes that were used lately, so that the next
// picture of a size begins at once. Programs keep no weights of their own; executors share their
// memory for activations, so that a kept program costs its plan. One thread.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/executor.h"

namespace ingle::diffusion {

class PartPrograms {
 public:
  // The least recently used program goes when one more is made.
  static constexpr std::size_t kProgramsMax = 6;

  // `executor` and `weights` outlive the part. Errors: the executor's.
  static base::Result<std::unique_ptr<PartPrograms>> create(tensor::Executor& executor,
                                                            const tensor::WeightSource& weights);

  // The program of a graph, made by `build` unless `key` has one. `key` says everything that build
  // depends on. Valid until kProgramsMax other keys were asked for. Errors: the graph's, the
  // module's.
  base::Result<tensor::Program*> program(const std::string& key,
                                         const std::function<void(tensor::Graph&)>& build,
                                         std::span<const std::string> outputs,
                                         const tensor::PackProgress& progress = {});
  // The same weights with something added: everything is packed anew. Errors: the executor's; then
  // the part is as it was.
  base::Status replace_weights(const tensor::WeightSource& weights);

  tensor::Module& module() { return *module_; }
  const tensor::WeightSource& weights() const { return *weights_; }

 private:
  struct Kept {
    std::string key{};
    std::unique_ptr<tensor::Program> program{};
  };
  PartPrograms(tensor::Executor& executor, const tensor::WeightSource& weights,
               std::unique_ptr<tensor::Module> module)
      : executor_(executor), weights_(&weights), module_(std::move(module)) {}

  tensor::Executor& executor_;
  const tensor::WeightSource* weights_;
  std::unique_ptr<tensor::Module> module_;
  std::list<Kept> kept_{};  // the latest first; before module_ in the order of ends
};

}  // namespace ingle::diffusion
