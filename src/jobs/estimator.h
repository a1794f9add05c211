// Estimator: how far a job is and how long it will still take, from what it reports and from what
// jobs like it took before. Knows nothing of jobs or clocks. Pure; belongs to one job.
//
// A job goes through stages. With history each has a typical time: the median of the newest ten,
// so that one slow run changes nothing. Within a stage that counts units (bytes, runs) the present
// rate is trusted the more, the further the stage has come. Without history there is only the rate,
// and no time left is told while further stages are planned.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/jobs_repository.h"

namespace ingle::jobs {

// Time in this stage is spent on others' account: it is neither learned nor counted in shares.
inline constexpr std::string_view kWaitingStage = "waiting";

struct ExpectedStage {
  std::string name{};
  double weight = 1;  // relative to the other stages; with history its typical time in milliseconds
};

// The typical stages, in their order, from timings (newest first).
std::vector<ExpectedStage> typical_stages(std::span<const storage::StageTiming> newest_first);

struct Estimate {
  double share = 0;  // 0 to 1, never falls
  std::optional<double> rate_per_s{};
  std::optional<base::Millis> left{};  // never negative; rises only slowly
};

class Estimator {
 public:
  enum class Basis { planned, history };

  Estimator(std::vector<ExpectedStage> stages, Basis basis, base::MonoTime begin);

  // What the job says of itself now. `total` <= 0 or values that are no numbers: it counts nothing.
  Estimate report(std::string_view stage, std::optional<double> done, std::optional<double> total,
                  base::MonoTime now);

  // How long each stage took so far, in the order in which they began; without waiting.
  std::vector<storage::StageTiming> durations(base::MonoTime now) const;

 private:
  struct Counted {
    double done = 0;
    double total = 0;
    double fraction() const { return done / total; }
  };

  void enter(std::string_view stage, base::MonoTime now);
  void sample(const Counted& counted, base::MonoTime now);
  double elapsed_ms(std::string_view stage, base::MonoTime now) const;
  std::optional<std::size_t> expected(std::string_view stage) const;
  double share(const std::optional<Counted>& counted, base::MonoTime now) const;
  std::optional<double> left_ms(const std::optional<Counted>& counted, base::MonoTime now) const;
  std::optional<double> stage_left_ms(const std::optional<Counted>& counted,
                                      std::optional<double> typical_ms, base::MonoTime now) const;

  const std::vector<ExpectedStage> stages_;
  const Basis basis_;
  std::string stage_;
  base::MonoTime entered_at_;
  std::vector<std::string> order_;                       // stages as they began
  std::map<std::string, double, std::less<>> spent_ms_;  // in stages, before entered_at_
  std::optional<Counted> sampled_;
  base::MonoTime sampled_at_{};
  std::optional<double> rate_per_ms_;
  double share_ = 0;
  std::optional<double> left_ms_;
  base::MonoTime told_at_;
};

}  // namespace ingle::jobs
