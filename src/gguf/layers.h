// What memory depends on, layer by layer: windows, states of recurrent layers, tensor bytes. For
// facts.cpp; pure.
#pragma once

#include "base/error.h"
#include "gguf/facts.h"
#include "gguf/keys.h"

namespace ingle::gguf {

// Windows, states and which layers keep keys and values, once layers, lengths and kv_heads are
// known. What a file does not say is as llama.cpp has it for the architecture.
// Errors: malformed (a key of the wrong type).
base::Status read_layers(const Keys& keys, ModelFacts& facts);

// Bytes of tensors by layer, and those that a processor repacks.
void add_up_layers(const Header& header, ModelFacts& facts);

}  // namespace ingle::gguf
