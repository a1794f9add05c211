// What ingle-convert tells: one ConvertLine of JSON a line, on stdout. `ingle convert --json`
// passes them on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/errors.h"
#include "protocol/jobs.h"

namespace ingle::protocol {

struct ConvertedTensors {
  DOC("Type of their numbers, such as \"Q4_K\".") std::string type{};
  DOC("How many.") std::int64_t tensors = 0;
  DOC("What they take in the file, in bytes.") std::int64_t size_bytes = 0;
  DOC("Root mean square of the differences to the source.") double error = 0;
  DOC("The same over the root mean square of the numbers.") double relative_error = 0;
  DOC("The tensor with the largest relative error; empty: none has any.") std::string worst{};
  DOC("Its relative error.") double worst_relative_error = 0;
};

struct ConvertFallback {
  DOC("The type that was meant for them; its blocks do not fit their rows.") std::string wanted{};
  DOC("The type that they have instead.") std::string type{};
  DOC("How many tensors.") std::int64_t tensors = 0;
  DOC("The first of them.") std::vector<std::string> names{};
};

struct ConvertResult {
  DOC("The file, as an absolute path.") std::string path{};
  DOC("Tensors in it.") std::int64_t tensors = 0;
  DOC("Its size in bytes.") std::int64_t size_bytes = 0;
  DOC("Size of the tensors that were read, in bytes.") std::int64_t source_bytes = 0;
  DOC("How long it took, in milliseconds.") double took_ms = 0;
  DOC("What was written, by type, the one with most bytes first.")
  std::vector<ConvertedTensors> types{};
  DOC("Tensors that have another type than was meant for them.")
  std::vector<ConvertFallback> fallbacks{};
  DOC("Patterns of rules that fit no tensor.") std::vector<std::string> unused_rules{};
};

struct ConvertLine {
  DOC("How far it is.") std::optional<JobProgress> progress{};
  DOC("What was written; the last line.") std::optional<ConvertResult> result{};
  DOC("Why nothing was written; the last line.") std::optional<ErrorInfo> error{};
};

}  // namespace ingle::protocol
