// What file names say, and the ids that models get from them. Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingle::catalog {

inline constexpr std::size_t kIdBytesMax = 160;

// A file name, taken apart: "tiny-00002-of-00003.gguf.part" is shard 2 of 3 of "tiny", unfinished.
struct ModelFileName {
  std::string stem{};             // without .gguf or .safetensors, shard and partial suffixes
  std::uint32_t shard = 0;        // 1 is the first; 0: not a shard
  std::uint32_t shard_count = 0;  // 0: not a shard
  bool partial = false;           // .part, .partial, .downloading, .incomplete, .crdownload
};

// Nothing when it is no name of a GGUF or safetensors file, nor of one that stands for its folder
// (model_index.json, and those of tokenizers.h). Letters count without case, but for the latter.
std::optional<ModelFileName> parse_file_name(std::string_view name);

// The same for a whole path: what stands for a folder is called as the folder, or, in a
// hub's cache (models--WHO--WHAT/snapshots/HASH), as the model.
std::optional<ModelFileName> parse_file_path(std::string_view path);

// The name of shard `shard` of the same model.
std::string shard_file_name(const ModelFileName& name, std::uint32_t shard);

// Only letters, digits and . _ - : / stay; what lies between becomes "-". Never empty; at most
// `bytes_max`.
std::string id_part(std::string_view name, std::size_t bytes_max);

// Whether the path is one of the folders, or lies below one. Both as tidy absolute paths.
bool lies_in(std::string_view path, std::span<const std::filesystem::path> folders);

// Whether this could be an id that we gave.
bool is_id(std::string_view text);

// Without a trailing quantisation, such as "-Q4_K_M", ".f16" or "-UD-IQ2_XXS"; the same name when
// there is none.
std::string_view without_quantization(std::string_view name);

// Up to three of `ids` that somebody who asked for `asked` may have meant, the nearest first: by
// the whole id (base/near_names.h), else by as much of its beginning. Looks at the first
// kNearLookedAtMax only, so that it is quick enough for the loop.
std::vector<std::string> near_ids(std::string_view asked, std::span<const std::string> ids);
inline constexpr std::size_t kNearLookedAtMax = 1000;

}  // namespace ingle::catalog
