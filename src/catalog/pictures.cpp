#include "catalog/pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <format>
#include <map>
#include <set>

#include "catalog/reading.h"
#include "catalog/text.h"
#include "catalog/tokenizers.h"
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
constexpr std::int64_t kSideStep = 16;
// Keys of GGUF files that `ingle convert` made of a whole model (weights/convert.h).
constexpr std::string_view kConvertedIndex = "ingle.index";
constexpr std::string_view kConvertedPart = "ingle.part.";
// GGUF architectures that draw pictures or films.
constexpr std::array<std::string_view, 9> kLaterArchitectures{
    "sd1", "sd2", "sdxl", "flux", "flux2", "lumina2", "sd3", "qwen_image", "wan"};

// The side that families were trained for.
std::int64_t side_of_family(std::string_view family) {
  return family == "sd1" ? 512 : family == "sd2" ? 768 : 1024;
}

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

using Types = std::map<std::string, std::uint64_t, std::less<>>;  // bytes by type of number

void add_types(const TensorList& tensors, Types& types) {
  for (const auto& tensor : tensors.all()) types[tensor.type] += tensor.size_bytes;
}

std::string main_type(const Types& types) {
  if (types.empty()) return {};
  return printable(
      std::ranges::max_element(types, {}, [](const auto& t) { return t.second; })->first, 64);
}

// The roles that model_index.json names a class for, of those that are looked at.
std::vector<std::string> roles_of(const Json& index) {
  std::vector<std::string> out;
  for (const std::string_view role : {"unet", "transformer", "vae", "text_encoder",
                                      "text_encoder_2", "tokenizer", "tokenizer_2"}) {
    const auto* entry = index.find(role);
    const auto* pair = entry ? entry->as_array() : nullptr;
    if (pair != nullptr && pair->size() == 2 && (*pair)[1].as_string() != nullptr)
      out.emplace_back(role);
  }
  return out;
}

// Decoders of one shape are trained for different latents: what a configuration's factor tells.
std::string_view latents_by_factor(double factor) {
  constexpr std::array<std::pair<double, std::string_view>, 4> kFactors{
      {{0.18215, "sd"}, {0.13025, "sdxl"}, {0.3611, "flux"}, {1.5305, "sd3"}}};
  for (const auto& [known, latents] : kFactors)
    if (std::abs(factor - known) < 1e-4) return latents;
  return {};
}

// By the configuration in the folder, if there is one, else by how people call such files.
std::string latents_of_vae(const std::filesystem::path& folder, std::string_view file_name) {
  if (const auto config = read_json(folder / "config.json"))
    if (const auto* factor = config->find("scaling_factor"); factor && factor->as_double())
      return std::string(latents_by_factor(*factor->as_double()));
  const auto name = lower(file_name);
  if (name.contains("sdxl") || name.contains("xl_vae") || name.contains("xl-vae")) return "sdxl";
  return name.contains("sd3") ? "sd3" : "";
}

// The side that the model was trained for, from its configs; 0: they do not say.
std::int64_t side_of(const std::filesystem::path& folder) {
  const auto unet = read_json(folder / "unet" / "config.json");
  const auto vae = read_json(folder / "vae" / "config.json");
  if (!vae) return 0;
  if (!unet) {  // configs of transformers do not name a side
    const auto side = integer_at(*vae, "sample_size");
    return side >= kSideStep && side <= kSideMax && side % kSideStep == 0 ? side : 0;
  }
  const auto* channels = vae->find("block_out_channels");
  const auto blocks = channels && channels->as_array() ? channels->as_array()->size() : 0;
  const auto latent = integer_at(*unet, "sample_size");
  if (blocks < 1 || blocks > 8 || latent < 1 || latent > kSideMax) return 0;
  return std::min(latent << (blocks - 1), kSideMax);
}

void finish(FileReading& reading, std::string_view family, PictureFacts facts, const Types& types) {
  reading.facts.architecture = family;
  reading.facts.quantization = main_type(types);
  reading.facts.parameters = reading.facts.weight_bytes = 0;
  for (const auto& part : facts.parts) {
    reading.facts.parameters += part.elements;
    reading.facts.weight_bytes += part.elements > 0 ? part.file_bytes : 0;
  }
  if (facts.side == 0) facts.side = side_of_family(family);
  if (reading.problem.empty() && roles_needed(family).empty())
    reading.problem = std::format("models of the family '{}' cannot be drawn with yet", family);
  reading.picture = std::move(facts);
  if (!reading.problem.empty()) reading.lasting = false;
}

FileReading with_problem(std::string problem) {
  return {
      .problem = printable(problem, kProblemBytesMax), .lasting = false, .picture = PictureFacts{}};
}

bool is_adapter(const TensorList& tensors) {
  return std::ranges::any_of(tensors.all(), [](const auto& tensor) {
    return tensor.name.contains(".lora_down.") || tensor.name.contains(".lora_A.");
  });
}

// The family of what has these parts; empty: there is nothing among them that draws.
std::string_view family_of_parts(const std::vector<PicturePart>& parts) {
  for (const auto& part : parts)
    if (const auto family = family_of(part); !family.empty()) return family;
  return {};
}

// What the keys of a role's files begin with in a converted model.
std::string converted_files(std::string_view role) {
  return std::format("{}{}.file.", kConvertedPart, role);
}

// A tokenizer inside a converted model, which has its files as texts.
std::optional<PicturePart> converted_tokenizer(const gguf::Header& header, std::string_view role) {
  for (const auto name : kTokenizerFiles) {
    const auto* value = header.find(converted_files(role) + std::string(name));
    const auto text = value != nullptr ? value->as_string() : std::nullopt;
    if (!text) continue;
    auto part = tokenizer_in(name, *text);
    if (!part) return std::nullopt;  // the worker says what is wrong with it
    return *std::move(part);
  }
  return std::nullopt;
}

