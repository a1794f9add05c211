// Tokenizers as parts of picture models: what kind one is and how many words it knows. Its files
// are skimmed, not parsed: nothing is allocated for what is in them, and what is wrong with them
// is for the worker to tell. Blocking; any thread.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "catalog/parts.h"

namespace ingle::catalog {

inline constexpr std::uint64_t kTokenizerBytesMax = 64u << 20;

// Files that stand for the tokenizer in their folder, the first that is there for it. vocab.json
// has merges.txt beside it.
inline constexpr std::array<std::string_view, 3> kTokenizerFiles{"tokenizer.json", "spiece.model",
                                                                 "vocab.json"};
bool is_tokenizer_file(std::string_view name);

// The tokenizer in the text of one of these files, by its name. Errors: malformed.
base::Result<PicturePart> tokenizer_in(std::string_view name, std::string_view text);
// The tokenizer in the folder of one of these files: kind, words and file_bytes. Errors: malformed
// (it is none that picture models have), limit_exceeded, and those of MappedFile.
base::Result<PicturePart> read_tokenizer(const std::filesystem::path& file);
// The same of a folder. Errors: not_found as well.
base::Result<PicturePart> read_tokenizer_folder(const std::filesystem::path& folder);

}  // namespace ingle::catalog
