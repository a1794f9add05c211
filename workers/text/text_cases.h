// Golden cases of text encoders and tokenizers, run and compared. For tests and golden-check.
// Single-threaded; blocks.
#pragma once

#include <vector>

#include "models/golden_case.h"

namespace ingle::text {

// Runs a case of the kinds "clip_text_encoder", "t5_encoder", "umt5_encoder" and
// "qwen3_text_encoder" and compares all of it: every layer of the graph, and what the encoders give
// to pipelines. Errors: those of the configuration and of the executor, not_found (a tensor of the
// case), unsupported (another kind).
base::Result<std::vector<models::Comparison>> run_text_case(const models::GoldenCase& golden,
                                                            tensor::Executor& executor);

// Runs a case of the kind "tokenizer": one comparison for each column of cases.json and each file
// that it was made from; an error is the number of texts that got other ids. Errors: those of
// open_tokenizer; malformed, not_found (cases.json).
base::Result<std::vector<models::Comparison>> run_tokenizer_case(const models::GoldenCase& golden);

}  // namespace ingle::text
