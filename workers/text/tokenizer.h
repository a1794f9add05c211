// Tokenizer: text to the ids that a text encoder was trained with, exactly as the reference
// tokenizers give them, whatever the text. It knows nothing of prompts' own syntax (see
// prompt_chunks.h). Immutable once made: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::text {

// A longer text is refused.
inline constexpr std::size_t kTextBytesMax = 64 << 10;

using Ids = std::vector<std::int32_t>;

struct Specials {
  std::int32_t bos = -1;  // put in front of every text; -1: nothing is
  std::int32_t eos = -1;  // put behind every text; -1: nothing is
  std::int32_t pad = 0;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Ids without bos and eos. Special tokens spelled out in the text are recognised where the
  // reference does so. Bytes that are not UTF-8 count as U+FFFD. Errors: limit_exceeded.
  virtual base::Result<Ids> encode(std::string_view text) const = 0;
  virtual const Specials& specials() const = 0;
};

enum class TokenizerKind : std::uint8_t {
  clip,     // byte-level pairs: vocab.json with merges.txt, or tokenizer.json
  unigram,  // T5, UMT5: tokenizer.json, or spiece.model
  qwen,     // byte-level pairs, with other words than CLIP's
};

// Which file counts when a folder has both. They differ in rare cases: special tokens in the text,
// and bytes for unknown characters, which the conversion to tokenizer.json leaves out.
enum class PreferredFile : std::uint8_t { tokenizer_json, model };

// Reads the tokenizer's files in `folder`, which may lie in a converted model
// ("MODEL.gguf/tokenizer" of "MODEL.gguf": weights/convert.h), or the tokenizer inside a text
// encoder's .gguf (of Qwen's and T5's kind). Errors: not_found (which files there could be),
// malformed, limit_exceeded, unsupported (a step that is not known here); io_error.
base::Result<std::unique_ptr<Tokenizer>> open_tokenizer(
    const std::filesystem::path& folder, TokenizerKind kind,
    PreferredFile preferred = PreferredFile::tokenizer_json);

// bos, ids, eos.
Ids framed(const Specials& specials, std::span<const std::int32_t> ids);

// The same of exactly `length`: cut before eos, or filled with pad. `length` has room for bos and
// eos. `used`, if asked for, is how many are no filling.
Ids fitted(const Specials& specials, std::span<const std::int32_t> ids, std::size_t length,
           std::size_t* used = nullptr);

}  // namespace ingle::text
