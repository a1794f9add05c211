// The tokenizers of CLIP and Qwen: byte-level pairs of words. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/added_tokens.h"
#include "text/pair_merges.h"
#include "text/tokenizer.h"
#include "text/words.h"

namespace ingle::text {

struct PairTokenizerParts {
  TokenizerKind kind{};  // clip or qwen
  PairTables tables{};
  std::vector<AddedToken> added{};
  ClipWords words = ClipWords::with_specials;
  std::string pad{};  // what filling is spelled; empty: the kind's own
};

// Errors: those of PairMerges::create; malformed (special tokens that CLIP needs are missing).
base::Result<std::unique_ptr<Tokenizer>> make_pair_tokenizer(PairTokenizerParts parts);

}  // namespace ingle::text
