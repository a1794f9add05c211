// What a diffusion model's files say of it: a diffusers folder (its model_index.json stands for
// it), one safetensors file in an original layout, a GGUF file of a transformer. Headers and small
// configs only; everything in them is untrusted. Any thread; blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::catalog {

struct FileReading;

struct PicturePart {
  std::string role{};  // "unet", "transformer", "vae", "text_encoder", "text_encoder_2"
  std::uint64_t elements = 0;
  std::uint64_t file_bytes = 0;
  bool operator==(const PicturePart&) const = default;
};

// What an engine needs to plan a picture model's launch.
struct PictureFacts {
  std::int64_t side = 0;  // of the pictures that it draws unless told otherwise, in pixels
  std::vector<PicturePart> parts{};

  bool has(std::string_view role) const;
  std::uint64_t elements() const;
  bool operator==(const PictureFacts&) const = default;
};

inline constexpr std::string_view kModelIndex = "model_index.json";
// FileReading::type of files that are no models by themselves and are not listed.
inline constexpr std::string_view kUnlistedType = "part";

// Reads model_index.json and the headers of its parts. Errors: not_found only (it has gone);
// everything else is a `problem` of the reading, which does not last: parts may still come.
base::Result<FileReading> read_diffusers_folder(const std::filesystem::path& model_index);

// Reads the header of a .safetensors file: a model, an adapter, or something that is not listed.
// Errors: as above.
base::Result<FileReading> read_safetensors_file(const std::filesystem::path& path);

// The family of a GGUF architecture that draws pictures; empty: it draws none.
std::string_view picture_family(std::string_view gguf_architecture);

// Why a model of this family with these parts cannot draw; empty: nothing is missing.
std::string missing_parts(std::string_view family, const PictureFacts& facts);

}  // namespace ingle::catalog
