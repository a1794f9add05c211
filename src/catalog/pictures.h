// What a diffusion model's files say of it: a diffusers folder (its model_index.json stands for
// it), one safetensors file in an original layout, a GGUF file, and parts that lie alone. Headers
// and small configs only; everything in them is untrusted. Any thread; blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "catalog/parts.h"
#include "gguf/reader.h"

namespace ingle::catalog {

struct FileReading;

// A part of somebody else that could play a role in a model.
struct FittingPart {
  std::string id{};  // in the catalogue: of the part, or of the model that it is in
  PicturePart part{};
  bool operator==(const FittingPart&) const = default;
};

// What an engine needs to plan a picture model's launch.
struct PictureFacts {
  std::int64_t side = 0;  // of the pictures that it draws unless told otherwise, in pixels
  std::vector<PicturePart> parts{};
  // What the parts that have a path, and others, could be replaced by: the nearest first.
  std::vector<FittingPart> fitting{};

  bool has(std::string_view role) const;
  std::uint64_t elements() const;
  bool operator==(const PictureFacts&) const = default;
};

inline constexpr std::string_view kModelIndex = "model_index.json";
// FileReading::type of files that are no models and no parts by themselves, and are not listed.
inline constexpr std::string_view kUnlistedType = "part";
// The same of what is a part of picture models and nothing else.
inline constexpr std::string_view kComponentType = "component";

// Reads model_index.json and the headers of its parts. Parts that are not there may still come from
// elsewhere; one that is there and cannot be used is a `problem`, which does not last. Errors:
// not_found only (it has gone).
base::Result<FileReading> read_diffusers_folder(const std::filesystem::path& model_index);

// Reads the header of a .safetensors file: a model, whole or not, an adapter, a part, or something
// that is not listed. Errors: as above.
base::Result<FileReading> read_safetensors_file(const std::filesystem::path& path);

// Reads one of the files of tokenizers.h. Errors: as above.
base::Result<FileReading> read_tokenizer_file(const std::filesystem::path& path);

// Notes in `reading` what parts of picture models a GGUF file has.
void take_picture(const gguf::Header& header, FileReading& reading);

}  // namespace ingle::catalog