// One part of a folder, as far as it can be read.
Result<PicturePart> read_part(const std::filesystem::path& folder, const std::string& role,
                              Types& types) {
  if (role.starts_with("tokenizer")) {
    // One of a kind that is not known here is the worker's to judge.
    auto out = read_tokenizer_folder(folder).value_or(PicturePart{});
    out.role = role;
    return out;
  }
  TRY_ASSIGN(const auto files, weight_files(folder));
  TensorList tensors{std::vector<TensorList::Tensor>{}};
  for (const auto& file : files) {
    TRY_ASSIGN(auto more, TensorList::read_safetensors(file));
    tensors.add(std::move(more));
  }
  add_types(tensors, types);
  auto out = part_below(tensors, "", role);
  if (out.kind == PartKind::vae) out.latents = latents_of_vae(folder, "");
  return out;
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
  Types types;
  for (const auto& role : roles_of(*index)) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder / role, ignored)) continue;  // it may come from elsewhere
    auto part = read_part(folder / role, role, types);
    if (!part && out.problem.empty())
      out.problem = printable(std::format("its part '{}' cannot be used: {}; fetch the model again",
                                          role, part.error().message),
                              kProblemBytesMax);
    facts.parts.push_back(part ? *std::move(part) : PicturePart{.role = role});
  }
  if (family == "sd1")
    if (const auto unet = read_json(folder / "unet" / "config.json"))
      if (integer_at(*unet, "cross_attention_dim") == 1024) family = "sd2";
  if (!facts.has("unet") && !facts.has("transformer") && out.problem.empty())
    out.problem = "its UNet or transformer is missing: fetch the model again";
  for (const auto role : roles_needed(family)) out.lasting = out.lasting && facts.has(role);
  finish(out, family, std::move(facts), types);
  return out;
}

Result<FileReading> read_safetensors_file(const std::filesystem::path& path) {
  const auto tensors = TensorList::read_safetensors(path);
  if (!tensors && tensors.error().code == ErrorCode::not_found) return fail(tensors.error());
  if (!tensors) {
    // What it would have been cannot be told: it is shown as broken.
    auto out = with_problem("it is no whole safetensors file: " + tensors.error().text());
    out.picture.reset();
    return out;
  }
  FileReading out;
  Types types;
  add_types(*tensors, types);
  for (const auto& tensor : tensors->all()) {
    out.facts.parameters += tensor.elements;
    out.facts.weight_bytes += tensor.size_bytes;
  }
  if (is_adapter(*tensors)) {
    out.type = "adapter";
    out.facts.architecture = "lora";
    return out;
  }
  auto parts = parts_in(*tensors);
  for (auto& part : parts)
    if (part.kind == PartKind::vae && parts.size() == 1)
      part.latents = latents_of_vae(path.parent_path(), path.filename().native());
  if (const auto family = family_of_parts(parts); !family.empty()) {
    finish(out, family, {.parts = std::move(parts)}, types);
    return out;
  }
  out.type = parts.size() == 1 ? kComponentType : kUnlistedType;
  if (parts.size() != 1) return out;
  out.facts.architecture = part_kind_name(parts.front().kind);
  out.facts.quantization = main_type(types);
  out.component = std::move(parts.front());
  return out;
}

Result<FileReading> read_tokenizer_file(const std::filesystem::path& path) {
  auto part = read_tokenizer(path);
  if (!part && part.error().code == ErrorCode::not_found) return fail(part.error());
  // Other programs have files of these names, too.
  FileReading out{.type = std::string(part ? kComponentType : kUnlistedType)};
  if (!part) return out;
  out.facts.architecture = part_kind_name(part->kind);
  out.component = *std::move(part);
  return out;
}

void take_picture(const gguf::Header& header, FileReading& reading) {
  const TensorList tensors(header);
  auto& facts = reading.facts;
  std::vector<PicturePart> parts;
  if (header.find(kConvertedIndex) != nullptr) {  // a whole model, each part below its role
    for (const std::string_view role :
         {"unet", "transformer", "vae", "text_encoder", "text_encoder_2"})
      if (const auto prefix = std::string(role) + "."; !tensors.below(prefix).empty())
        parts.push_back(part_below(tensors, prefix, role));
    for (const std::string_view role : {"tokenizer", "tokenizer_2"}) {
      const auto files = converted_files(role);
      if (std::ranges::none_of(header.metadata,
                               [&](const auto& pair) { return pair.first.starts_with(files); }))
        continue;
      auto part = converted_tokenizer(header, role).value_or(PicturePart{});
      part.role = role;
      parts.push_back(std::move(part));
    }
  } else {
    parts = parts_in(tensors);
  }
  const std::string quantization = facts.quantization;
  if (const auto family = family_of_parts(parts); !family.empty()) {
    finish(reading, family, {.parts = std::move(parts)}, {});
    facts.quantization = quantization;
    return;
  }
  if (parts.size() == 1) {
    const bool chats = parts.front().kind == PartKind::qwen3;
    if (chats && (facts.pooling_type != 0 || facts.has_classifier)) return;  // it embeds
    if (!chats) reading.type = kComponentType;
    reading.component = std::move(parts.front());
    return;
  }
  if (!std::ranges::contains(kLaterArchitectures, facts.architecture)) return;
  reading.problem =
      std::format("models of the family '{}' cannot be drawn with yet, or not in this layout",
                  facts.architecture);
  reading.picture = PictureFacts{};
}

}  // namespace ingle::catalog
