// FileReading: what one model file said about itself, and its JSON in the database
// (storage/models_repository.h). Any thread.
//
// The JSON: {"version": kReadingVersion, "problem": text, "type": general.type,
// "facts": {every field of gguf::ModelFacts by its name},
// "picture": {"side": int, "parts": [part]} (pictures only), "component": part}, where a part is
// [role, elements, bytes, kind, width, pooled, channels, words, latents].
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "catalog/pictures.h"
#include "gguf/facts.h"

namespace ingle::catalog {

// Rises when the same file would be read differently: kept readings of other versions are dropped.
inline constexpr int kReadingVersion = 6;

// Longer chat templates are left out of the facts (a template of 1 MiB is no template).
inline constexpr std::size_t kTemplateBytesMax = 1 << 20;

struct FileReading {
  std::string problem{};  // why it cannot be used; empty: it was read whole
  std::string type{};     // general.type, such as "model" or "adapter"; empty: not said
  bool lasting = true;    // false: the problem may go away with the file unchanged (permission)
  gguf::ModelFacts facts{};
  // Of models that draw pictures; their `facts` have architecture (the family), type and sizes.
  std::optional<PictureFacts> picture{};
  // What it can be in picture models; text models can be their encoders, too.
  std::optional<PicturePart> component{};
};

// Reads the header in the first bytes of a file. Texts as below. Errors: those of gguf::parse and
// gguf::facts_of.
base::Result<FileReading> reading_of(std::span<const std::byte> bytes,
                                     std::uint64_t file_size_bytes);

// Reads the header of a file, by its name: GGUF, safetensors, a diffusers folder's
// model_index.json, or a tokenizer. Blocking. Texts come out as valid UTF-8, bounded.
// Errors: not_found only (it has gone); everything else is a `problem`.
base::Result<FileReading> read_model_file(const std::filesystem::path& path);

std::string encode_reading(const FileReading& reading);
// Errors: malformed; version_mismatch.
base::Result<FileReading> decode_reading(std::string_view json);

}  // namespace ingle::catalog
