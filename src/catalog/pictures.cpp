#include "catalog/pictures.h"

#include <algorithm>
#include <array>
#include <format>
#include <map>
#include <set>

#include "catalog/reading.h"
#include "catalog/safetensors.h"
#include "catalog/text.h"
#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using protocol::Json;

constexpr std::uint64_t kConfigBytesMax = 4 << 20;
constexpr std::size_t kShardsMax = 256;
constexpr std::size_t kProblemBytesMax = 1024;
constexpr std::int64_t kSideMax = 4096;

struct Family {
  std::string_view name;
  std::array<std::string_view, 4> needs;  // roles; empty ones are none
  std::int64_t side;
};
constexpr std::array kFamilies{
    Family{"sd1", {"unet", "vae", "text_encoder"}, 512},
    Family{"sd2", {"unet", "vae", "text_encoder"}, 768},
    Family{"sdxl", {"unet", "vae", "text_encoder", "text_encoder_2"}, 1024},
    Family{"flux1", {"transformer", "vae", "text_encoder", "text_encoder_2"}, 1024},
    Family{"flux2", {"transformer", "vae", "text_encoder"}, 1024},
    Family{"z_image", {"transformer", "vae", "text_encoder"}, 1024},
};

// Pipelines by their class names; sd1 may turn out to be sd2.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kPipelines{{
    {"StableDiffusionPipeline", "sd1"},
    {"StableDiffusionImg2ImgPipeline", "sd1"},
    {"StableDiffusionInpaintPipeline", "sd1"},
    {"StableDiffusionXLPipeline", "sdxl"},
    {"FluxPipeline", "flux1"},
    {"Flux2Pipeline", "flux2"},
    {"Flux2KleinPipeline", "flux2"},
    {"ZImagePipeline", "z_image"},
}};

const Family* find_family(std::string_view name) {
  const auto found = std::ranges::find(kFamilies, name, &Family::name);
  return found == kFamilies.end() ? nullptr : &*found;
}

Result<Json> read_json(const std::filesystem::path& path) {
  TRY_ASSIGN(const auto text, platform::create_files()->read(path, kConfigBytesMax));
  return protocol::parse_json(text, {.depth_max = 32, .values_max = 1u << 20});
}

std::string text_at(const Json& json, std::string_view key) {
  const auto* value = json.find(key);
  const auto* text = value ? value->as_string() : nullptr;
  return text ? *text : std::string();
}

// An integer, or the first of a list.
std::int64_t integer_at(const Json& json, std::string_view key) {
  const auto* value = json.find(key);
  if (value == nullptr) return 0;
  if (const auto* list = value->as_array())
    return list->empty() ? 0 : list->front().as_int().value_or(0);
  return value->as_int().value_or(0);
}

// The files of a part, as diffusers names them. Errors: not_found, malformed.
Result<std::vector<std::filesystem::path>> weight_files(const std::filesystem::path& folder) {
  TRY_ASSIGN(const auto entries, platform::create_files()->list(folder, 4096));
  std::vector<std::filesystem::path> plain, variants;
  for (const auto& entry : entries) {
    const auto name = entry.path.filename().native();
    if (name.ends_with(".safetensors.index.json")) {
      TRY_ASSIGN(const auto index, read_json(entry.path));
      const auto* map = index.find("weight_map");
      if (map == nullptr || map->as_object() == nullptr) continue;
      std::set<std::filesystem::path> files;
      for (const auto& [tensor, file] : *map->as_object())
        if (const auto* text = file.as_string(); text != nullptr && !text->contains('/'))
          files.insert(folder / *text);
      if (files.empty() || files.size() > kShardsMax)
        return fail(ErrorCode::malformed, std::format("'{}' names no files", name));
      return std::vector(files.begin(), files.end());
    }
    if (!name.ends_with(".safetensors")) continue;
    const auto stem = name.substr(0, name.size() - std::string_view(".safetensors").size());
    (stem.contains('.') ? variants : plain).push_back(entry.path);
  }
  if (!plain.empty()) return std::vector{plain.front()};
  if (!variants.empty()) return std::vector{variants.front()};
  return fail(ErrorCode::not_found, "it has no .safetensors file");
}

// Adds what a tensor file holds; notes which type most bytes have.
base::Status add_file(const std::filesystem::path& path, PicturePart& part,
                      std::map<std::string, std::uint64_t>& types) {
  TRY_ASSIGN(const auto tensors, read_safetensors_header(path));
  for (const auto& tensor : tensors) {
    part.elements += tensor.elements;
    part.file_bytes += tensor.bytes;
    types[tensor.type] += tensor.bytes;
  }
  return {};
}

