#include "text/tokenizer.h"

#include <algorithm>
#include <format>
#include <optional>
#include <system_error>

#include "base/check.h"
#include "gguf/reader.h"
#include "platform/files.h"
#include "text/gguf_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"
#include "weights/convert.h"

namespace ingle::text {
namespace {

using base::ErrorCode;
using TokenizerResult = base::Result<std::unique_ptr<Tokenizer>>;

constexpr std::uint64_t kHeaderBytesMax = 512ull << 20;

// The files of a tokenizer: in a folder, or in a converted model (weights/convert.h), where they
// are texts of the header.
class Folder {
 public:
  static base::Result<Folder> open(const std::filesystem::path& path) {
    Folder out(path);
    const auto model = path.parent_path();
    std::error_code ignored;
    if (model.extension() != ".gguf" || !std::filesystem::is_regular_file(model, ignored))
      return out;
    TRY_ASSIGN(out.model_, platform::MappedFile::open(model, kHeaderBytesMax));
    TRY_ASSIGN(out.header_, gguf::parse(out.model_->bytes(), out.model_->file_size_bytes()));
    return out;
  }

  bool has(std::string_view name) const {
    if (model_) return inside(name).has_value();
    const auto info = files_->info(path_ / name);
    return info && info->is_file;
  }
  base::Result<std::string> read(std::string_view name) const {
    if (model_) return std::string(inside(name).value_or(""));
    return files_->read(path_ / name, kTokenizerFileBytesMax);
  }
  base::Result<protocol::Json> read_json(std::string_view name) const {
    TRY_ASSIGN(const auto text, read(name));
    return parse_tokenizer_file(text, name);
  }
  std::unexpected<base::Error> lacks(std::string_view names) const {
    return base::fail(ErrorCode::not_found,
                      std::format("no tokenizer in '{}': expected {}", path_.string(), names));
  }

 private:
  explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}

  std::optional<std::string_view> inside(std::string_view name) const {
    const auto* value = header_.find(std::format(
        "{}.{}{}{}", weights::kPartKey, path_.filename().native(), weights::kFileKey, name));
    return value != nullptr ? value->as_string() : std::nullopt;
  }

  std::filesystem::path path_;
  std::unique_ptr<platform::Files> files_ = platform::create_files();
  std::optional<platform::MappedFile> model_{};
  gguf::Header header_{};  // views into model_
};

base::Result<PairTokenizerParts> pair_parts(const Folder& folder, TokenizerKind kind,
                                            PreferredFile preferred) {
  const bool files = folder.has("vocab.json") && folder.has("merges.txt");
  if (folder.has("tokenizer.json") && (!files || preferred == PreferredFile::tokenizer_json)) {
    TRY_ASSIGN(const auto json, folder.read_json("tokenizer.json"));
    return pair_parts_from_json(json, kind);
  }
  if (!files) return folder.lacks("tokenizer.json, or vocab.json and merges.txt");
  TRY_ASSIGN(const auto vocabulary, folder.read_json("vocab.json"));
  TRY_ASSIGN(const auto merges, folder.read("merges.txt"));
  return pair_parts_from_files(vocabulary, merges, kind);
}

TokenizerResult open_pairs(const Folder& folder, TokenizerKind kind, PreferredFile preferred) {
  TRY_ASSIGN(auto parts, pair_parts(folder, kind, preferred));
  for (const std::string_view name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!folder.has(name)) continue;
    TRY_ASSIGN(const auto config, folder.read_json(name));
    add_specials(parts, config);
  }
  return make_pair_tokenizer(std::move(parts));
}

TokenizerResult open_unigram(const Folder& folder, PreferredFile preferred) {
  const bool json = folder.has("tokenizer.json");
  const bool model = folder.has("spiece.model");
  if (!json && !model) return folder.lacks("tokenizer.json or spiece.model");
  if (json && (!model || preferred == PreferredFile::tokenizer_json)) {
    TRY_ASSIGN(const auto parsed, folder.read_json("tokenizer.json"));
    return make_unigram_json_tokenizer(parsed);
  }
  TRY_ASSIGN(const auto bytes, folder.read("spiece.model"));
  return make_sentencepiece_tokenizer(bytes);
}

TokenizerResult open_gguf(const std::filesystem::path& path, TokenizerKind kind) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, kHeaderBytesMax));
  TRY_ASSIGN(const auto header, gguf::parse(file.bytes(), file.file_size_bytes()));
  return make_gguf_tokenizer(header, kind);
}

TokenizerResult open_files(const std::filesystem::path& path, TokenizerKind kind,
                           PreferredFile preferred) {
  TRY_ASSIGN(const auto folder, Folder::open(path));
  return kind == TokenizerKind::unigram ? open_unigram(folder, preferred)
                                        : open_pairs(folder, kind, preferred);
}

}  // namespace

TokenizerResult open_tokenizer(const std::filesystem::path& path, TokenizerKind kind,
                               PreferredFile preferred) {
  auto out =
      path.extension() == ".gguf" ? open_gguf(path, kind) : open_files(path, kind, preferred);
  if (!out)
    return base::fail(std::move(out).error().with_context(
        std::format("opening the tokenizer of '{}'", path.string())));
  return out;
}

Ids framed(const Specials& specials, std::span<const std::int32_t> ids) {
  Ids out;
  out.reserve(ids.size() + 2);
  if (specials.bos >= 0) out.push_back(specials.bos);
  out.insert(out.end(), ids.begin(), ids.end());
  if (specials.eos >= 0) out.push_back(specials.eos);
  return out;
}

Ids fitted(const Specials& specials, std::span<const std::int32_t> ids, std::size_t length,
           std::size_t* used) {
  const std::size_t frame = (specials.bos >= 0 ? 1u : 0u) + (specials.eos >= 0 ? 1u : 0u);
  CHECK(length >= frame, "room for the special tokens");
  auto out = framed(specials, ids.first(std::min(ids.size(), length - frame)));
  if (used != nullptr) *used = out.size();
  out.resize(length, specials.pad);
  return out;
}

}  // namespace ingle::text
