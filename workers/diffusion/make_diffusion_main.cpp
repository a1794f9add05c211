// ingle-make-diffusion sd15|flux SMALL OUT: writes a diffusers folder with random weights (f16) in
// published shapes, for benchmarks and trials; it draws noise. Tokenizers and scheduler are copied
// from SMALL, a folder of the same family (tests/golden/diffusion/full_sd15, full_flux_schnell).
// FLUX has 2 + 4 of its 19 + 38 blocks and one of T5's 24 layers.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <print>
#include <span>
#include <string_view>

#include "models/flux.h"
#include "models/random_joint.h"
#include "models/random_maps.h"
#include "models/unet.h"
#include "models/vae.h"
#include "text/random_clip.h"
#include "text/t5_text.h"
#include "weights/convert_numbers.h"

namespace ingle::diffusion {
namespace {

namespace fs = std::filesystem;
using tensor::Graph;
using tensor::RandomWeights;

constexpr std::string_view kClip = R"({"_class_name": "CLIPTextModel",
  "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "quick_gelu",
  "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
  "num_attention_heads": 12, "vocab_size": 49408, "max_position_embeddings": 77,
  "projection_dim": 768, "layer_norm_eps": 1e-05, "eos_token_id": 2})";
constexpr std::string_view kT5 = R"({"architectures": ["T5EncoderModel"], "model_type": "t5",
  "d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 1,
  "vocab_size": 32128, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new",
  "is_gated_act": true, "layer_norm_epsilon": 1e-06, "relative_attention_num_buckets": 32,
  "relative_attention_max_distance": 128})";
constexpr std::string_view kUnet = R"({"_class_name": "UNet2DConditionModel",
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "attention_head_dim": 8,
  "cross_attention_dim": 768, "in_channels": 4, "out_channels": 4, "norm_num_groups": 32,
  "sample_size": 64, "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D",
  "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]})";
constexpr std::string_view kFlux = R"({"_class_name": "FluxTransformer2DModel", "in_channels": 64,
  "num_layers": 2, "num_single_layers": 4, "num_attention_heads": 24, "attention_head_dim": 128,
  "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": false,
  "axes_dims_rope": [16, 56, 56], "patch_size": 1})";
constexpr std::string_view kVaeSd = R"({"_class_name": "AutoencoderKL",
  "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
  "norm_num_groups": 32, "sample_size": 512, "scaling_factor": 0.18215})";
constexpr std::string_view kVaeFlux = R"({"_class_name": "AutoencoderKL",
  "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16,
  "norm_num_groups": 32, "sample_size": 1024, "scaling_factor": 0.3611, "shift_factor": 0.1159,
  "use_quant_conv": false, "use_post_quant_conv": false})";

