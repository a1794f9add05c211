#include "models/map_cases.h"

#include <format>

#include "models/unet.h"
#include "models/vae.h"
#include "models/vae_latents.h"

namespace ingle::models {
namespace {

using base::Result;
using Comparisons = std::vector<Comparison>;

Result<GoldenTensor> read_map(const GoldenCase& golden, std::string_view name) {
  TRY_ASSIGN(auto out, golden.read(name));
  out = channels_last(std::move(out));
  if (out.shape.rank() != 4)
    return base::fail(base::ErrorCode::malformed,
                      std::format("'{}' of case {} is no map", name, golden.name));
  return out;
}

Result<Comparisons> run_unet(const GoldenCase& golden, tensor::Executor& executor) {
  TRY_ASSIGN(const auto config, unet_config(golden.config));
  TRY_ASSIGN(const auto sample, read_map(golden, "in.sample"));
  TRY_ASSIGN(const auto context, golden.read("in.encoder_hidden_states", 3));
  TRY_ASSIGN(const auto timestep, golden.read("in.timestep"));
  Graph graph(golden.weights);
  build_unet(graph, config,
             {.items = sample.shape[0],
              .height = sample.shape[1],
              .width = sample.shape[2],
              .context_tokens = context.shape.last(1)});
  const auto time = unet_timestep(config, timestep.data);
  std::vector<tensor::Feed> feeds{{"sample", std::span(sample.data)},
                                  {"context", std::span(context.data)},
                                  {"timestep", std::span(time)}};
  GoldenTensor pooled;
  std::vector<float> ids;
  if (config.size_channels > 0) {
    TRY_ASSIGN(pooled, golden.read("in.text_embeds"));
    TRY_ASSIGN(const auto sizes, golden.read("in.time_ids"));
    ids = unet_time_ids(config, sizes.data);
    feeds.push_back({"text_embeds", std::span<const float>(pooled.data)});
    feeds.push_back({"time_ids", std::span<const float>(ids)});
  }
  return run_graph(golden, executor, golden.weights, graph, feeds);
}

class VaeRun {
 public:
  VaeRun(const GoldenCase& golden, tensor::Executor& executor, VaeConfig config, LatentScale scale)
      : golden_(golden),
        executor_(executor),
        config_(std::move(config)),
        scale_(std::move(scale)) {}

  // Both directions, block by block, and what lies between the VAE and diffusion.
  Result<Comparisons> run();

 private:
  base::Status encode();
  base::Status decode(const GoldenTensor& latent);
  // Decodes and compares the picture alone.
  base::Status decode_to(std::string_view name, const GoldenTensor& latent);
  base::Status add(std::string_view name, std::span<const float> computed);
  Graph decoder(const GoldenTensor& latent) const;

  const GoldenCase& golden_;
  tensor::Executor& executor_;
  const VaeConfig config_;
  const LatentScale scale_;
  GoldenTensor mean_{};
  Comparisons done_{};
};

base::Status VaeRun::add(std::string_view name, std::span<const float> computed) {
  TRY_ASSIGN(const auto expected, read_map(golden_, name));
  TRY_ASSIGN(auto comparison, compare(name, computed, expected, golden_.allowed()));
  done_.push_back(std::move(comparison));
  return {};
}

Graph VaeRun::decoder(const GoldenTensor& latent) const {
  Graph graph(golden_.weights);
  build_vae_decoder(graph, config_, {latent.shape[0], latent.shape[1], latent.shape[2]});
  return graph;
}

base::Status VaeRun::encode() {
  TRY_ASSIGN(const auto image, read_map(golden_, "in.image"));
  Graph graph(golden_.weights);
  build_vae_encoder(graph, config_, {image.shape[0], image.shape[1], image.shape[2]});
  TRY(graph.status());
  const tensor::Feed feeds[]{{"image", std::span(image.data)}};
  TRY_ASSIGN(auto results, run_all(executor_, golden_.weights, graph, feeds));
  vae_clamp_logvar(results["logvar"]);
  for (const auto& [name, computed] : results)
    for (const auto* prefix : {"out.", "act."})
      if (golden_.tensors.contains(prefix + name)) TRY(add(prefix + name, computed));
  for (const auto& output : graph.outputs())
    if (output.name == "mean") mean_ = {graph.shape(output.tensor), results["mean"]};
  return {};
}

base::Status VaeRun::decode(const GoldenTensor& latent) {
  const auto graph = decoder(latent);
  const tensor::Feed feeds[]{{"latent", std::span(latent.data)}};
  TRY_ASSIGN(auto more, run_graph(golden_, executor_, golden_.weights, graph, feeds));
  done_.insert(done_.end(), more.begin(), more.end());
  return {};
}

base::Status VaeRun::decode_to(std::string_view name, const GoldenTensor& latent) {
  if (!golden_.tensors.contains(name)) return {};
  const auto graph = decoder(latent);
  const tensor::Feed feeds[]{{"latent", std::span(latent.data)}};
  TRY_ASSIGN(const auto results, run_all(executor_, golden_.weights, graph, feeds));
  return add(name, results.at("decoded"));
}

Result<Comparisons> VaeRun::run() {
  TRY(encode());
  // Items of a batch lie one below the other: a scale does not see where one ends.
  const auto rows = mean_.shape[0] * mean_.shape[1], columns = mean_.shape[2];
  if (scale_.patch() > 1) {
    TRY(add("out.pipeline_latent_patchified", scale_.to_diffusion(mean_.data, rows, columns)));
    TRY_ASSIGN(const auto diffusion, read_map(golden_, "in.pipeline_latent"));
    const auto patch = scale_.patch();
    const tensor::Shape shape{diffusion.shape[0], diffusion.shape[1] * patch,
                              diffusion.shape[2] * patch, config_.latent_channels};
    const GoldenTensor latent{shape, scale_.to_vae(diffusion.data, shape[0] * shape[1], shape[2])};
    TRY(add("out.vae_latent", latent.data));
    TRY(decode(latent));
    return done_;
  }
  TRY(add("out.pipeline_latent", scale_.to_diffusion(mean_.data, rows, columns)));
  TRY_ASSIGN(auto latent, read_map(golden_, "in.latent"));
  TRY(decode(latent));
  TRY(decode_to("out.decoded_of_mean", mean_));
  latent.data = scale_.to_vae(latent.data, latent.shape[0] * latent.shape[1], latent.shape[2]);
  TRY(decode_to("out.decoded_of_pipeline_latent", latent));
  return done_;
}

}  // namespace

Result<Comparisons> run_map_case(const GoldenCase& golden, tensor::Executor& executor) {
  if (golden.kind == "unet_2d_condition") return run_unet(golden, executor);
  if (golden.kind != "autoencoder_kl" && golden.kind != "autoencoder_kl_flux2")
    return base::fail(base::ErrorCode::unsupported,
                      std::format("case {} is of the kind \"{}\"", golden.name, golden.kind));
  TRY_ASSIGN(auto config, vae_config(golden.config));
  TRY_ASSIGN(auto scale, LatentScale::create(config, golden.weights));
  return VaeRun(golden, executor, std::move(config), std::move(scale)).run();
}

}  // namespace ingle::models
