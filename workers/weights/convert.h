// Conversion of a model into one GGUF file, quantised by rules. Blocking, for minutes with large
// models; one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/weights.h"

namespace ingle::weights {

struct TypeRule {
  std::string pattern{};  // of a tensor's whole name; '*' stands for anything
  tensor::StorageType type{};
};

struct ConvertProgress {
  std::uint64_t done_elements = 0;
  std::uint64_t total_elements = 0;
  std::string_view tensor{};  // valid during the call
};

struct ConvertOptions {
  tensor::StorageType type = tensor::kQ8_0;
  // The first that fits a name decides. Without one: tensors of one axis (norms, biases) stay f32;
  // the first and last layers and what embeds time and guidance are f16 (bf16 where they were), as
  // are those whose rows are no whole blocks (or Q8_0 where that fits); all others are `type`.
  std::vector<TypeRule> rules{};
  bool replace = false;  // a file that is there; else it is a conflict
  std::function<void(const ConvertProgress&)> progress{};
};

struct ConvertSummary {
  std::uint64_t tensors = 0;
  std::uint64_t size_bytes = 0;  // of the file written
};

// `model` is a diffusers folder (all its parts, each below its role, with their configurations), a
// folder of one part, or a file (under the names that it has). The result opens as what it was made
// of, without tokenizers. Errors: those of open_model; invalid_argument (a type that cannot be
// written), conflict, cancelled (`stop` was set), io_error, disk_full. Whole or not at all.
base::Result<ConvertSummary> convert_to_gguf(const std::filesystem::path& model,
                                             const std::filesystem::path& out,
                                             const ConvertOptions& options,
                                             const std::atomic<bool>& stop);

// What a tensor of this name, shape and type becomes.
tensor::StorageType converted_type(std::string_view name, const tensor::WeightInfo& info,
                                   const ConvertOptions& options);

// Keys of such files: the model's index, and class and configuration of a part ("ingle.part.unet"
// + kClassEnd), or of the only one ("ingle.part" + kClassEnd).
inline constexpr std::string_view kIndexKey = "ingle.index";
inline constexpr std::string_view kPartKey = "ingle.part";
inline constexpr std::string_view kClassEnd = ".class";
inline constexpr std::string_view kConfigEnd = ".config";

}  // namespace ingle::weights
