// StepCache: a transformer of flux.h, flux2.h or z_image.h in three parts, so that a step can use
// again what the later blocks added in an earlier step. Between neighbouring steps the stream
// changes little; how little is told by the first block, which always runs: when what it adds has
// changed by less than a threshold, the rest of the blocks is left out. ("First block caching", as
// several programs call it; with a threshold of 0 every step is computed.) One thread at a time.
//
// It costs a copy of the image stream per branch, and precision: the error is the caller's trade.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "models/joint.h"
#include "tensor/executor.h"

namespace ingle::models {

struct StepCacheOptions {
  // Largest mean absolute change of what the first block adds, relative to what it added in the
  // step whose rest is used again. 0: never; 0.1 is careful, 0.3 coarse.
  double change_max = 0;
  // Steps in a row that may be left out.
  std::int64_t reuse_max = 4;
};

class StepCache {
 public:
  // Builds one part of the transformer, such as [&](Graph& g, Part p) { build_flux(g, c, s, p); }.
  using Build = std::function<void(Graph&, Part)>;

  // Compiles the three parts. `source` is what `module` was opened with; the module outlives the
  // cache. `branches`: evaluations that go on side by side, such as with and without the prompt.
  // Errors: the graph's and the module's own.
  static base::Result<std::unique_ptr<StepCache>> create(tensor::Module& module,
                                                         const tensor::WeightSource& source,
                                                         const Build& build, std::size_t branches,
                                                         StepCacheOptions options);

  // One evaluation: the inputs of the whole graph to its "sample". Errors: the program's own.
  base::Status run(std::size_t branch, std::span<const tensor::Feed> feeds, std::span<float> sample,
                   const std::atomic<bool>& stop);
  // Forgets earlier steps: before each new picture.
  void reset();

  std::int64_t steps() const { return steps_; }          // since reset(), of all branches
  std::int64_t steps_reused() const { return reused_; }  // of those
  double change() const { return change_; }              // of the last step; infinite at first
  // Of the copies, beside its programs.
  std::uint64_t copies_bytes() const;

 private:
  struct Program {
    std::unique_ptr<tensor::Program> program{};
    std::vector<std::string> inputs{};
  };
  struct Branch {
    std::vector<float> added_first{};  // by the first block, in the step that was computed
    std::vector<float> added_rest{};   // by the others, in the same step; empty: none yet
    std::int64_t in_a_row = 0;
  };

  StepCache(StepCacheOptions options, std::size_t branches) : options_(options), all_(branches) {}
  base::Status run_part(std::size_t part, std::span<const tensor::Feed> feeds,
                        std::span<const tensor::Fetch> fetches, const std::atomic<bool>& stop);
  bool close_enough(Branch& branch);

  const StepCacheOptions options_;
  std::array<Program, 3> parts_{};  // first, rest, last
  std::vector<Branch> all_;
  std::vector<float> image_{}, text_{}, added_{}, rest_{};
  std::int64_t steps_ = 0, reused_ = 0;
  double change_ = 0;
};

}  // namespace ingle::models