base::Status write_part(const fs::path& folder, std::string_view file, std::string_view config,
                        const RandomWeights& weights) {
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << config << '\n';
  std::string header = "{";
  std::int64_t at = 0;
  for (const auto& [name, shape] : weights.shapes()) {
    header += std::format(R"({}"{}":{{"dtype":"F16","shape":{},"data_offsets":[{},{}]}})",
                          at > 0 ? "," : "", name, shape.text(), at, at + 2 * shape.elements());
    at += 2 * shape.elements();
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::ofstream out(folder / file, std::ios::binary);
  const std::uint64_t length = header.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << header;
  for (const auto& [name, shape] : weights.shapes()) {
    std::vector<float> numbers(static_cast<std::size_t>(shape.elements()));
    TRY(weights.read(name, 0, shape.rank() == 0 ? 1 : shape[0], numbers));
    std::vector<std::uint16_t> halves(numbers.size());
    std::ranges::transform(numbers, halves.begin(), weights::f32_to_f16);
    out.write(reinterpret_cast<const char*>(halves.data()),
              static_cast<std::streamsize>(halves.size() * sizeof(std::uint16_t)));
  }
  out.flush();
  if (!out) return base::fail(base::ErrorCode::io_error, folder.native() + " could not be written");
  return {};
}

base::Status write_clip(const fs::path& folder) {
  TRY_ASSIGN(const auto json, weights::Config::parse(kClip));
  TRY_ASSIGN(const auto config, text::clip_text_config(json));
  return write_part(folder, "model.safetensors", kClip, text::random_clip_weights(config));
}

base::Status write_vae(const fs::path& folder, std::string_view text) {
  TRY_ASSIGN(const auto json, weights::Config::parse(text));
  TRY_ASSIGN(const auto config, models::vae_config(json));
  const RandomWeights none;
  Graph encoder(none), decoder(none);
  models::build_vae_encoder(encoder, config, {1, 64, 64});
  models::build_vae_decoder(decoder, config, {1, 8, 8});
  auto all = models::random_map_weights(encoder);
  for (const auto& [name, shape] : models::random_map_weights(decoder).shapes())
    all.add(name, shape);
  return write_part(folder, "diffusion_pytorch_model.safetensors", text, all);
}

base::Status write_unet(const fs::path& folder) {
  TRY_ASSIGN(const auto json, weights::Config::parse(kUnet));
  TRY_ASSIGN(const auto config, models::unet_config(json));
  const RandomWeights none;
  Graph asked(none);
  models::build_unet(asked, config, {.items = 1, .height = 8, .width = 8, .context_tokens = 77});
  return write_part(folder, "diffusion_pytorch_model.safetensors", kUnet,
                    models::random_map_weights(asked));
}

base::Status write_flux(const fs::path& folder) {
  TRY_ASSIGN(const auto json, weights::Config::parse(kFlux));
  TRY_ASSIGN(const auto config, models::flux_config(json));
  const RandomWeights none;
  Graph asked(none);
  models::build_flux(asked, config, {.items = 1, .text_tokens = 16, .image_tokens = 16});
  return write_part(folder, "diffusion_pytorch_model.safetensors", kFlux,
                    models::random_joint_weights(asked));
}

base::Status write_t5(const fs::path& folder) {
  TRY_ASSIGN(const auto json, weights::Config::parse(kT5));
  TRY_ASSIGN(const auto config, text::t5_config(json));
  const RandomWeights none;
  Graph asked(none);
  text::build_t5(asked, config, {.items = 1, .tokens = 16});
  RandomWeights all;
  for (const auto& node : asked.nodes()) {
    if (node.op != tensor::Op::weight) continue;
    tensor::Shape shape = node.shape;
    shape[0] /= static_cast<std::int64_t>(node.names.size());
    // An empty source has no prefix.
    for (const auto& name : node.names)
      all.add(name.starts_with("shared.") ? name : "encoder." + name, shape);
  }
  // Read on the host, so no graph asks for it.
  all.add("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", {32, 64});
  return write_part(folder, "model.safetensors", kT5, all);
}

base::Status make(std::string_view family, const fs::path& small, const fs::path& out) {
  const bool flux = family == "flux";
  fs::create_directories(out);
  for (const auto* name : {"model_index.json", "scheduler", "tokenizer", "tokenizer_2"})
    if (fs::exists(small / name))
      fs::copy(small / name, out / name,
               fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  TRY(write_clip(out / "text_encoder"));
  TRY(write_vae(out / "vae", flux ? kVaeFlux : kVaeSd));
  if (!flux) return write_unet(out / "unet");
  TRY(write_t5(out / "text_encoder_2"));
  return write_flux(out / "transformer");
}

}  // namespace
}  // namespace ingle::diffusion

int main(int count, char** arguments) {
  const std::span<char*> given(arguments, static_cast<std::size_t>(count));
  const std::string_view family = count > 1 ? given[1] : "";
  if (count != 4 || (family != "sd15" && family != "flux")) {
    std::println(stderr, "usage: ingle-make-diffusion sd15|flux SMALL OUT");
    return 2;
  }
  const auto made = ingle::diffusion::make(family, given[2], given[3]);
  if (!made) std::println(stderr, "ingle-make-diffusion: {}", made.error().text());
  return made ? 0 : 1;
}
