// Calibration: looks for the settings with which one model does one workload soonest on this
// machine, within a time limit. Lives as long as its job's run. Loop thread only.
//
//   1. the default, without what was kept earlier; what was kept is tried next
//   2. the search (search.h): one trial (trial.h) after the other
//   3. the best against the default, in turns: default, best, default, best. Only who wins here
//      is chosen; so the outcome is never worse than the default.
//
// What the turns will take is kept back from the time limit; the search has the rest. A trial that
// fails to load, or runs out of memory, is recorded with why, and the search goes on. With guesses
// from the text (speculation) the generation's time is that of fresh text and, for kRepeatingShare
// of it, of text that repeats.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job_kinds.h"
#include "jobs/search.h"
#include "jobs/search_space.h"

namespace ingle::jobs {

inline constexpr double kRepeatingShare = 0.3;  // of generated text
inline constexpr int kTurns = 2;
inline constexpr int kTurnRuns = 2;  // in each turn
inline constexpr std::string_view kSearchingStage = "searching";
inline constexpr std::string_view kVerifyingStage = "verifying";
inline constexpr double kDriftToTell = 0.05;  // of the default's own time, from first to last

class Calibration {
 public:
  // `time_limit` counts from run().
  Calibration(JobRun& run, const CalibrationSeams& seams, base::Micros time_limit);

  // Once. Leaves the model loaded with its final settings if it was loaded before, else unloaded.
  // Errors: those of the default's trial; cancelled.
  base::Task<base::Result<Outcome>> run();

 private:
  struct Measured {
    Times times{};
    TrialTold told{};
  };
  using MaybeMeasured = base::Result<Measured>;

  base::Task<base::Status> calibrate();
  base::Task<base::Status> prepare();
  base::Task<base::Status> search(Search& search);
  base::Task<base::Status> try_kept(Search& search);
  base::Task<base::Status> verify(const Search& search);
  base::Task<base::Status> measure_drift();
  // `ask` says how; the rest of it is filled in.
  base::Task<MaybeMeasured> measure(std::vector<std::string> changes, TrialAsk ask = {});
  base::Task<void> keep();
  base::Task<void> leave();
  base::Task<void> give_back();

  bool ended(const base::Error& error);
  bool time_for(double trials) const;
  Times times_of(const TrialTold& told) const;
  protocol::CalibrationTrial& record(std::vector<std::string> changes, const MaybeMeasured& result);
  void report(const std::string& what, const std::string& message);
  void conclude();

  JobRun& run_;
  const CalibrationSeams& seams_;
  const base::Micros time_limit_;
  base::MonoTime began_{};
  base::CancelSource stop_;  // cancelled with the job, and when the time is up
  SpaceFacts space_;
  std::vector<std::string> pinned_;
  Workload workload_;
  std::optional<protocol::ResidentModel> was_;  // before it began
  bool touched_ = false;                        // a trial was begun
  bool time_up_ = false;
  Times default_;          // the first trial
  std::string disturbed_;  // why nothing can be said
  std::string unproven_;   // the best of the search, until it has won
  std::string why_unproven_;
  bool kept_tested_ = false;     // what was kept before was tried
  std::optional<double> drift_;  // of the default's time, from its first trial to its last
  std::string best_text_;        // of the search so far
  std::string stage_;
  std::size_t done_ = 0;      // trials, in this stage
  std::size_t expected_ = 1;  // trials still to come in it, with the present one
  double trial_ms_ = 0;       // what a trial takes, load and waits included
  protocol::CalibrationResult result_;
};

}  // namespace ingle::jobs
