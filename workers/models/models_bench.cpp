// How much of the machine UNets and VAEs use: published shapes, random weights, bf16 on the
// processor. Prints lines of "name value": of each model the floating-point work of an evaluation
// per second over that of a product of 4096 x 4096 by 4096 in the same process (ratio), memory, and
// where the time goes. Usage: models_bench [model or all] [side in pixels] [items] [runs]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "models/published_configs.h"
#include "models/random_maps.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tensor/onednn.h"
#include "tensor/product_rate.h"

namespace ingle::models {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kContextTokens = 77, kPixelsOfLatent = 8;

struct Options {
  std::string_view model = "all";
  std::int64_t side = 512, items = 1, runs = 3;
};

struct Model {
  std::string_view name, config, output;
  base::Status (*build)(Graph& graph, const weights::Config& config, const Options& options);
};

base::Status build_unet_of(Graph& graph, const weights::Config& json, const Options& options) {
  TRY_ASSIGN(const auto config, unet_config(json));
  const auto side = options.side / kPixelsOfLatent;
  build_unet(
      graph, config,
      {.items = options.items, .height = side, .width = side, .context_tokens = kContextTokens});
  return {};
}

base::Status build_decoder_of(Graph& graph, const weights::Config& json, const Options& options) {
  TRY_ASSIGN(const auto config, vae_config(json));
  const auto side = options.side / kPixelsOfLatent;
  build_vae_decoder(graph, config, {1, side, side});
  return {};
}

base::Status build_encoder_of(Graph& graph, const weights::Config& json, const Options& options) {
  TRY_ASSIGN(const auto config, vae_config(json));
  build_vae_encoder(graph, config, {1, options.side, options.side});
  return {};
}

constexpr Model kModels[]{
    {"unet_sd15", kUnetSd15, "sample", build_unet_of},
    {"unet_sdxl", kUnetSdxl, "sample", build_unet_of},
    {"vae_decoder", kVaeSd, "decoded", build_decoder_of},
    {"vae_encoder", kVaeSd, "mean", build_encoder_of},
};

void print(std::string_view model, std::string_view what, double value) {
  std::printf("%s_%s %.4g\n", std::string(model).c_str(), std::string(what).c_str(), value);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The median time of an evaluation.
base::Result<double> evaluation_s(tensor::Program& program, const Graph& graph,
                                  std::string_view output, std::int64_t runs) {
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
  const auto& outputs = graph.outputs();
  const auto wanted = std::ranges::find(outputs, output, &tensor::Output::name);
  std::vector<float> result(static_cast<std::size_t>(graph.shape(wanted->tensor).elements()));
  const tensor::Fetch fetches[]{{output, result}};
  const std::atomic<bool> stop = false;
  std::vector<double> times;
  for (std::int64_t i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    TRY(program.run(feeds, fetches, stop));
    times.push_back(seconds_since(start));
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

base::Status bench(const Model& model, const Options& options) {
  TRY_ASSIGN(const auto config, weights::Config::parse(model.config));
  const tensor::RandomWeights none;
  Graph asked(none);
  TRY(model.build(asked, config, options));
  const auto weights = random_map_weights(asked);
  Graph graph(weights);
  TRY(model.build(graph, config, options));
  TRY_ASSIGN(const auto executor, tensor::make_onednn_executor({.profile = true}));
  TRY_ASSIGN(const auto module, executor->open(weights));
  const std::string outputs[]{std::string(model.output)};
  const auto start = Clock::now();
  TRY_ASSIGN(const auto program, module->compile(graph, outputs));
  print(model.name, "load_s", seconds_since(start));
  TRY_ASSIGN(const auto before, tensor::product_rate());
  TRY_ASSIGN(const auto seconds, evaluation_s(*program, graph, model.output, options.runs));
  TRY_ASSIGN(const auto after, tensor::product_rate());
  const auto operations = tensor::useful_operations(graph);
  print(model.name, "parameters", static_cast<double>(weights.elements()));
  print(model.name, "gflop", operations * 1e-9);
  print(model.name, "evaluation_s", seconds);
  print(model.name, "rate_gflops", operations / seconds * 1e-9);
  print(model.name, "product_gflops", std::max(before, after) * 1e-9);
  print(model.name, "ratio", operations / seconds / std::max(before, after));
  const auto memory = program->memory();
  print(model.name, "weights_mb", static_cast<double>(module->memory().weights_bytes) * 1e-6);
  print(model.name, "activations_mb", static_cast<double>(memory.activations_bytes) * 1e-6);
  print(model.name, "scratch_mb", static_cast<double>(memory.scratch_bytes) * 1e-6);
  const auto profile = tensor::onednn_profile(*executor);
  for (std::size_t op = 0; op < profile.size(); ++op)
    if (profile[op] > 0)
      print(model.name, "seconds_" + std::string(tensor::op_name(static_cast<tensor::Op>(op))),
            profile[op] / static_cast<double>(options.runs));
  return {};
}

int run(const Options& options) {
  for (const auto& model : kModels) {
    if (options.model != "all" && options.model != model.name) continue;
    const auto done = bench(model, options);
    if (done) continue;
    std::fprintf(stderr, "models_bench: %s\n", done.error().text().c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ingle::models

int main(int count, char** arguments) {
  const auto number = [&](int i, std::int64_t otherwise) {
    return count > i ? std::max<std::int64_t>(1, std::atoll(arguments[i])) : otherwise;
  };
  return ingle::models::run({.model = count > 1 ? arguments[1] : "all",
                             .side = number(2, 512),
                             .items = number(3, 1),
                             .runs = number(4, 3)});
}
