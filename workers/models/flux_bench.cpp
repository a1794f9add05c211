// How much of the machine a FLUX-shaped stack of blocks uses: real widths, few layers, random
// weights. Prints lines of "name value": the floating-point work of an evaluation per second over
// that of a product of 4096 x 4096 by 4096 in the same process, and where the time goes; then the
// same in int8 and with weights that stay in blocks of a type, in turns with bf16 in the same
// process: how many times as fast, how much memory, how far from bf16.
// Where others use the machine, processor time (cpu) tells more; set OMP_WAIT_POLICY=passive for
// it. Usage: flux_bench [image tokens] [text tokens] [double blocks] [single blocks] [runs] [modes]
//   modes: of bf16, int8, and types such as q4_0 and q4_k, with commas between
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <ranges>
#include <string>
#include <vector>

#include "models/flux.h"
#include "models/random_joint.h"
#include "tensor/memory_weights.h"
#include "tensor/onednn.h"
#include "tensor/product_rate.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"
#include "weights/quantised_weights.h"

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

// One way to hold and multiply the weights.
struct Mode {
  std::string name{};
  std::unique_ptr<weights::QuantisedWeights> blocks{};
  std::unique_ptr<tensor::Executor> executor{};
  std::unique_ptr<tensor::Module> module{};
  std::unique_ptr<tensor::Program> program{};
  double load_s = 0;
  std::vector<double> times{}, cpu_times{};
  std::vector<float> sample{};

  double median_s() const { return times[times.size() / 2]; }
  double median_cpu_s() const { return cpu_times[cpu_times.size() / 2]; }
};

base::Result<Mode> make_mode(const std::string& name, const tensor::WeightSource& source,
                             const FluxConfig& config, const JointSizes& sizes) {
  Mode out{.name = name};
  tensor::OnednnOptions options{.profile = name == "bf16"};
  const tensor::WeightSource* from = &source;
  if (name == "int8") {
    options.precision = tensor::Precision::int8;
  } else if (name != "bf16") {
    std::string type = name;
    std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::toupper(c); });
    const auto number = weights::number_type_from_name(type);
    if (!number || !weights::quantisable(*number))
      return base::fail(base::ErrorCode::invalid_argument, "no such mode: " + name);
    options.weights = tensor::WeightsHeld::stored;
    out.blocks = std::make_unique<weights::QuantisedWeights>(source, *number);
    from = out.blocks.get();
  }
  TRY_ASSIGN(out.executor, tensor::make_onednn_executor(options));
  TRY_ASSIGN(out.module, out.executor->open(*from));
  Graph graph(*from);
  build_flux(graph, config, sizes);
  const std::string outputs[]{"sample"};
  const auto start = Clock::now();
  TRY_ASSIGN(out.program, out.module->compile(graph, outputs));
  out.load_s = seconds_since(start);
  out.sample.resize(static_cast<std::size_t>(sizes.image_tokens * config.out_channels));
  return out;
}

// Root of the mean squared difference over that of the other.
double relative(const std::vector<float>& a, const std::vector<float>& b) {
  double apart = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    apart += std::pow(double{a[i]} - double{b[i]}, 2);
    all += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(apart / all);
}

using Inputs = std::vector<std::pair<std::string, std::vector<float>>>;

Inputs inputs_of(const Graph& graph) {
  Inputs out;
  for (const auto& node : graph.nodes())
    if (node.op == tensor::Op::input)
      out.emplace_back(node.names[0],
                       std::vector<float>(static_cast<std::size_t>(node.shape.elements())));
  std::uint32_t state = 1;
  for (auto& [name, data] : out)
    for (auto& value : data)
      value = static_cast<float>(state = state * 1664525 + 1013904223) * 0x1p-31f - 1;
  return out;
}

void print_first(const Mode& mode, double operations, double before, double after) {
  const auto rate = operations / mode.median_s();
  const auto memory = mode.program->memory();
  std::printf("load_s %.2f\nevaluation_s %.3f\nrate_gflops %.1f\n", mode.load_s, mode.median_s(),
              rate * 1e-9);
  std::printf("product_gflops %.1f %.1f\nratio %.3f\n", before * 1e-9, after * 1e-9,
              rate / std::max(before, after));
  std::printf("weights_mb %.0f\nactivations_mb %.0f\nscratch_mb %.0f\n",
              static_cast<double>(mode.module->memory().weights_bytes) * 1e-6,
              static_cast<double>(memory.activations_bytes) * 1e-6,
              static_cast<double>(memory.scratch_bytes) * 1e-6);
  print_profile(*mode.executor);
}

void print_other(const Mode& mode, const Mode& first) {
  const auto* name = mode.name.c_str();
  std::printf("%s_evaluation_s %.3f\n%s_times_as_fast %.3f\n", name, mode.median_s(), name,
              first.median_s() / mode.median_s());
  std::printf("%s_cpu_times_as_fast %.3f\n", name, first.median_cpu_s() / mode.median_cpu_s());
  std::printf("%s_weights_mb %.0f\n%s_scratch_mb %.0f\n%s_difference %.4f\n", name,
              static_cast<double>(mode.module->memory().weights_bytes) * 1e-6, name,
              static_cast<double>(mode.program->memory().scratch_bytes) * 1e-6, name,
              relative(mode.sample, first.sample));
}

base::Status bench(const FluxConfig& config, const JointSizes& sizes, std::int64_t runs,
                   std::string_view names) {
  const tensor::MemoryWeights none;
  Graph asked(none);
  build_flux(asked, config, sizes);
  const auto weights = random_joint_weights(asked);
  std::printf("parameters %.3e\n", static_cast<double>(weights.elements()));
  std::vector<Mode> modes;
  for (const auto name : names | std::views::split(',')) {
    TRY_ASSIGN(auto mode, make_mode(std::string(std::string_view(name)), weights, config, sizes));
    modes.push_back(std::move(mode));
  }
  const auto inputs = inputs_of(asked);
  std::vector<tensor::Feed> feeds;
  for (const auto& [name, data] : inputs) feeds.push_back({name, std::span<const float>(data)});
  const std::atomic<bool> stop = false;
  TRY_ASSIGN(const auto before, tensor::product_rate());
  for (std::int64_t i = 0; i < runs; ++i)
    for (auto& mode : modes) {
      const tensor::Fetch fetches[]{{"sample", mode.sample}};
      const auto start = Clock::now();
      const auto cpu_start = std::clock();
      TRY(mode.program->run(feeds, fetches, stop));
      mode.cpu_times.push_back(static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
      mode.times.push_back(seconds_since(start));
    }
  TRY_ASSIGN(const auto after, tensor::product_rate());
  for (auto& mode : modes) {
    std::ranges::sort(mode.times);
    std::ranges::sort(mode.cpu_times);
  }
  print_first(modes[0], tensor::useful_operations(asked), before, after);
  for (const auto& mode : modes | std::views::drop(1)) print_other(mode, modes[0]);
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
      number(5, 3), count > 6 ? arguments[6] : "bf16,int8,q4_0");
  if (!done) std::fprintf(stderr, "flux_bench: %s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
