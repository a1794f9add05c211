// golden-check: runs a case of golden data, whatever its kind, and compares. What the kinds have in
// common; each family of kinds is one file golden_check_*.cpp. Sizes, tags and step counts are read
// from the case. One thread; blocks.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/golden_case.h"
#include "tensor/executor.h"

namespace ingle::diffusion {

using Comparisons = std::vector<models::Comparison>;

// One kind of case and what computes it. Errors: what keeps a case from being computed at all.
struct GoldenKind {
  std::string_view name;
  base::Result<Comparisons> (*check)(const models::GoldenCase& golden, tensor::Executor& executor);
  // Whether this case of the kind is one that can be computed here; nullptr: all are.
  bool (*knows)(const std::filesystem::path& folder) = nullptr;
};
std::span<const GoldenKind> golden_kinds();

struct GoldenVerdict {
  enum class Outcome : std::uint8_t { passed, failed, unknown_kind };
  std::string name{};
  std::string kind{};
  Outcome outcome = Outcome::failed;
  std::string detail{};  // the worst comparison, or the error
  Comparisons comparisons{};
};
// Never an Error: a case that cannot be read has failed. `relative_max`: what a tensor may differ
// by (golden_relative_max); 0: every value lies within the case's own tolerance.
GoldenVerdict check_golden(const std::filesystem::path& folder, tensor::Executor& executor,
                           double relative_max = 0);
// Folders with a case.json, anywhere below `root` and `root` itself, sorted.
std::vector<std::filesystem::path> golden_folders(const std::filesystem::path& root);

// Largest difference relative to what is expected, as schedules are measured.
base::Result<models::Comparison> compare_relative(std::string_view name,
                                                  std::span<const float> computed,
                                                  const models::GoldenTensor& expected,
                                                  double allowed);
// What io.safetensors has under `name`, compared with `computed`; nothing when it has no such.
base::Status compare_if_there(const models::GoldenCase& golden, std::string_view name,
                              std::span<const float> computed, double allowed, Comparisons& out);

// The checks, by file.
base::Result<Comparisons> check_scheduler(const models::GoldenCase& golden,
                                          tensor::Executor& executor);
base::Result<Comparisons> check_pipeline(const models::GoldenCase& golden,
                                         tensor::Executor& executor);
base::Result<Comparisons> check_text_pipeline(const models::GoldenCase& golden,
                                              tensor::Executor& executor);
// Whether the pipeline's class is of a family that is known here.
bool pipeline_is_known(const std::filesystem::path& folder);

}  // namespace ingle::diffusion
