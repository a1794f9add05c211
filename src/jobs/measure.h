// Measuring how fast a leased worker is: one prompt of a given length read, one answer of a given
// length generated. Knows nothing of jobs. Every prompt is unlike all others, so that no cache and
// no earlier conversation helps. Loop thread only.
#pragma once

#include <cstdint>
#include <span>

#include "base/cancel.h"
#include "base/error.h"
#include "base/loop.h"
#include "engines/model_host.h"
#include "http/client.h"

namespace ingle::jobs {

inline constexpr std::int64_t kPromptTokensDefault = 512;
inline constexpr std::int64_t kGeneratedTokensDefault = 64;
inline constexpr std::int64_t kMeasuredTokensMax = 131'072;  // of either kind

struct Workload {
  // fresh: nothing repeats, so that no guess ahead comes true. repeating: the prompt says the same
  // again and again, and the likeliest answer goes on with it: what guesses from the text gain most
  // by.
  enum class Text { fresh, repeating };
  std::int64_t prompt_tokens = kPromptTokensDefault;
  std::int64_t generated_tokens = kGeneratedTokensDefault;
  std::uint64_t seed = 0;  // of the prompt's text: another one for every measurement
  Text text = Text::fresh;
};

struct Speed {
  double prompt_tokens_per_s = 0;
  double generated_tokens_per_s = 0;
  // Time of a workload at this speed, in milliseconds.
  double time_ms(const Workload& workload) const;
};

struct MeasureSeams {
  base::Loop& loop;
  http::Client& client;
};

// One measurement, by the worker's own clock. Errors: invalid_argument (the workload does not fit
// the worker's context), cancelled, worker_crashed (with why), upstream_error (an error or nonsense
// from the worker).
base::Task<base::Result<Speed>> measure_once(MeasureSeams seams, engines::Lease& lease,
                                             Workload workload, base::CancelToken cancel);

// The median of each speed on its own; of none: zeros.
Speed median_speed(std::span<const Speed> speeds);

}  // namespace ingle::jobs
