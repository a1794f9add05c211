#include "weights/model_files.h"

#include <algorithm>
#include <array>
#include <format>
#include <system_error>
#include <utility>

#include "gguf/reader.h"
#include "weights/component_folder.h"
#include "weights/safetensors.h"

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

base::Result<Part> open_named_part(std::string_view role, const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    return base::fail(ErrorCode::not_found, std::format("{} is not there", path.native()));
  if (!is_folder(path))
    return base::fail(ErrorCode::unsupported,
                      std::format("{} is no folder of a part '{}'", path.native(), role));
  // The part's own folder, or a model that has such a part.
  if (is_folder(path / role) && fs::exists(path / "model_index.json"))
    return open_component(path / role, {});
  return open_component(path, {});
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
  TRY_ASSIGN(auto out, open_folder(paths.model));
  for (const auto& [role, path] : paths.parts) {
    if (!std::ranges::contains(kRoles, role))
      return base::fail(ErrorCode::invalid_argument,
                        std::format("a model has no part '{}'", gguf::escaped(role)));
    auto part = open_named_part(role, path);
    if (!part)
      return base::fail(
          std::move(part).error().with_context(std::format("opening part '{}'", role)));
    out.parts.insert_or_assign(role, *std::move(part));
  }
  return out;
}

}  // namespace ingle::weights
