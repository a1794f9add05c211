// What a request must be like before anything is done for it, and what it leaves open decided by
// the model. Pure. Any thread.
#pragma once

#include "diffusion/pipeline.h"
#include "diffusion/sampler_choice.h"

namespace ingle::diffusion {

inline constexpr std::int64_t kPicturesMax = 64;
inline constexpr std::size_t kAdaptersMax = 16;

// Errors: invalid_argument (which field, what is possible), unsupported (what this model cannot
// do).
base::Status check_request(const Request& request, const ModelInfo& info);

struct Size {
  std::int64_t width = 0, height = 0;
  bool operator==(const Size&) const = default;
};
// The picture's size: the one asked for, else the image's, else the model's; in whole multiples.
Size picture_size(const Request& request, const ModelInfo& info);
// The nearest multiple, at least one of it, at most kSideMax.
std::int64_t rounded_side(std::int64_t side, std::int64_t multiple);

// Defaults of a model, by its family and what its configurations say.
ModelInfo model_info(Family family, const weights::ModelFiles& files,
                     const SchedulerConfig& scheduler, std::int64_t multiple);

}  // namespace ingle::diffusion
