#include "diffusion/golden_check.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <limits>

#include "models/joint_cases.h"
#include "models/map_cases.h"
#include "text/text_cases.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<Comparisons> check_tokenizer(const models::GoldenCase& golden, tensor::Executor&) {
  return text::run_tokenizer_case(golden);
}

constexpr GoldenKind kKinds[] = {
    {"autoencoder_kl", models::run_map_case},
    {"autoencoder_kl_flux2", models::run_map_case},
    {"clip_text_encoder", text::run_text_case},
    {"flux2_transformer", models::run_joint_case},
    {"flux_transformer", models::run_joint_case},
    {"pipeline_from_embeddings", check_pipeline, pipeline_is_known},
    {"pipeline_from_text", check_text_pipeline, pipeline_is_known},
    {"qwen3_text_encoder", text::run_text_case},
    {"scheduler", check_scheduler},
    {"t5_encoder", text::run_text_case},
    {"tokenizer", check_tokenizer},
    {"umt5_encoder", text::run_text_case},
    {"unet_2d_condition", models::run_map_case},
    {"z_image_transformer", models::run_joint_case},
};

// Everything that was computed lies within its limit, and something was.
GoldenVerdict judged(GoldenVerdict verdict, Result<Comparisons> comparisons, double relative_max) {
  if (!comparisons) {
    verdict.detail = comparisons.error().text();
    return verdict;
  }
  if (comparisons->empty()) {
    verdict.detail = "io.safetensors has nothing to compare";
    return verdict;
  }
  if (relative_max > 0) {
    const auto& furthest = std::ranges::max(*comparisons, {}, &models::Comparison::relative);
    const bool near = std::ranges::all_of(
        *comparisons, [&](const auto& each) { return each.relative <= relative_max; });
    verdict.outcome = near ? GoldenVerdict::Outcome::passed : GoldenVerdict::Outcome::failed;
    verdict.detail =
        std::format("relative error {:.2e} of {:.2e} allowed, in {} ({} compared)",
                    furthest.relative, relative_max, furthest.name, comparisons->size());
    verdict.comparisons = *std::move(comparisons);
    return verdict;
  }
  const bool good = std::ranges::all_of(*comparisons, &models::Comparison::good);
  verdict.outcome = good ? GoldenVerdict::Outcome::passed : GoldenVerdict::Outcome::failed;
  const auto& worst = models::worst(*comparisons);
  verdict.detail = std::format("largest error {:.2e} of {:.2e} allowed, in {} ({} compared)",
                               worst.largest, worst.allowed, worst.name, comparisons->size());
  verdict.comparisons = *std::move(comparisons);
  return verdict;
}

}  // namespace

std::span<const GoldenKind> golden_kinds() { return kKinds; }

GoldenVerdict check_golden(const std::filesystem::path& folder, tensor::Executor& executor,
                           double relative_max) {
  GoldenVerdict out{.name = folder.filename().string()};
  const auto about = weights::Config::load(folder / "case.json");
  if (!about) {
    out.detail = about.error().text();
    return out;
  }
  const auto name = about->text("case");
  const auto shown = [](char c) { return static_cast<unsigned char>(c) >= ' '; };
  if (!name.empty() && std::ranges::all_of(name, shown)) out.name = name;
  out.kind = about->text("kind");
  if (out.kind.empty()) {
    out.detail = "case.json says no kind: it must be a text";
    return out;
  }
  const auto kind = std::ranges::find(kKinds, out.kind, &GoldenKind::name);
  if (kind == std::end(kKinds)) {
    out.outcome = GoldenVerdict::Outcome::unknown_kind;
    out.detail = std::format("unknown kind '{}'", out.kind);
    return out;
  }
  if (kind->knows != nullptr && !kind->knows(folder)) {
    out.outcome = GoldenVerdict::Outcome::unknown_kind;
    out.detail = std::format("unknown kind '{}' of this pipeline", out.kind);
    return out;
  }
  if (about->object("max_abs_error").keys().empty()) {
    out.detail = "case.json says no max_abs_error: what is allowed, by name";
    return out;
  }
  const auto golden = models::load_case(folder);
  if (!golden) {
    out.detail = golden.error().text();
    return out;
  }
  return judged(std::move(out), kind->check(*golden, executor), relative_max);
}

std::vector<std::filesystem::path> golden_folders(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  if (std::filesystem::is_regular_file(root / "case.json", error)) out.push_back(root);
  const auto options = std::filesystem::directory_options::skip_permission_denied;
  auto walk = std::filesystem::recursive_directory_iterator(root, options, error);
  for (; !error && walk != std::filesystem::recursive_directory_iterator(); walk.increment(error))
    if (walk->path().filename() == "case.json" && walk->path().parent_path() != root)
      out.push_back(walk->path().parent_path());
  std::ranges::sort(out);
  return out;
}

Result<models::Comparison> compare_relative(std::string_view name, std::span<const float> computed,
                                            const models::GoldenTensor& expected, double allowed) {
  if (computed.size() != expected.data.size() || computed.empty())
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' has {} values, {} were expected", name, computed.size(),
                            expected.data.size()));
  models::Comparison out{.name = std::string(name), .allowed = allowed};
  for (std::size_t i = 0; i < computed.size(); ++i) {
    const double right = expected.data[i];
    const double away = std::abs(computed[i] - right) / (right != 0 ? std::abs(right) : 1.0);
    out.largest =
        std::isnan(away) ? std::numeric_limits<double>::infinity() : std::max(out.largest, away);
  }
  out.relative = out.largest;
  return out;
}

base::Status compare_if_there(const models::GoldenCase& golden, std::string_view name,
                              std::span<const float> computed, double allowed, Comparisons& out) {
  const auto found = golden.tensors.find(name);
  if (found == golden.tensors.end()) return {};
  TRY_ASSIGN(auto comparison, models::compare(name, computed, found->second, allowed));
  out.push_back(std::move(comparison));
  return {};
}

}  // namespace ingle::diffusion
