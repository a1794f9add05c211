#include "diffusion/model_loading.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

namespace ingle::diffusion {
namespace {

namespace fs = std::filesystem;

std::uint64_t bytes_at(const fs::path& place) {
  std::error_code error;
  if (fs::is_regular_file(place, error)) return fs::file_size(place, error);
  std::uint64_t out = 0;
  for (fs::directory_iterator at(place, error), end; !error && at != end; at.increment(error)) {
    const auto kind = at->path().extension();
    std::error_code ignored;
    if (kind == ".safetensors" || kind == ".gguf") out += at->file_size(ignored);
  }
  return error ? 0 : out;
}

}  // namespace

LoadShares::LoadShares(const weights::ModelFiles& files, Report report)
    : files_(files), report_(std::move(report)) {
  for (const auto& [role, part] : files_.parts) total_ += bytes_of(part);
}

std::uint64_t LoadShares::bytes_of(const weights::Part& part) const {
  if (part.weights == nullptr) return 0;
  // Parts of one file share its bytes.
  const auto sharing = std::ranges::count_if(files_.parts, [&](const auto& other) {
    return other.second.weights != nullptr && other.second.folder == part.folder;
  });
  return bytes_at(part.folder) / static_cast<std::uint64_t>(std::max<std::int64_t>(sharing, 1));
}

// A part's weights may be packed for several programs, each of which counts from 0.
void LoadShares::report(std::uint64_t done) {
  reported_ = std::max(reported_, std::min(done, total_));
  if (report_) report_(reported_, total_);
}

tensor::PackProgress LoadShares::of(std::string_view role) {
  before_ += current_;
  const auto part = files_.parts.find(std::string(role));
  current_ = part == files_.parts.end() ? 0 : bytes_of(part->second);
  return [this](std::uint64_t done, std::uint64_t total) {
    const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    report(before_ + static_cast<std::uint64_t>(share * static_cast<double>(current_)));
  };
}

void LoadShares::finish() { report(total_); }

Condition blank_condition(Family family, const weights::ModelFiles& files,
                          const Denoiser::Traits& traits) {
  Condition out;
  switch (family) {
    case Family::sd1:
    case Family::sd2:
    case Family::sdxl:
      out.tokens = 77;
      break;
    case Family::flux1: {
      const auto& config = files.parts.find("transformer")->second.config;
      out.tokens = config.flag("guidance_embeds", false) ? 512 : 256;
      break;
    }
    case Family::flux2:
      out.tokens = 512;
      break;
    case Family::z_image:
      out.tokens = 64;
      break;
  }
  out.context.resize(static_cast<std::size_t>(out.tokens * traits.context_channels));
  out.pooled.resize(static_cast<std::size_t>(traits.pooled_channels));
  out.time_ids.resize(6);
  return out;
}

}  // namespace ingle::diffusion
