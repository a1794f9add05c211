// Golden cases of FLUX.1, FLUX.2 and Z-Image: their inputs as the graphs want them, run and
// compared. For tests and golden-check. Single-threaded; blocks.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/golden_case.h"
#include "models/joint.h"

namespace ingle::models {

// What a run is fed, with the numbers that it points to. Not copied, so that they stay in place.
class FeedStore {
 public:
  FeedStore() = default;
  FeedStore(const FeedStore&) = delete;
  FeedStore& operator=(const FeedStore&) = delete;
  FeedStore(FeedStore&&) = default;
  FeedStore& operator=(FeedStore&&) = default;

  void add(std::string_view name, std::vector<float> data);
  std::span<const tensor::Feed> feeds() const { return feeds_; }
  // Those that are inputs of `graph`, of which every one must be here.
  base::Result<std::vector<tensor::Feed>> for_graph(const tensor::Graph& graph) const;

 private:
  std::deque<std::pair<std::string, std::vector<float>>> values_{};
  std::vector<tensor::Feed> feeds_{};
};

// One evaluation of a case: how its graph is built, and what it is fed.
struct JointRun {
  std::function<void(Graph&, Part)> build{};
  FeedStore inputs{};
};
// Of a case of the kinds "flux_transformer" and "flux2_transformer". Errors: those of the
// configuration, not_found (a tensor of the case), unsupported (another kind).
base::Result<JointRun> joint_run(const GoldenCase& golden);
// Of item `item` of a case of the kind "z_image_transformer".
base::Result<JointRun> z_image_run(const GoldenCase& golden, std::int64_t item);

// Runs a case of any of the three kinds and compares all of it, valid rows only.
base::Result<std::vector<Comparison>> run_joint_case(const GoldenCase& golden,
                                                     tensor::Executor& executor);

}  // namespace ingle::models
