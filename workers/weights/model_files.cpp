#include "weights/model_files.h"

#include <algorithm>
#include <array>
#include <format>
#include <system_error>
#include <utility>

#include "gguf/reader.h"
#include "weights/component_folder.h"
#include "weights/family_defaults.h"
#include "weights/renaming.h"
#include "weights/single_file.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

// What a pipeline can be made of; the index names more (safety_checker, feature_extractor), which
// nothing here uses.
constexpr std::array<std::string_view, 11> kRoles{
    "unet",         "transformer",    "transformer_2",  "vae",
    "text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer",
    "tokenizer_2",  "tokenizer_3",    "scheduler"};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

base::Result<ModelFiles> open_folder(const fs::path& folder) {
  ModelFiles out;
  TRY_ASSIGN(out.index, Config::load(folder / "model_index.json"));
  out.pipeline = out.index.text("_class_name");
  for (const auto role : kRoles) {
    // [library, class], both null for what the model does without.
    const auto entry = out.index.texts(role);
    const auto place = folder / role;
    if (entry.size() != 2 || !is_folder(place)) continue;
    TRY_ASSIGN(auto part, open_component(place, entry[1]));
    out.parts.emplace(role, std::move(part));
  }
  if (out.parts.empty())
    return base::fail(ErrorCode::model_broken,
                      std::format("{} names no part that is there; fetch the model again",
                                  (folder / "model_index.json").native()));
  return out;
}

base::Status there(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return {};
  return base::fail(ErrorCode::not_found, std::format("{} is not there", path.native()));
}

// A file of one part may be given for any role (an encoder of CLIP is the first or the second); of
// several, the role's own is meant.
base::Result<Part> part_of_file(const std::string& role, const fs::path& path,
                                std::string_view pipeline) {
  TRY_ASSIGN(auto file, open_single_file(path));
  auto found = file.parts.find(role);
  if (found == file.parts.end()) {
    file.parts.erase("scheduler");
    if (file.parts.size() != 1)
      return base::fail(ErrorCode::model_broken,
                        std::format("{} has no part '{}'", path.native(), role));
    found = file.parts.begin();
  }
  auto part = std::move(found->second);
  // A configuration that came from shapes.
  if (role == "vae" && !part.config.has("force_upcast")) set_latent_scale(pipeline, part);
  return part;
}

// Whether what was opened is of the sort that the role wants; unknown classes are.
base::Status check_kind(std::string_view role, const fs::path& path, const Part& part) {
  const bool encodes = part.kind.contains("Text") || part.kind.contains("Encoder") ||
                       part.kind.contains("ForCausalLM");
  const bool decodes = part.kind.starts_with("Autoencoder");
  const bool draws = part.kind.contains("UNet") || part.kind.contains("Transformer2D");
  const bool wrong = role == "vae"                      ? (encodes && !decodes) || draws
                     : role.starts_with("text_encoder") ? decodes || draws
                     : role == "unet" || role.starts_with("transformer") ? decodes || encodes
                                                                         : false;
  if (!wrong) return {};
  return base::fail(ErrorCode::model_broken,
                    std::format("{} holds a part of class '{}', which cannot be a '{}'",
                                path.native(), gguf::escaped(part.kind), role));
}

base::Result<Part> open_named_part(const std::string& role, const fs::path& path,
                                   std::string_view pipeline) {
  TRY(there(path));
  if (role.starts_with("tokenizer") && !is_folder(path)) {
    // The file of a text encoder with its words in it, or one of a tokenizer's own files.
    return Part{.folder = path.extension() == ".gguf" ? path : path.parent_path()};
  }
  if (is_folder(path)) {
    // The part's own folder, or a model that has such a part.
    const bool model = fs::exists(path / "model_index.json") && is_folder(path / role);
    return open_component(model ? path / role : path, {});
  }
  if (path.extension() == ".json") {
    TRY_ASSIGN(auto config, Config::load(path));
    auto kind = class_of(config);
    return Part{std::move(kind), std::move(config), nullptr, path.parent_path()};
  }
  return part_of_file(role, path, pipeline);
}

// FLUX takes what CLIP says of the whole text before it is projected; files of CLIP alone have the
// projection with them, and what has it is taken to want it.
base::Status leave_out_projection(ModelFiles& files) {
  static constexpr std::array kSame{kKeep};
  const auto found = files.parts.find("text_encoder");
  if (files.pipeline != "FluxPipeline" || found == files.parts.end()) return {};
  auto& part = found->second;
  if (part.weights == nullptr || !part.weights->find("text_projection.weight")) return {};
  part.kind = "CLIPTextModel";
  TRY_ASSIGN(part.weights,
             rename(std::move(part.weights), "", kSame, {.first = [](std::string_view name) {
                      return name == "text_projection.weight" ? std::nullopt
                                                              : std::optional(std::string(name));
                    }}));
  return {};
}

}  // namespace

base::Result<const Part*> ModelFiles::part(std::string_view role) const {
  const auto found = parts.find(std::string(role));
  if (found != parts.end()) return &found->second;
  return base::fail(
      ErrorCode::model_broken,
      std::format("the model has no '{0}'; name a folder or file for it (part '{0}')", role));
}

base::Result<ModelFiles> open_model(const ModelPaths& paths) {
  TRY(there(paths.model));
  TRY_ASSIGN(auto out,
             is_folder(paths.model) ? open_folder(paths.model) : open_single_file(paths.model));
  for (const auto& [role, path] : paths.parts) {
    if (!std::ranges::contains(kRoles, role))
      return base::fail(ErrorCode::invalid_argument,
                        std::format("a model has no part '{}'", gguf::escaped(role)));
    auto part = open_named_part(role, path, out.pipeline);
    if (!part)
      return base::fail(
          std::move(part).error().with_context(std::format("opening part '{}'", role)));
    TRY(check_kind(role, path, *part));
    out.parts.insert_or_assign(role, *std::move(part));
  }
  TRY(leave_out_projection(out));
  return out;
}

}  // namespace ingle::weights
