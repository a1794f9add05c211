// Golden cases: folders with a small model, its inputs and what a reference implementation computed
// from them (tests/golden/diffusion and folders of the same form). Loads one, runs graphs on an
// executor and compares. For tests and golden-check; no worker uses it. Single-threaded; blocks.
//
//   case.json          name, kind, largest absolute errors that are allowed in f32
//   config.json        the model's configuration      } of single models
//   model.safetensors  its weights, f32               }
//   io.safetensors     "in.*", "out.*", "act.*" (within the model): f32, i32, u8, PyTorch's order
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"
#include "tensor/memory_weights.h"
#include "weights/config.h"

namespace ingle::models {

// i32 and u8 are widened: all of them are small, so nothing is lost.
struct GoldenTensor {
  tensor::Shape shape{};
  std::vector<float> data{};

  std::vector<std::int32_t> ids() const;
};
using GoldenTensors = std::map<std::string, GoldenTensor, std::less<>>;

// All tensors of a safetensors file, at most 1 GiB. Errors: not_found, io_error, malformed.
base::Result<GoldenTensors> load_tensors(const std::filesystem::path& file);

// [n, c, h, w] to [n, h, w, c], and back. Other ranks stay as they are.
GoldenTensor channels_last(GoldenTensor from);
GoldenTensor channels_first(GoldenTensor from);

struct GoldenCase {
  std::string name{};
  std::string kind{};
  std::filesystem::path folder{};
  weights::Config about{};   // case.json
  weights::Config config{};  // config.json; empty when there is none
  tensor::MemoryWeights weights{};
  GoldenTensors tensors{};

  // Errors: not_found, which names the tensor.
  base::Result<GoldenTensor> read(std::string_view tensor) const;
  // Errors: also malformed, when it is empty or has another number of axes.
  base::Result<GoldenTensor> read(std::string_view tensor, std::size_t rank) const;
  // Largest absolute error that is allowed of `what` ("latents", "image"), else of "default".
  double allowed(std::string_view what = "default") const;
};
// Errors: those of load_tensors and of weights::Config::load.
base::Result<GoldenCase> load_case(const std::filesystem::path& folder);

// One tensor as it was computed beside as it should be.
struct Comparison {
  std::string name{};  // in io.safetensors, such as "act.down.0"
  double largest = 0;  // absolute difference; infinite for values that are no numbers
  double allowed = 0;
  double relative = 0;  // root of the mean squared difference over that of what is expected

  bool good() const { return largest <= allowed; }
  // "act.down.0: largest error 1.2e-06, allowed 2.0e-04, relative 3.1e-07".
  std::string text() const;
};
// `computed` may have more batch items than `expected`, which are then not looked at: some cases
// hold the first one only. Errors: invalid_argument when the sizes do not meet otherwise.
base::Result<Comparison> compare(std::string_view name, std::span<const float> computed,
                                 const GoldenTensor& expected, double allowed);

// Runs `graph` with weights from `source` and compares every output NAME of it for which the case
// has "out.NAME" or "act.NAME"; [n, c, h, w] is turned into the graph's [n, h, w, c]. Errors: the
// executor's and the graph's own, not_found when nothing is there to compare.
base::Result<std::vector<Comparison>> run_graph(const GoldenCase& golden,
                                                tensor::Executor& executor,
                                                const tensor::WeightSource& source,
                                                const tensor::Graph& graph,
                                                std::span<const tensor::Feed> feeds);

// All outputs of a graph, by name, as they are (channels-last).
base::Result<std::map<std::string, std::vector<float>>> run_all(
    tensor::Executor& executor, const tensor::WeightSource& source, const tensor::Graph& graph,
    std::span<const tensor::Feed> feeds);

// "out.*" and "act.*" that no comparison has looked at: what a test must not forget.
std::vector<std::string> not_compared(const GoldenCase& golden,
                                      std::span<const Comparison> comparisons);
// The comparison that is furthest over what is allowed, or nearest to it. `comparisons` not empty.
const Comparison& worst(std::span<const Comparison> comparisons);

}  // namespace ingle::models
