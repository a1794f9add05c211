#include "weights/adapter_keys.h"

#include <algorithm>
#include <array>
#include <utility>

#include "weights/layouts.h"
#include "weights/renaming.h"

namespace ingle::weights {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kParts{{
    {"lora_unet_", "net"},
    {"lora_transformer_", "net"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te_", "text_encoder"},
    {"unet.", "net"},
    {"transformer.", "net"},
    {"diffusion_model.", "net"},
    {"model.diffusion_model.", "net"},
    {"base_model.model.", "net"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder.", "text_encoder"},
}};

constexpr std::array<std::pair<std::string_view, Matrix>, 15> kMatrices{{
    {".lora_down.weight", Matrix::down},
    {".lora_up.weight", Matrix::up},
    {".lora_A.weight", Matrix::down},
    {".lora_B.weight", Matrix::up},
    {".lora_A.default.weight", Matrix::down},
    {".lora_B.default.weight", Matrix::up},
    {".lora.down.weight", Matrix::down},
    {".lora.up.weight", Matrix::up},
    {".lora_linear_layer.down.weight", Matrix::down},
    {".lora_linear_layer.up.weight", Matrix::up},
    {"_lora.down.weight", Matrix::down},
    {"_lora.up.weight", Matrix::up},
    {"_lora.alpha", Matrix::alpha},
    {".lora.alpha", Matrix::alpha},
    {".alpha", Matrix::alpha},
}};

constexpr std::string_view kWeight = ".weight";

std::string flattened(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '.', '_');
  return out;
}

std::int64_t rows_of(const Part& part, std::string_view weight) {
  const auto info = part.weights->find(weight);
  return info && info->shape.rank() > 0 ? info->shape[0] : 0;
}

std::span<const Rule> rules_of(std::string_view kind) {
  if (kind == "FluxTransformer2DModel") return flux1_rules();
  if (kind == "Flux2Transformer2DModel") return flux2_rules();
  if (kind == "ZImageTransformer2DModel") return z_image_rules();
  return {};
}

}  // namespace

std::optional<AdapterKey> read_adapter_key(std::string_view key) {
  AdapterKey out{.part = "net"};
  const auto matrix = std::ranges::find_if(
      kMatrices, [key](const auto& entry) { return key.ends_with(entry.first); });
  if (matrix == kMatrices.end()) return std::nullopt;
  key.remove_suffix(matrix->first.size());
  out.matrix = matrix->second;
  const auto part = std::ranges::find_if(
      kParts, [key](const auto& entry) { return key.starts_with(entry.first); });
  if (part != kParts.end()) {
    key.remove_prefix(part->first.size());
    out.part = part->second;
  }
  out.module = flattened(key);
  // diffusers once kept the matrices in the attention's processor.
  constexpr std::string_view kProcessor = "_processor_";
  if (const auto at = out.module.find(kProcessor); at != std::string::npos)
    out.module.replace(at, kProcessor.size(), "_");
  if (out.module.empty()) return std::nullopt;
  return out;
}

AdapterTargets::AdapterTargets(const Part& part) : part_(part) {
  for (const auto& name : part.weights->names())
    if (name.ends_with(kWeight))
      weights_.emplace(flattened(name.substr(0, name.size() - kWeight.size())), name);
}

std::vector<AdapterTarget> AdapterTargets::whole(std::string_view module) const {
  auto found = weights_.find(module);
  // Older files leave out that the output is the first of a list.
  if (found == weights_.end()) found = weights_.find(std::string(module) + "_0");
  if (found == weights_.end()) return {};
  return {{found->second, 0, rows_of(part_, found->second), 0}};
}

std::vector<AdapterTarget> AdapterTargets::original(std::string_view module) const {
  if (part_.kind == "UNet2DConditionModel") {
    const auto name =
        flat_unet_name(module, part_.config.integer("layers_per_block", kLayersPerBlock));
    return name ? whole(*name) : std::vector<AdapterTarget>{};
  }
  for (const auto& rule : rules_of(part_.kind)) {
    if (rule.from == kKeep.from || !rule.from.ends_with(".*")) continue;
    const auto from = flattened(rule.from.substr(0, rule.from.size() - 2));
    std::vector<AdapterTarget> out;
    std::int64_t up_row = 0;
    for (const auto to : rule.to) {
      if (to.empty()) break;
      const auto weight = rewritten(module, from, std::string(to.substr(0, to.size() - 2)));
      if (!weight || !to.ends_with(".*")) break;
      const auto rows = rows_of(part_, *weight + std::string(kWeight));
      if (rows == 0) return {};
      out.push_back({*weight + std::string(kWeight), 0, rows, up_row});
      up_row += rows;
    }
    if (out.empty()) continue;
    if (rule.cut == Cut::halves_swapped) {
      const auto half = out[0].rows / 2;
      return {{out[0].weight, 0, half, half}, {out[0].weight, half, half, 0}};
    }
    return out;
  }
  return {};
}

std::vector<AdapterTarget> AdapterTargets::find(std::string_view module) const {
  auto out = whole(module);
  return out.empty() ? original(module) : out;
}

}  // namespace ingle::weights
