// ingle-write-original FOLDER OUT.safetensors [PREFIX]: writes a diffusers folder as the files that
// its family was published in: Stable Diffusion whole, FLUX's transformer alone (its names below
// PREFIX). For tests with models in other sizes than the published ones, whose configurations no
// shape tells: they go in as texts.
#include <cstdio>
#include <print>

#include "platform/files.h"
#include "protocol/json.h"
#include "weights/config.h"
#include "weights/convert.h"
#include "weights/written_layouts.h"
#include "weights/written_model.h"

namespace ingle::weights {
namespace {

namespace fs = std::filesystem;
using protocol::Json;

WrittenModel part_of(const fs::path& folder, const std::string& role) {
  for (const auto* name : {"diffusion_pytorch_model.safetensors", "model.safetensors"})
    if (fs::exists(folder / role / name)) return WrittenModel::of(folder / role / name);
  return {};
}

void note_config(const fs::path& folder, const std::string& role, std::string_view kind,
                 Json::Object& out) {
  const auto key = std::format("{}.{}", kPartKey, role);
  const auto text = platform::create_files()->read(folder / role / "config.json", 1 << 20).value();
  out.emplace_back(key + std::string(kClassEnd), std::string(kind));
  out.emplace_back(key + std::string(kConfigEnd), text);
}

void write_stable_diffusion(const fs::path& folder, const fs::path& out) {
  const auto config = Config::load(folder / "unet/config.json").value();
  const auto layers = static_cast<int>(config.integer("layers_per_block", 2));
  const auto levels = static_cast<int>(config.integers("block_out_channels").size());
  WrittenModel all;
  // Every level but the coarsest looks at the text; that is the first on the way up.
  for (const auto& [name, tensor] : part_of(folder, "unet").tensors)
    all.tensors["model.diffusion_model." +
                ldm_unet(name, layers, [](int level) { return level > 0; })] = tensor;
  add_ldm_vae(part_of(folder, "vae"), "first_stage_model.", levels, all);
  for (const auto& [name, tensor] : part_of(folder, "text_encoder").tensors)
    all.tensors["cond_stage_model.transformer." + name] = tensor;
  Json::Object texts;
  note_config(folder, "unet", "UNet2DConditionModel", texts);
  note_config(folder, "vae", "AutoencoderKL", texts);
  note_config(folder, "text_encoder", "CLIPTextModel", texts);
  all.write(out, protocol::print_json(Json(std::move(texts))));
}

void write_flux(const fs::path& folder, const fs::path& out, const std::string& prefix) {
  WrittenModel all;
  add_flux1(part_of(folder, "transformer"), prefix, all);
  Json::Object texts;
  note_config(folder, "transformer", "FluxTransformer2DModel", texts);
  all.write(out, protocol::print_json(Json(std::move(texts))));
}

}  // namespace
}  // namespace ingle::weights

int main(int count, char** arguments) {
  using namespace ingle::weights;
  if (count != 3 && count != 4) {
    std::println(stderr, "ingle-write-original FOLDER OUT.safetensors [PREFIX]");
    return 1;
  }
  if (std::filesystem::exists(std::filesystem::path(arguments[1]) / "unet"))
    write_stable_diffusion(arguments[1], arguments[2]);
  else
    write_flux(arguments[1], arguments[2], count == 4 ? arguments[3] : "");
  return 0;
}
