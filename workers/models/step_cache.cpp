#include "models/step_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/check.h"

namespace ingle::models {
namespace {

constexpr std::array kParts{Part::first, Part::rest, Part::last};

std::vector<std::string> outputs_of(Part part) {
  if (part == Part::first)
    return {std::string(kCacheImage), std::string(kCacheText), std::string(kCacheAdded)};
  if (part == Part::rest) return {std::string(kCacheRest)};
  return {"sample"};
}

std::size_t elements(const Graph& graph, std::string_view output) {
  const auto found = std::ranges::find(graph.outputs(), output, &tensor::Output::name);
  CHECK(found != graph.outputs().end(), "a part has its outputs");
  return static_cast<std::size_t>(graph.shape(found->tensor).elements());
}

}  // namespace

base::Result<std::unique_ptr<StepCache>> StepCache::create(tensor::Module& module,
                                                           const tensor::WeightSource& source,
                                                           const Build& build, std::size_t branches,
                                                           StepCacheOptions options) {
  CHECK(branches >= 1, "something to evaluate");
  std::unique_ptr<StepCache> out(new StepCache(options, branches));
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    Graph graph(source);
    build(graph, kParts[i]);
    TRY(graph.status());
    const auto outputs = outputs_of(kParts[i]);
    TRY_ASSIGN(out->parts_[i].program, module.compile(graph, outputs));
    for (const auto& node : graph.nodes())
      if (node.op == tensor::Op::input) out->parts_[i].inputs.push_back(node.names[0]);
    if (kParts[i] == Part::first) {
      out->image_.resize(elements(graph, kCacheImage));
      out->text_.resize(elements(graph, kCacheText));
      out->added_.resize(elements(graph, kCacheAdded));
      out->rest_.resize(out->image_.size());
    }
  }
  return out;
}

base::Status StepCache::run_part(std::size_t part, std::span<const tensor::Feed> feeds,
                                 std::span<const tensor::Fetch> fetches,
                                 const std::atomic<bool>& stop) {
  const tensor::Feed own[]{{kCacheImage, std::span<const float>(image_)},
                           {kCacheText, std::span<const float>(text_)},
                           {kCacheRest, std::span<const float>(rest_)}};
  std::vector<tensor::Feed> wanted;
  for (const auto& name : parts_[part].inputs) {
    const auto given = std::ranges::find(feeds, name, &tensor::Feed::name);
    const auto kept = std::ranges::find(own, name, &tensor::Feed::name);
    CHECK(given != feeds.end() || kept != std::end(own), "every input is fed");
    wanted.push_back(given != feeds.end() ? *given : *kept);
  }
  return parts_[part].program->run(wanted, fetches, stop);
}

bool StepCache::close_enough(Branch& branch) {
  change_ = std::numeric_limits<double>::infinity();
  if (branch.added_rest.empty()) return false;
  double changed = 0, before = 0;
  for (std::size_t i = 0; i < added_.size(); ++i) {
    changed += std::abs(double{added_[i]} - double{branch.added_first[i]});
    before += std::abs(double{branch.added_first[i]});
  }
  if (before > 0) change_ = changed / before;
  return change_ < options_.change_max && branch.in_a_row < options_.reuse_max;
}

base::Status StepCache::run(std::size_t branch_number, std::span<const tensor::Feed> feeds,
                            std::span<float> sample, const std::atomic<bool>& stop) {
  CHECK(branch_number < all_.size(), "a branch of this cache");
  auto& branch = all_[branch_number];
  const tensor::Fetch first[]{{kCacheImage, image_}, {kCacheText, text_}, {kCacheAdded, added_}};
  TRY(run_part(0, feeds, first, stop));
  const bool reuse = close_enough(branch);
  if (reuse) {
    for (std::size_t i = 0; i < rest_.size(); ++i) rest_[i] = image_[i] + branch.added_rest[i];
    ++branch.in_a_row;
  } else {
    const tensor::Fetch rest[]{{kCacheRest, rest_}};
    TRY(run_part(1, feeds, rest, stop));
    branch.in_a_row = 0;
    if (options_.change_max > 0) {
      branch.added_first = added_;
      branch.added_rest.resize(rest_.size());
      for (std::size_t i = 0; i < rest_.size(); ++i) branch.added_rest[i] = rest_[i] - image_[i];
    }
  }
  const tensor::Fetch last[]{{"sample", sample}};
  TRY(run_part(2, feeds, last, stop));
  ++steps_;
  if (reuse) ++reused_;
  return {};
}

void StepCache::reset() {
  for (auto& branch : all_) branch = {};
  steps_ = reused_ = 0;
  change_ = 0;
}

std::uint64_t StepCache::copies_bytes() const {
  auto floats = image_.size() + text_.size() + added_.size() + rest_.size();
  for (const auto& branch : all_) floats += branch.added_first.size() + branch.added_rest.size();
  return floats * sizeof(float);
}

}  // namespace ingle::models
