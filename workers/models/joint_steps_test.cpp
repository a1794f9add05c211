// Goal: what pipelines tell these transformers (times, guidance, positions, packing, signs) is what
// the reference pipelines tell theirs. Method: Euler steps over the sigmas of the golden pipelines,
// from their noise and embeddings, compared with their latents after every step.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "models/flux.h"
#include "models/flux2.h"
#include "models/golden_case.h"
#include "models/positions.h"
#include "models/z_image.h"
#include "tensor/reference.h"

namespace ingle::models {
namespace {

using Values = std::vector<float>;

struct Folder {
  GoldenTensors io;
  weights::Config config;
  tensor::MemoryWeights weights{};
  std::unique_ptr<tensor::Executor> executor = tensor::make_reference_executor();

  explicit Folder(std::string_view name) {
    const auto folder = std::filesystem::path(INGLE_GOLDEN) / name;
    io = load_tensors(folder / "io.safetensors").value();
    config = weights::Config::load(folder / "transformer/config.json").value();
    auto all = load_tensors(folder / "transformer/diffusion_pytorch_model.safetensors").value();
    for (auto& [key, weight] : all) weights.add(key, weight.shape, std::move(weight.data));
  }

  Values evaluate(const Graph& graph, const std::vector<std::pair<std::string, Values>>& inputs) {
    std::vector<tensor::Feed> feeds;
    for (const auto& [name, data] : inputs) feeds.push_back({name, std::span<const float>(data)});
    return run_all(*executor, weights, graph, feeds).value()["sample"];
  }

  // `velocity` of latents at a sigma. The latents after every step are within `allowed`.
  void follow(Values latents, std::string_view after_steps,
              const std::function<Values(const Values&, double)>& velocity) {
    const auto& sigmas = io.at("act.sigmas").data;
    const auto& expected = io.find(after_steps)->second.data;
    double largest = 0;
    for (std::size_t step = 0; step + 1 < sigmas.size(); ++step) {
      const auto change = velocity(latents, double{sigmas[step]});
      for (std::size_t i = 0; i < latents.size(); ++i) {
        latents[i] += (sigmas[step + 1] - sigmas[step]) * change[i];
        const auto error = std::abs(latents[i] - expected[step * latents.size() + i]);
        largest = std::max(largest, double{error});
      }
    }
    EXPECT_LT(largest, 5e-4);
    EXPECT_GT(sigmas.size(), 3u);
  }
};

Values time_of(double time) {
  const float value[]{static_cast<float>(time)};
  return sinusoid(value, {.channels = kTimeChannels});
}

void follow_flux(std::string_view name, std::int64_t rows, std::int64_t columns, double guidance) {
  Folder folder(name);
  const auto config = flux_config(folder.config).value();
  const auto& prompt = folder.io.at("in.prompt_embeds");
  const auto text = prompt.shape[1];
  const auto rope = flux_rope(config, flux_text_ids(text), flux_image_ids(rows, columns));
  Graph graph(folder.weights);
  build_flux(graph, config, {.text_tokens = text, .image_tokens = rows * columns});
  folder.follow(folder.io.at("in.latents_packed").data, "act.step_latents_packed",
                [&](const Values& latents, double sigma) {
                  return folder.evaluate(
                      graph, {{"hidden_states", latents},
                              {"encoder_hidden_states", prompt.data},
                              {"pooled_projections", folder.io.at("in.pooled_prompt_embeds").data},
                              {"time", time_of(1000 * sigma)},
                              {"guidance", time_of(1000 * guidance)},
                              {"rope_cos", rope.cos},
                              {"rope_sin", rope.sin}});
                });
}

TEST(JointSteps, FluxDev) { follow_flux("pipe_flux_dev", 4, 3, 3.5); }
TEST(JointSteps, FluxSchnell) { follow_flux("pipe_flux_schnell", 3, 5, 0); }

TEST(JointSteps, Flux2Klein) {
  Folder folder("pipe_flux2_klein");
  const auto config = flux2_config(folder.config).value();
  const auto& prompt = folder.io.at("in.prompt_embeds");
  const auto text = prompt.shape[1];
  const auto rope = flux2_rope(config, flux2_text_ids(text), flux2_image_ids(0, 4, 6));
  Graph graph(folder.weights);
  build_flux2(graph, config, {.text_tokens = text, .image_tokens = 24});
  // [64, 4, 6], channels of patches first, to tokens.
  const auto& patches = folder.io.at("in.latents_patchified");
  Values tokens(patches.data.size());
  for (std::size_t channel = 0; channel < 64; ++channel)
    for (std::size_t token = 0; token < 24; ++token)
      tokens[token * 64 + channel] = patches.data[channel * 24 + token];
  folder.follow(tokens, "act.step_latents_packed", [&](const Values& latents, double sigma) {
    return folder.evaluate(graph, {{"hidden_states", latents},
                                   {"encoder_hidden_states", prompt.data},
                                   {"time", time_of(1000 * sigma)},
                                   {"rope_cos", rope.cos},
                                   {"rope_sin", rope.sin}});
  });
}

TEST(JointSteps, ZImage) {
  Folder folder("pipe_z_image");
  const auto config = z_image_config(folder.config).value();
  auto prompt = folder.io.at("in.prompt_embeds");
  const auto caption = z_image_padded(prompt.shape[0]);
  Values mask(static_cast<std::size_t>(prompt.shape[0]), 1);
  mask.resize(static_cast<std::size_t>(caption));
  prompt.data.resize(static_cast<std::size_t>(caption * prompt.shape[1]));
  const auto order = PatchOrder::row_column_channel;
  const auto rope = z_image_rope(config, caption, 3, 4);
  Graph graph(folder.weights);
  build_z_image(graph, config, {.image_tokens = 12, .caption_tokens = caption});
  folder.follow(folder.io.at("in.latents").data, "act.step_latents",
                [&](const Values& latents, double sigma) {
                  const auto sample =
                      folder.evaluate(graph, {{"tokens", pack_latents(latents, 16, 6, 8, order)},
                                              {"caption", prompt.data},
                                              {"caption_mask", mask},
                                              {"time", time_of(z_image_time(config, sigma))},
                                              {"image_cos", rope.image.cos},
                                              {"image_sin", rope.image.sin},
                                              {"caption_cos", rope.caption.cos},
                                              {"caption_sin", rope.caption.sin}});
                  auto velocity = unpack_latents(sample, 16, 6, 8, order);
                  for (auto& value : velocity) value = -value;
                  return velocity;
                });
}

}  // namespace
}  // namespace ingle::models
