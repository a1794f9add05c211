// Goal: executors compute these transformers alike in every shape, and when nothing but the sample
// is asked for, so that they join and place operations as they do in use. Method: random sizes by
// seed, random weights and inputs, against the reference executor; in bf16 the difference is
// bounded.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "models/flux.h"
#include "models/flux2.h"
#include "models/random_joint.h"
#include "models/z_image.h"
#include "tensor/ggml_executor.h"
#include "tensor/memory_weights.h"
#include "tensor/onednn.h"
#include "tensor/reference.h"

namespace ingle::models {
namespace {

using Random = std::mt19937;

std::int64_t among(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(high - low + 1));
}

// Sizes of three axes that make up a head.
std::vector<std::int64_t> axes_of(Random& random, std::size_t count) {
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(2 * among(random, 1, 7));
  return out;
}
std::int64_t sum(const std::vector<std::int64_t>& values) {
  std::int64_t out = 0;
  for (const auto value : values) out += value;
  return out;
}

using Build = std::function<void(Graph&)>;

template <class Config>
void choose_joint(Random& random, Config& config, std::size_t axes) {
  config.rope_axes = axes_of(random, axes);
  config.head_size = sum(config.rope_axes);
  config.heads = among(random, 1, 4);
  config.double_blocks = among(random, 1, 2);
  config.single_blocks = among(random, 0, 2);
  config.in_channels = among(random, 1, 40);
  config.out_channels = among(random, 1, 40);
  config.text_channels = among(random, 1, 50);
  config.guidance = random() % 2 == 0;
}

Build random_model(Random& random) {
  const JointSizes sizes{.items = among(random, 1, 3),
                         .text_tokens = among(random, 1, 40),
                         .image_tokens = among(random, 1, 70)};
  const auto family = random() % 3;
  if (family == 0) {
    FluxConfig config;
    choose_joint(random, config, 3);
    config.pooled_channels = among(random, 1, 30);
    return [=](Graph& graph) { build_flux(graph, config, sizes); };
  }
  if (family == 1) {
    Flux2Config config;
    choose_joint(random, config, 4);
    config.hidden_channels = among(random, 1, 200);
    return [=](Graph& graph) { build_flux2(graph, config, sizes); };
  }
  ZImageConfig config;
  config.rope_axes = axes_of(random, 3);
  config.heads = among(random, 1, 4);
  config.channels = config.heads * sum(config.rope_axes);
  config.blocks = among(random, 1, 2);
  config.refiner_blocks = among(random, 0, 2);
  config.in_channels = among(random, 1, 20);
  config.caption_channels = among(random, 1, 50);
  const ZImageSizes z{.image_tokens = sizes.image_tokens,
                      .caption_tokens = z_image_padded(sizes.text_tokens)};
  return [=](Graph& graph) { build_z_image(graph, config, z); };
}

std::vector<float> sample_of(tensor::Executor& executor, const tensor::WeightSource& weights,
                             const Graph& graph, std::span<const tensor::Feed> feeds) {
  const auto module = executor.open(weights).value();
  const std::string outputs[]{"sample"};
  const auto program = module->compile(graph, outputs).value();
  const auto at = std::ranges::find(graph.outputs(), outputs[0], &tensor::Output::name);
  std::vector<float> out(static_cast<std::size_t>(graph.shape(at->tensor).elements()));
  const tensor::Fetch fetches[]{{"sample", out}};
  const std::atomic<bool> stop = false;
  for (int run = 0; run < 2; ++run) {  // the second one on memory that was used
    std::ranges::fill(out, 1e30f);
    const auto done = program->run(feeds, fetches, stop);
    EXPECT_TRUE(done) << done.error().text();
  }
  return out;
}

// Root of the mean squared difference over that of what is expected.
double relative(const std::vector<float>& found, const std::vector<float>& wanted) {
  double squares = 0, reference = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    squares += (double{found[i]} - double{wanted[i]}) * (double{found[i]} - double{wanted[i]});
    reference += double{wanted[i]} * double{wanted[i]};
  }
  return std::sqrt(squares / reference);
}

class JointRandom : public testing::TestWithParam<std::uint32_t> {};

TEST_P(JointRandom, ExecutorsAgree) {
  Random random(GetParam());
  const auto build = random_model(random);
  const tensor::MemoryWeights none;
  Graph asked(none);
  build(asked);
  const auto weights = random_joint_weights(asked);
  Graph graph(weights);
  build(graph);
  ASSERT_TRUE(graph.status()) << graph.status().error().text();

  std::vector<std::pair<std::string, std::vector<float>>> inputs;
  std::normal_distribution<float> normal;
  for (const auto& node : graph.nodes())
    if (node.op == tensor::Op::input) {
      auto& data = inputs.emplace_back(node.names[0], std::vector<float>{}).second;
      for (std::int64_t i = 0; i < node.shape.elements(); ++i) data.push_back(normal(random));
    }
  std::vector<tensor::Feed> feeds;
  for (const auto& [name, data] : inputs) feeds.push_back({name, std::span<const float>(data)});

  const auto reference = tensor::make_reference_executor();
  const auto wanted = sample_of(*reference, weights, graph, feeds);
  const auto check = [&](tensor::Executor& executor, std::string_view what, double bound) {
    const auto found = relative(sample_of(executor, weights, graph, feeds), wanted);
    EXPECT_LE(found, bound) << what << ", seed " << GetParam();
    RecordProperty(std::string(what), std::format("{:.1e}", found));
    std::printf("%s: %.1e\n", std::string(what).c_str(), found);
  };
  using tensor::Precision;
  check(*tensor::make_onednn_executor({.precision = Precision::f32}).value(), "onednn_f32", 5e-6);
  check(*tensor::make_onednn_executor({.precision = Precision::bf16}).value(), "onednn_bf16", 0.03);
  check(*tensor::make_ggml_executor({.device = "CPU", .weights = tensor::GgmlWeights::f32}).value(),
        "ggml_f32", 5e-6);
}

INSTANTIATE_TEST_SUITE_P(Seeds, JointRandom, testing::Range(0u, 8u));

}  // namespace
}  // namespace ingle::models
