#include "weights/component_folder.h"

#include <algorithm>
#include <array>
#include <format>
#include <set>
#include <utility>

#include "gguf/reader.h"
#include "platform/files.h"
#include "weights/gguf_weights.h"
#include "weights/joined_weights.h"
#include "weights/layouts.h"
#include "weights/safetensors.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

constexpr std::size_t kEntriesMax = 4096;
constexpr std::size_t kShardsMax = 256;
constexpr std::array<std::string_view, 3> kConfigNames{"config.json", "scheduler_config.json",
                                                       "tokenizer_config.json"};

// "model-00001-of-00003.safetensors" is only read through its index.
bool shard(std::string_view name) { return name.contains("-of-0"); }

// Lower is better: the plain name first, then a variant in half precision, then anything else.
int preference(std::string_view name) {
  if (name == "diffusion_pytorch_model.safetensors" || name == "model.safetensors") return 0;
  if (name == "diffusion_pytorch_model.safetensors.index.json" ||
      name == "model.safetensors.index.json")
    return 1;
  if (name.contains(".bf16.")) return 2;
  if (name.contains(".fp16.")) return 3;
  if (name.ends_with(".gguf")) return 5;
  return 4;
}

bool holds_weights(std::string_view name) {
  if (name.ends_with(".json")) return name.contains(".safetensors") && name.contains(".index");
  return name.ends_with(".gguf") || (name.ends_with(".safetensors") && !shard(name));
}

base::Result<fs::path> weights_file(const fs::path& folder,
                                    const std::vector<platform::FileInfo>& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries)
    if (entry.is_file && holds_weights(entry.path.filename().native()))
      names.push_back(entry.path.filename().native());
  if (names.empty())
    return base::fail(ErrorCode::not_found,
                      std::format("no weights in {}: expected diffusion_pytorch_model.safetensors "
                                  "or model.safetensors, or an index of shards",
                                  folder.native()));
  std::ranges::stable_sort(names, {}, preference);
  if (names.size() > 1 && preference(names[0]) == 4)
    return base::fail(ErrorCode::model_broken,
                      std::format("{} holds {} and {}, and nothing says which is meant; name the "
                                  "file itself",
                                  folder.native(), names[0], names[1]));
  return folder / names.front();
}

base::Result<std::unique_ptr<NamedWeights>> open_shards(const fs::path& index_file) {
  TRY_ASSIGN(const auto index, Config::load(index_file));
  const auto map = index.object("weight_map");
  std::set<std::string> files;
  for (const auto& name : map.keys()) {
    const auto file = map.text(name);
    // A name in the same folder, and nothing else.
    if (file.empty() || file.contains('/') || file.contains('\\') ||
        !file.ends_with(".safetensors"))
      return base::fail(ErrorCode::malformed,
                        std::format("{}: '{}' is no safetensors file beside it",
                                    index_file.native(), gguf::escaped(file)));
    files.insert(file);
    if (files.size() > kShardsMax)
      return base::fail(ErrorCode::limit_exceeded, std::format("{} names more than {} files",
                                                               index_file.native(), kShardsMax));
  }
  std::vector<SharedWeights> sources;
  for (const auto& file : files) {
    TRY_ASSIGN(auto source, open_safetensors(index_file.parent_path() / file));
    sources.push_back(std::move(source));
  }
  TRY_ASSIGN(auto joined, join_sources(sources));
  for (const auto& name : map.keys())
    if (!joined->find(name))
      return base::fail(
          ErrorCode::model_broken,
          std::format("{} promises tensor '{}', which {} does not have; fetch the "
                      "model again",
                      index_file.native(), gguf::escaped(name), gguf::escaped(map.text(name))));
  return joined;
}

// Decoders that were saved long ago have other names of the attention, and T5 has two names for its
// table of words.
base::Result<std::unique_ptr<NamedWeights>> with_present_names(
    std::unique_ptr<NamedWeights> weights, std::string_view kind) {
  const bool vae = kind.starts_with("AutoencoderKL") &&
                   weights->find("decoder.mid_block.attentions.0.query.weight");
  const bool t5 = kind == "T5EncoderModel" && !weights->find("shared.weight");
  if (!vae && !t5) return weights;
  const SharedWeights source = std::move(weights);
  TRY_ASSIGN(auto found, vae ? find_vae(source, "") : find_t5(source, ""));
  if (found) return std::move(found->weights);
  return join_sources({source});
}

}  // namespace

std::string class_of(const Config& config) {
  auto name = config.text("_class_name");
  if (name.empty())
    if (const auto all = config.texts("architectures"); !all.empty()) name = all.front();
  return name;
}

base::Result<Part> open_component(const fs::path& folder, std::string_view kind) {
  TRY_ASSIGN(const auto entries, platform::create_files()->list(folder, kEntriesMax));
  Part part{.kind = std::string(kind), .folder = folder};
  for (const auto name : kConfigNames)
    if (std::ranges::contains(entries, folder / name, &platform::FileInfo::path)) {
      TRY_ASSIGN(part.config, Config::load(folder / name));
      if (part.kind.empty()) part.kind = class_of(part.config);
      if (name != kConfigNames[0]) return part;  // a scheduler or tokenizer: no weights
      TRY_ASSIGN(const auto file, weights_file(folder, entries));
      std::unique_ptr<NamedWeights> weights;
      if (file.extension() == ".json") {
        TRY_ASSIGN(weights, open_shards(file));
      } else {
        TRY_ASSIGN(auto opened, open_weights_file(file));
        weights = std::move(opened.weights);
      }
      TRY_ASSIGN(part.weights, with_present_names(std::move(weights), part.kind));
      return part;
    }
  // A tokenizer without a configuration of its own has its vocabulary alone.
  if (std::ranges::any_of(entries, [](const auto& entry) {
        const auto name = entry.path.filename();
        return name == "vocab.json" || name == "tokenizer.json" || name == "spiece.model";
      }))
    return part;
  return base::fail(
      ErrorCode::not_found,
      std::format("no config.json in {}: this is no part of a diffusers model", folder.native()));
}

}  // namespace ingle::weights
