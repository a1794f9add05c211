// The tokenizer of a spiece.model, as SentencePiece itself works. Pure.
#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace ingle::text {

// Errors: those of parse_sentencepiece_model and Unigram::create.
base::Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(std::string_view bytes);
// The same of a model that was read from elsewhere. Errors: those of Unigram::create.
base::Result<std::unique_ptr<Tokenizer>> make_sentencepiece_tokenizer(SentencePieceModel model);

// Errors: limit_exceeded for a text of more than kTextBytesMax.
base::Status check_length(std::string_view text);

}  // namespace ingle::text
