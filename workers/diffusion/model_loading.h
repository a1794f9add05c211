// What the loading of a model needs beside its parts: how far it is, and a prompt without words to
// make programs for. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "diffusion/denoiser.h"
#include "diffusion/family.h"

namespace ingle::diffusion {

// Progress of several parts as one: each part counts by the bytes of its files, of which the share
// that is packed is done.
class LoadShares {
 public:
  using Report = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;
  LoadShares(const weights::ModelFiles& files, Report report);

  // Progress of the next part. What came before is done.
  tensor::PackProgress of(std::string_view role);
  void finish();

 private:
  std::uint64_t bytes_of(const weights::Part& part) const;
  void report(std::uint64_t done);

  const weights::ModelFiles& files_;
  const Report report_;
  std::uint64_t total_ = 0, before_ = 0, current_ = 0, reported_ = 0;
};

// A prompt of the usual length, all zeros.
Condition blank_condition(Family family, const weights::ModelFiles& files,
                          const Denoiser::Traits& traits);

}  // namespace ingle::diffusion
