// One trial of a calibration: a model is loaded with given settings, warmed up and measured a few
// times, watched for what disturbs it. Loop thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/loop.h"
#include "engines/model_host.h"
#include "jobs/measure.h"
#include "platform/cpu_load.h"

namespace ingle::jobs {

// All outlive the trials.
struct TrialSeams {
  base::Loop& loop;
  engines::ModelHost& host;
  // One measurement: measure_once(), in the daemon.
  std::function<base::Task<base::Result<Speed>>(engines::Lease&, Workload, base::CancelToken)>
      measure{};
  // read_cpu_load() on a lane, with these processes as our own.
  std::function<base::Task<base::Result<platform::CpuLoad>>(std::vector<int> own_pids)> read_load{};
};

inline constexpr int kTrialRunsDefault = 3;
// Disturbed runs are repeated this often before the trial counts as disturbed.
inline constexpr int kDisturbedRunsMax = 3;
inline constexpr base::Millis kCalmSample{250};  // how long is looked whether it is calm
inline constexpr double kHopelessFactor = 1.2;   // slower than this after two runs: no third

struct TrialAsk {
  std::string model{};
  std::vector<std::string> set{};  // every setting that matters
  Workload workload{};             // of fresh text; its seed is another one for each run
  int runs = kTrialRunsDefault;
  // Whether guesses from the text are at work: it is then measured with a text that repeats, too.
  bool repeating = false;
  // What is to be beaten, in milliseconds; nothing: this part is not in question. Who is slower in
  // every part by kHopelessFactor after two runs, or generates no faster where the text repeats, is
  // not measured further.
  std::optional<double> prompt_ms{};
  std::optional<double> generation_ms{};
  base::Micros calm_wait{base::Seconds(20)};  // longest wait for other programs, in all
  base::CancelToken stop{};
  std::function<void(const std::string& message)> on_message{};  // what it does now; may be empty
};

struct TrialTold {
  Speed fresh{};                     // medians
  std::optional<Speed> repeating{};  // the same of a text that repeats
  bool cut_short = false;            // hopeless
  std::string disturbed{};           // why; empty: it was not
  std::int64_t resident_bytes = 0;
};

// Errors: those of ModelHost::acquire() and of the measurement; cancelled.
base::Task<base::Result<TrialTold>> run_trial(const TrialSeams& seams, TrialAsk ask);

}  // namespace ingle::jobs
