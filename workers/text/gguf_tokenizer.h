// The tokenizer inside a GGUF of a text encoder: "tokenizer.ggml.*". Untrusted. Pure.
#pragma once

#include <memory>

#include "base/error.h"
#include "gguf/reader.h"
#include "text/tokenizer.h"

namespace ingle::text {

// Errors: not_found (the file has no tokenizer), unsupported (it is of another kind), malformed,
// limit_exceeded; those of the tokenizers.
base::Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const gguf::Header& header,
                                                             TokenizerKind kind);

}  // namespace ingle::text