std::string main_type(const std::map<std::string, std::uint64_t>& types) {
  if (types.empty()) return {};
  return printable(
      std::ranges::max_element(types, {}, [](const auto& t) { return t.second; })->first, 64);
}

// The roles that model_index.json names a class for, of those that hold weights.
std::vector<std::string> roles_of(const Json& index) {
  std::vector<std::string> out;
  for (const std::string_view role :
       {"unet", "transformer", "vae", "text_encoder", "text_encoder_2"}) {
    const auto* entry = index.find(role);
    const auto* pair = entry ? entry->as_array() : nullptr;
    if (pair != nullptr && pair->size() == 2 && (*pair)[1].as_string() != nullptr)
      out.emplace_back(role);
  }
  return out;
}

// The side that the model was trained for, from its configs; 0: they do not say.
std::int64_t side_of(const std::filesystem::path& folder) {
  const auto unet = read_json(folder / "unet" / "config.json");
  const auto vae = read_json(folder / "vae" / "config.json");
  if (!unet || !vae) return 0;
  const auto* channels = vae->find("block_out_channels");
  const auto blocks = channels && channels->as_array() ? channels->as_array()->size() : 0;
  const auto latent = integer_at(*unet, "sample_size");
  if (blocks < 1 || blocks > 8 || latent < 1 || latent > kSideMax) return 0;
  return std::min(latent << (blocks - 1), kSideMax);
}

void finish(FileReading& reading, std::string_view family, PictureFacts facts,
            const std::map<std::string, std::uint64_t>& types) {
  reading.facts.architecture = family;
  reading.facts.quantization = main_type(types);
  for (const auto& part : facts.parts) {
    reading.facts.parameters += part.elements;
    reading.facts.weight_bytes += part.file_bytes;
  }
  if (const auto* known = find_family(family); known != nullptr && facts.side == 0)
    facts.side = known->side;
  if (reading.problem.empty()) reading.problem = missing_parts(family, facts);
  reading.picture = std::move(facts);
  if (!reading.problem.empty()) reading.lasting = false;
}

FileReading with_problem(std::string problem) {
  return {
      .problem = printable(problem, kProblemBytesMax), .lasting = false, .picture = PictureFacts{}};
}

// How a single file calls the part that a tensor belongs to; empty: none that is known.
std::string_view role_of_tensor(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kPrefixes{{
      {"model.diffusion_model.double_blocks.", "transformer"},
      {"model.diffusion_model.single_blocks.", "transformer"},
      {"model.diffusion_model.", "unet"},
      {"double_blocks.", "transformer"},
      {"single_blocks.", "transformer"},
      {"first_stage_model.", "vae"},
      {"vae.", "vae"},
      {"cond_stage_model.", "text_encoder"},
      {"conditioner.embedders.0.", "text_encoder"},
      {"conditioner.embedders.1.", "text_encoder_2"},
      {"text_encoders.clip_l.", "text_encoder"},
      {"text_encoders.t5xxl.", "text_encoder_2"},
      {"img_in.", "transformer"},
  }};
  for (const auto& [prefix, role] : kPrefixes)
    if (name.starts_with(prefix)) return role;
  return {};
}

bool is_adapter(const std::vector<SafetensorsTensor>& tensors) {
  return std::ranges::any_of(tensors, [](const auto& tensor) {
    return tensor.name.contains(".lora_down.") || tensor.name.contains(".lora_A.");
  });
}

// The family of a single file by what tells the families apart; empty: none that is known.
std::string_view family_of(const std::vector<SafetensorsTensor>& tensors) {
  bool flux = false;
  bool flux2 = false;
  bool unet = false;
  std::uint64_t text_width = 0;  // of the text that the UNet looks at
  for (const auto& tensor : tensors) {
    flux = flux || tensor.name.ends_with("double_blocks.0.img_attn.qkv.weight");
    flux2 = flux2 || tensor.name.ends_with("double_stream_modulation_img.lin.weight");
    if (!tensor.name.starts_with("model.diffusion_model.input_blocks.")) continue;
    unet = true;
    if (tensor.name.ends_with("attn2.to_k.weight") && tensor.shape.size() == 2)
      text_width = tensor.shape[1];
  }
  if (flux) return flux2 ? "flux2" : "flux1";
  if (!unet) return {};
  return text_width == 2048 ? "sdxl" : text_width == 1024 ? "sd2" : "sd1";
}

}  // namespace

