#include "weights/single_file.h"

#include <algorithm>
#include <array>
#include <format>
#include <system_error>
#include <utility>

#include "gguf/reader.h"
#include "weights/component_folder.h"
#include "weights/convert.h"
#include "weights/family_defaults.h"
#include "weights/gguf_weights.h"
#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

struct Place {
  std::string_view prefix;
  std::string_view role;
  Found (*find)(const SharedWeights&, std::string_view);
};

// Where the parts lie in the files of different makers; the first of a role that is there counts.
constexpr std::array kPlaces{
    Place{"model.diffusion_model.", "unet", find_unet},
    Place{"", "unet", find_unet},
    Place{"unet.", "unet", find_unet},
    Place{"model.diffusion_model.", "transformer", find_flux2},
    Place{"model.diffusion_model.", "transformer", find_flux1},
    Place{"model.diffusion_model.", "transformer", find_z_image},
    Place{"", "transformer", find_flux2},
    Place{"", "transformer", find_flux1},
    Place{"", "transformer", find_z_image},
    Place{"transformer.", "transformer", find_flux2},
    Place{"transformer.", "transformer", find_flux1},
    Place{"transformer.", "transformer", find_z_image},
    Place{"first_stage_model.", "vae", find_vae},
    Place{"vae.", "vae", find_vae},
    Place{"", "vae", find_vae},
    Place{"cond_stage_model.transformer.", "text_encoder", find_clip},
    Place{"cond_stage_model.model.", "text_encoder", find_clip},
    Place{"conditioner.embedders.0.transformer.", "text_encoder", find_clip},
    Place{"conditioner.embedders.1.model.", "text_encoder_2", find_clip},
    Place{"text_encoders.clip_l.transformer.", "text_encoder", find_clip},
    Place{"text_encoders.clip_g.transformer.", "text_encoder_2", find_clip},
    Place{"text_encoders.t5xxl.transformer.", "text_encoder_2", find_t5},
    Place{"text_encoders.qwen3_4b.transformer.", "text_encoder", find_qwen3},
    Place{"text_encoders.qwen3_8b.transformer.", "text_encoder", find_qwen3},
    Place{"", "text_encoder", find_clip},
    Place{"", "text_encoder_2", find_t5},
    Place{"", "text_encoder", find_qwen3},
};

base::Status find_parts(const SharedWeights& source, const fs::path& path, ModelFiles& out) {
  for (const auto& place : kPlaces) {
    if (out.parts.contains(std::string(place.role))) continue;
    TRY_ASSIGN(auto found, place.find(source, place.prefix));
    if (!found) continue;
    out.parts.emplace(place.role, Part{std::move(found->kind), std::move(found->config),
                                       std::move(found->weights), path.parent_path()});
  }
  return {};
}

// Of a file that convert_to_gguf made of a whole model: each part below its role.
base::Result<ModelFiles> open_converted(const SharedWeights& source, const WeightsFile& file,
                                        const fs::path& path) {
  static constexpr std::array kSame{kKeep};
  ModelFiles out;
  TRY_ASSIGN(out.index, Config::parse(file.metadata.find(kIndexKey)->second));
  out.pipeline = out.index.text("_class_name");
  for (const auto& [key, kind] : file.metadata) {
    const auto role = rewritten(key, std::string(kPartKey) + ".*", "*");
    if (!role || !role->ends_with(kClassEnd)) continue;
    const auto name = role->substr(0, role->size() - kClassEnd.size());
    Part part{.kind = kind, .folder = path.parent_path()};
    const auto config = file.metadata.find(std::format("{}.{}{}", kPartKey, name, kConfigEnd));
    if (config != file.metadata.end()) {
      TRY_ASSIGN(part.config, Config::parse(config->second));
    }
    // open_tokenizer knows such places.
    if (name.starts_with("tokenizer")) part.folder = path / name;
    TRY_ASSIGN(part.weights, rename(source, name + ".", kSame));
    if (part.weights->names().empty()) part.weights.reset();  // a scheduler
    out.parts.emplace(name, std::move(part));
  }
  return out;
}

// Of a file that brings the configuration of a part itself, below `key`, as those that
// convert_to_gguf made of one part.
base::Status take_own_config(const WeightsFile& file, const std::string& key, Part& part) {
  const auto kind = file.metadata.find(key + std::string(kClassEnd));
  const auto config = file.metadata.find(key + std::string(kConfigEnd));
  if (kind == file.metadata.end() || config == file.metadata.end() || kind->second != part.kind)
    return {};
  TRY_ASSIGN(part.config, Config::parse(config->second));
  return {};
}

// Of a part that was taken out of a diffusers folder with its configuration beside it.
base::Status take_config_beside(const fs::path& path, Part& part) {
  const auto beside = path.parent_path() / "config.json";
  std::error_code ignored;
  if (!fs::is_regular_file(beside, ignored)) return {};
  TRY_ASSIGN(auto config, Config::load(beside));
  if (class_of(config) == part.kind) part.config = std::move(config);
  return {};
}

std::string some_names(const NamedWeights& weights) {
  const auto names = weights.names();
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 3); ++i)
    out += (i > 0 ? ", " : "") + gguf::escaped(names[i]);
  return std::format("{} tensors ({}{})", names.size(), out, names.size() > 3 ? ", ..." : "");
}

}  // namespace

base::Result<ModelFiles> open_single_file(const fs::path& path) {
  TRY_ASSIGN(auto file, open_weights_file(path));
  const SharedWeights source = std::move(file.weights);
  if (file.metadata.contains(kIndexKey)) return open_converted(source, file, path);
  ModelFiles out;
  auto found = find_parts(source, path, out);
  if (!found)
    return base::fail(
        std::move(found).error().with_context(std::format("opening {}", path.native())));
  if (out.parts.empty())
    return base::fail(ErrorCode::unsupported,
                      std::format("{} is of no family that is known: it has {}", path.native(),
                                  some_names(*source)));
  if (out.parts.size() == 1) {
    TRY(take_config_beside(path, out.parts.begin()->second));
    TRY(take_own_config(file, std::string(kPartKey), out.parts.begin()->second));
  }
  for (auto& [role, part] : out.parts)
    TRY(take_own_config(file, std::format("{}.{}", kPartKey, role), part));
  add_family_defaults(*source, file.metadata, path.filename().native(), out);
  return out;
}

}  // namespace ingle::weights
