// How much of the machine a FLUX-shaped stack of blocks uses: real widths, few layers, random
// weights. Prints lines of "name value": the floating-point work of an evaluation per second over
// that of a product of 4096 x 4096 by 4096 in the same process, and where the time goes.
// Usage: flux_bench [image tokens] [text tokens] [double blocks] [single blocks] [runs]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "models/flux.h"
#include "models/random_joint.h"
#include "tensor/memory_weights.h"
#include "tensor/onednn.h"
#include "tensor/product_rate.h"

namespace ingle::models {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_profile(const tensor::Executor& executor) {
  const auto profile = tensor::onednn_profile(executor);
  for (std::size_t op = 0; op < profile.size(); ++op)
    if (profile[op] > 0)
      std::printf("seconds_%s %.3f\n",
                  std::string(tensor::op_name(static_cast<tensor::Op>(op))).c_str(), profile[op]);
}

base::Status bench(const FluxConfig& config, const JointSizes& sizes, std::int64_t runs) {
  const tensor::MemoryWeights none;
  Graph asked(none);
  build_flux(asked, config, sizes);
  const auto weights = random_joint_weights(asked);
  TRY_ASSIGN(const auto executor, tensor::make_onednn_executor({.profile = true}));
  TRY_ASSIGN(const auto module, executor->open(weights));
  Graph graph(weights);
  build_flux(graph, config, sizes);
  const std::string outputs[]{"sample"};
  auto start = Clock::now();
  TRY_ASSIGN(const auto program, module->compile(graph, outputs));
  std::printf("parameters %.3e\nload_s %.2f\n", static_cast<double>(weights.elements()),
              seconds_since(start));

  std::vector<std::pair<std::string, std::vector<float>>> inputs;
  for (const auto& node : graph.nodes())
    if (node.op == tensor::Op::input)
      inputs.emplace_back(node.names[0],
                          std::vector<float>(static_cast<std::size_t>(node.shape.elements())));
  std::uint32_t state = 1;
  for (auto& [name, data] : inputs)
    for (auto& value : data)
      value = static_cast<float>(state = state * 1664525 + 1013904223) * 0x1p-31f - 1;
  std::vector<tensor::Feed> feeds;
  for (const auto& [name, data] : inputs) feeds.push_back({name, std::span<const float>(data)});
  std::vector<float> sample(static_cast<std::size_t>(sizes.image_tokens * config.out_channels));
  const tensor::Fetch fetches[]{{"sample", sample}};
  const std::atomic<bool> stop = false;

  TRY_ASSIGN(const auto before, tensor::product_rate());
  std::vector<double> times;
  for (std::int64_t i = 0; i < runs; ++i) {
    start = Clock::now();
    TRY(program->run(feeds, fetches, stop));
    times.push_back(seconds_since(start));
  }
  TRY_ASSIGN(const auto after, tensor::product_rate());
  std::ranges::sort(times);
  const auto rate = tensor::useful_operations(graph) / times[times.size() / 2];
  const auto memory = program->memory();
  std::printf("evaluation_s %.3f\nrate_gflops %.1f\nproduct_gflops %.1f %.1f\nratio %.3f\n",
              times[times.size() / 2], rate * 1e-9, before * 1e-9, after * 1e-9,
              rate / std::max(before, after));
  std::printf("weights_mb %.0f\nactivations_mb %.0f\nscratch_mb %.0f\n",
              static_cast<double>(module->memory().weights_bytes) * 1e-6,
              static_cast<double>(memory.activations_bytes) * 1e-6,
              static_cast<double>(memory.scratch_bytes) * 1e-6);
  print_profile(*executor);
  return {};
}

}  // namespace
}  // namespace ingle::models

int main(int count, char** arguments) {
  const auto number = [&](int i, std::int64_t otherwise) {
    return count > i ? std::max<std::int64_t>(1, std::atoll(arguments[i])) : otherwise;
  };
  ingle::models::FluxConfig config;
  config.double_blocks = number(3, 2);
  config.single_blocks = number(4, 4);
  const auto done = ingle::models::bench(
      config, {.items = 1, .text_tokens = number(2, 256), .image_tokens = number(1, 1024)},
      number(5, 3));
  if (!done) std::fprintf(stderr, "flux_bench: %s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
