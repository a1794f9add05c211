// The components of models in the layouts that they are published in, recognised by the names of
// their tensors: original ones, and diffusers' own without a configuration. Each family is one
// file, layout_*.cpp: its table of names, and its configuration read off the shapes. Any thread.
//
// Configurations say what diffusers' config.json would. What shapes do not tell (numbers of heads
// of a UNet, groups of norms) is what the published models of the family have.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/json.h"
#include "weights/config.h"
#include "weights/joined_weights.h"
#include "weights/renaming.h"

namespace ingle::weights {

struct Component {
  std::string kind{};  // diffusers' class
  Config config{};
  std::unique_ptr<NamedWeights> weights{};
};

// The component of this kind below a prefix of the source's names (such as
// "model.diffusion_model."); nothing when there is none. Errors: model_broken.
using Found = base::Result<std::optional<Component>>;
Found find_unet(const SharedWeights& source, std::string_view prefix);
Found find_flux1(const SharedWeights& source, std::string_view prefix);
Found find_flux2(const SharedWeights& source, std::string_view prefix);
Found find_z_image(const SharedWeights& source, std::string_view prefix);
// AutoencoderKL or AutoencoderKLFlux2. Its scaling_factor is that of SD1.5 where it has 4 channels.
Found find_vae(const SharedWeights& source, std::string_view prefix);
// CLIPTextModel, or with a projection CLIPTextModelWithProjection.
Found find_clip(const SharedWeights& source, std::string_view prefix);
Found find_t5(const SharedWeights& source, std::string_view prefix);
Found find_qwen3(const SharedWeights& source, std::string_view prefix);

// Original names to diffusers' ones, for adapters, which name modules of either.
std::span<const Rule> flux1_rules();
std::span<const Rule> flux2_rules();
std::span<const Rule> z_image_rules();
inline constexpr std::int64_t kLayersPerBlock = 2;  // where a configuration does not say
// "input_blocks_4_1_proj_in" to "down_blocks_1_attentions_0_proj_in": '_' for '.'. `layers` as
// layers_per_block has it. Nothing for other names.
std::optional<std::string> flat_unet_name(std::string_view flat, std::int64_t layers);

// For the files of the families:

// Size of an axis of a tensor; 0 when there is no such tensor or axis.
std::int64_t axis_of(const NamedWeights& weights, std::string_view name, std::size_t axis);
// How many of pattern with '#' as 0, 1, 2, ... there are without a gap.
std::int64_t count_of(const NamedWeights& weights, std::string_view pattern);
protocol::Json json_list(const std::vector<std::int64_t>& values);
Config config_of(protocol::Json::Object members);

}  // namespace ingle::weights