bool PictureFacts::has(std::string_view role) const {
  return std::ranges::contains(parts, role, &PicturePart::role);
}

std::uint64_t PictureFacts::elements() const {
  std::uint64_t out = 0;
  for (const auto& part : parts) out += part.elements;
  return out;
}

std::string missing_parts(std::string_view family, const PictureFacts& facts) {
  const auto* known = find_family(family);
  if (known == nullptr)
    return std::format("models of the family '{}' cannot be drawn with yet", family);
  std::string missing;
  for (const auto role : known->needs)
    if (!role.empty() && !facts.has(role))
      missing += std::format("{}{}", missing.empty() ? "" : ", ", role);
  if (missing.empty()) return {};
  return std::format("parts are missing: {}; a whole model is needed, such as a diffusers folder",
                     missing);
}

std::string_view picture_family(std::string_view architecture) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kArchitectures{{
      {"sd1", "sd1"},
      {"sd2", "sd2"},
      {"sdxl", "sdxl"},
      {"flux", "flux1"},
      {"flux2", "flux2"},
      {"lumina2", "z_image"},
      {"sd3", "sd3"},
      {"qwen_image", "qwen_image"},
      {"wan", "wan"},
  }};
  for (const auto& [name, family] : kArchitectures)
    if (name == architecture) return family;
  return {};
}

Result<FileReading> read_diffusers_folder(const std::filesystem::path& model_index) {
  const auto index = read_json(model_index);
  if (!index && index.error().code == ErrorCode::not_found) return fail(index.error());
  if (!index) return with_problem(index.error().text());
  const auto name = text_at(*index, "_class_name");
  const auto* const pipeline = std::ranges::find(
      kPipelines, std::string_view(name), &std::pair<std::string_view, std::string_view>::first);
  if (pipeline == kPipelines.end())
    return with_problem(std::format("pipelines of the class '{}' are not known", name));
  std::string_view family = pipeline->second;
  const auto folder = model_index.parent_path();
  FileReading out;
  PictureFacts facts{.side = side_of(folder)};
  std::map<std::string, std::uint64_t> types;
  for (const auto& role : roles_of(*index)) {
    PicturePart part{.role = role};
    const auto files = weight_files(folder / role);
    base::Status read = files ? base::Status{} : fail(files.error());
    for (std::size_t i = 0; read && i < files->size(); ++i)
      read = add_file((*files)[i], part, types);
    if (!read && out.problem.empty())
      out.problem = printable(std::format("its part '{}' cannot be used: {}; fetch the model again",
                                          role, read.error().message),
                              kProblemBytesMax);
    facts.parts.push_back(std::move(part));
  }
  if (family == "sd1")
    if (const auto unet = read_json(folder / "unet" / "config.json"))
      if (integer_at(*unet, "cross_attention_dim") == 1024) family = "sd2";
  finish(out, family, std::move(facts), types);
  return out;
}

Result<FileReading> read_safetensors_file(const std::filesystem::path& path) {
  const auto tensors = read_safetensors_header(path);
  if (!tensors && tensors.error().code == ErrorCode::not_found) return fail(tensors.error());
  if (!tensors) {
    // What it would have been cannot be told: it is shown as broken.
    auto out = with_problem(tensors.error().text());
    out.picture.reset();
    return out;
  }
  FileReading out;
  std::map<std::string, PicturePart> parts;
  std::map<std::string, std::uint64_t> types;
  const auto family = family_of(*tensors);
  const bool adapter = is_adapter(*tensors);
  for (const auto& tensor : *tensors) {
    out.facts.parameters += adapter ? tensor.elements : 0;
    out.facts.weight_bytes += adapter ? tensor.bytes : 0;
    const std::string role(role_of_tensor(tensor.name));
    if (adapter || family.empty() || role.empty()) continue;
    parts[role].role = role;
    parts[role].elements += tensor.elements;
    parts[role].file_bytes += tensor.bytes;
    types[tensor.type] += tensor.bytes;
  }
  if (adapter || family.empty()) {
    out.type = adapter ? "adapter" : std::string(kUnlistedType);
    out.facts.architecture = adapter ? "lora" : "";
    return out;
  }
  PictureFacts facts;
  for (auto& [role, part] : parts) facts.parts.push_back(std::move(part));
  finish(out, family, std::move(facts), types);
  return out;
}

}  // namespace ingle::catalog
