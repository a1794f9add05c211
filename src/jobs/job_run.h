// JobRun: what the code behind a kind of job gets: what was asked for, when to stop, and a way to
// say how far it is. Runner: that code. Loop thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/task.h"
#include "jobs/estimator.h"
#include "protocol/jobs.h"

namespace ingle::jobs {

struct Report {
  std::string stage{};  // such as "loading"; kWaitingStage while others must end first
  std::optional<double> done{};
  std::optional<double> total{};
  std::string unit{};     // what is counted; empty: nothing
  std::string message{};  // one sentence for people
};

// What was sent along with a request, as files.
struct JobFiles {
  std::string image{};  // encoded picture to begin with; empty: none
  std::string mask{};
};

class JobRun {
 public:
  virtual ~JobRun() = default;
  // With the model's name as the catalogue has it.
  virtual const protocol::JobRequest& request() const = 0;
  virtual const protocol::ModelInfo& model() const = 0;
  // Cancelled when somebody cancels the job and when the daemon stops: return soon, with any error.
  virtual base::CancelToken cancel() const = 0;
  // As often as there is something new: what goes out is throttled.
  virtual void report(Report report) = 0;
  // Of jobs that draw: the job's id, what was sent along, and what is there so far.
  virtual const std::string& id() const = 0;
  virtual const JobFiles& files() const = 0;
  virtual void show(protocol::ImageResult so_far) = 0;
};

using Outcome = std::variant<protocol::LoadResult, protocol::BenchmarkResult,
                             protocol::CalibrationResult, protocol::ImageResult>;

// Runs once; the run outlives it.
using Runner = std::function<base::Task<base::Result<Outcome>>(JobRun&)>;

// Which jobs share a limit of how many run at once.
enum class JobGroup {
  loads,     // they mostly wait: several at once
  computes,  // they measure this machine: one at a time over all kinds
  draws,     // a picture takes the whole machine: one at a time
};

struct JobKindSetup {
  JobGroup group = JobGroup::computes;
  // The usual stages with their relative times, for jobs without history; may be empty.
  std::vector<ExpectedStage> stages{};
  // Refuses requests that cannot work, before there is a job; may be empty.
  std::function<base::Status(const protocol::JobRequest&, const protocol::ModelInfo&)> check{};
  // What besides kind, model and size makes it longer or shorter, in words; may be empty.
  std::function<std::string(const protocol::JobRequest&)> workload{};
  Runner run{};
};

}  // namespace ingle::jobs
