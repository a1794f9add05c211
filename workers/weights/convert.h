// Conversion of a model into one GGUF file, quantised by rules. Blocking, for minutes with large
// models; on several threads, which need some 16 MB each. The model's file is read as it goes, and
// its pages are given back.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/convert_rules.h"
#include "weights/gguf_out.h"

namespace ingle::weights {

struct ConvertProgress {
  std::uint64_t done_bytes = 0;  // of the source
  std::uint64_t total_bytes = 0;
  std::string_view tensor{};  // one of those under way; valid during the call
};

struct ConvertOptions {
  tensor::StorageType type = tensor::kQ8_0;
  std::vector<TypeRule> rules{};
  Existing existing = Existing::keep;  // keep: a file that is there is a conflict
  int threads = 1;                     // this one included
  // On this thread, after each piece that it has done.
  std::function<void(const ConvertProgress&)> progress{};
};

// What was written in one type. Errors are root mean squares over all its numbers: of the
// difference to the source, and that over the numbers themselves.
struct ConvertedType {
  tensor::StorageType type{};
  std::uint64_t tensors = 0;
  std::uint64_t size_bytes = 0;
  double error = 0;
  double relative_error = 0;
  std::string worst{};  // the tensor of the largest relative error; empty: none has any
  double worst_relative_error = 0;
};

// A tensor whose rows are no multiples of the blocks of the type that was meant for it.
struct FallbackTensor {
  std::string name{};
  tensor::StorageType wanted{};
  tensor::StorageType type{};
};

struct ConvertSummary {
  std::uint64_t tensors = 0;
  std::uint64_t size_bytes = 0;        // of the file written
  std::uint64_t source_bytes = 0;      // of the tensors read
  std::vector<ConvertedType> types{};  // the one with most bytes first
  std::vector<FallbackTensor> fallbacks{};
  std::vector<std::string> unused_rules{};  // patterns that fit no tensor
};

// `model` is a diffusers folder (all its parts, each below its role, with their configurations and
// the files of its tokenizers), a folder of one part, or a file (under the names that it has). The
// result opens as what it was made of. Errors: those of open_model; invalid_argument (a type that
// cannot be written, or that cannot hold a tensor's numbers), model_broken (numbers that are not
// finite), conflict, cancelled (`stop` was set), io_error, disk_full. Whole or not at all.
base::Result<ConvertSummary> convert_to_gguf(const std::filesystem::path& model,
                                             const std::filesystem::path& out,
                                             const ConvertOptions& options,
                                             const std::atomic<bool>& stop);

// Keys of such files: the model's index, and class and configuration of a part ("ingle.part.unet"
// + kClassEnd), or of the only one ("ingle.part" + kClassEnd); the files of a tokenizer
// ("ingle.part.tokenizer" + kFileKey + "vocab.json"), byte by byte.
inline constexpr std::string_view kIndexKey = "ingle.index";
inline constexpr std::string_view kPartKey = "ingle.part";
inline constexpr std::string_view kClassEnd = ".class";
inline constexpr std::string_view kConfigEnd = ".config";
inline constexpr std::string_view kFileKey = ".file.";

inline constexpr std::array<std::string_view, 6> kTokenizerFiles{
    "tokenizer.json",          "vocab.json",  "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "spiece.model"};
inline constexpr std::uint64_t kConvertedFileBytesMax = 64 << 20;

}  // namespace ingle::weights
