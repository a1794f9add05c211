#include "weights/convert_inputs.h"

#include <format>
#include <system_error>

#include "gguf/reader.h"
#include "platform/files.h"
#include "weights/component_folder.h"
#include "weights/convert.h"
#include "weights/gguf_weights.h"
#include "weights/model_files.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

void describe(const std::string& key, std::string_view kind, const Config& config,
              ConvertInputs& out) {
  out.texts.emplace_back(key + std::string(kClassEnd), kind);
  out.texts.emplace_back(key + std::string(kConfigEnd), config.print());
}

// The files as they are: the reader of a folder of a tokenizer reads them from here as well.
base::Status add_tokenizer(const std::string& key, const fs::path& folder, ConvertInputs& out) {
  const auto files = platform::create_files();
  for (const auto name : kTokenizerFiles) {
    const auto info = files->info(folder / name);
    if (!info || !info->is_file) continue;
    TRY_ASSIGN(auto content, files->read(folder / name, kConvertedFileBytesMax));
    out.texts.emplace_back(std::format("{}{}{}", key, kFileKey, name), std::move(content));
  }
  return {};
}

base::Result<ConvertInputs> open_part(const fs::path& folder) {
  ConvertInputs out;
  TRY_ASSIGN(auto part, open_component(folder, {}));
  if (!part.weights)
    return base::fail(ErrorCode::invalid_argument,
                      std::format("{} has no weights to convert", folder.native()));
  out.texts.emplace_back("general.architecture", part.kind);
  describe(std::string(kPartKey), part.kind, part.config, out);
  out.sources.push_back({"", std::move(part.weights)});
  return out;
}

base::Result<ConvertInputs> open_folder(const fs::path& folder) {
  ConvertInputs out;
  TRY_ASSIGN(auto files, open_model({.model = folder}));
  out.texts.emplace_back("general.architecture", files.pipeline);
  out.texts.emplace_back(kIndexKey, files.index.print());
  for (auto& [role, part] : files.parts) {
    const auto key = std::format("{}.{}", kPartKey, role);
    describe(key, part.kind, part.config, out);
    if (role.starts_with("tokenizer")) TRY(add_tokenizer(key, part.folder, out));
    if (part.weights) out.sources.push_back({role + ".", std::move(part.weights)});
  }
  return out;
}

bool goes_along(std::string_view key) {
  return key.starts_with("modelspec.") || key.starts_with("general.") ||
         key.starts_with(kPartKey) || key == kIndexKey;
}

// All texts of a converted model: WeightsFile has no long ones, such as a tokenizer's files.
base::Status add_texts_of_gguf(const fs::path& path, ConvertInputs& out) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path));
  TRY_ASSIGN(const auto header, gguf::parse(file.bytes(), file.file_size_bytes()));
  for (const auto& [key, value] : header.metadata)
    if (const auto text = value.as_string(); text && goes_along(key))
      out.texts.emplace_back(key, *text);
  return {};
}

base::Result<ConvertInputs> open_file(const fs::path& path) {
  TRY_ASSIGN(auto file, open_weights_file(path));
  ConvertInputs out;
  if (file.metadata.contains(kIndexKey)) {
    TRY(add_texts_of_gguf(path, out));
  } else {
    for (const auto& [key, text] : file.metadata)
      if (goes_along(key)) out.texts.emplace_back(key, text);
  }
  out.sources.push_back({"", std::move(file.weights)});
  return out;
}

}  // namespace

base::Result<ConvertInputs> open_convert_inputs(const fs::path& model) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return open_file(model);
  return fs::exists(model / "model_index.json", ignored) ? open_folder(model) : open_part(model);
}

}  // namespace ingle::weights
