// Startup: what the start-up surface tells. The phases on the main thread before the first answer,
// the timeline from exec, and the warm-up: named jobs that run behind, each leaving a record.
// Lives on the loop (phases before it runs, on the same thread).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "protocol/start.h"

namespace ingle::insight {

class Startup;

// What a warm-up job gets to leave its record with.
class WarmupRun {
 public:
  // Runs `work` on a lane; its thread and start go into the record.
  template <class F>
  auto on_lane(base::Lane lane, F work)
      -> base::Task<typename base::detail::AsResult<std::invoke_result_t<F&>>::type>;
  // The job runs elsewhere (the storage thread): its thread's name.
  void runs_on(std::string thread);

 private:
  friend class Startup;
  WarmupRun(Startup& startup, std::size_t index) : startup_(startup), index_(index) {}
  void started(std::string thread);
  base::Lanes& lanes();
  base::Loop& loop();
  const char* name() const;

  Startup& startup_;
  std::size_t index_;
};

// Name of the calling thread, as the operating system knows it.
std::string current_thread_name();

enum class WarmupNeed { core, optional };  // core: /readyz waits for it

struct WarmupJob {
  const char* name;  // static storage
  WarmupNeed need;
  std::function<base::Task<base::Status>(WarmupRun&)> run;
};

class Startup {
 public:
  // `exec` and `main` are when the process was exec'd and main() began.
  Startup(base::MonoTime exec, base::MonoTime main, const base::Clock& clock);
  Startup(const Startup&) = delete;
  Startup& operator=(const Startup&) = delete;

  // A phase of the start: from now until `phase_end`. Phases do not nest.
  void phase_begin(std::string name);
  void phase_end();
  void mark_listening();
  void mark_first_answer();

  // Starts every job at once; they order themselves by what they await.
  void start_warmup(std::vector<WarmupJob> jobs, base::Loop& loop, base::Lanes& lanes,
                    base::Logger log);
  // Runs after each job that ends.
  void set_observer(std::function<void(const protocol::WarmupStatus&)> observer) {
    observer_ = std::move(observer);
  }
  // Waits until no job is pending. Errors: timeout, cancelled.
  base::Task<base::Status> wait_warm(base::Micros limit, base::CancelToken cancel);

  bool ready() const;
  double since_exec_ms() const;
  protocol::Readiness readiness() const;
  protocol::WarmupStatus warmup() const;
  protocol::WarmupCanaries canaries() const { return canaries_; }
  protocol::StartupProfile profile() const;
  protocol::StartupTimeline timeline() const { return timeline_; }

 private:
  friend class WarmupRun;
  base::Task<void> run_job(WarmupJob job, std::size_t index);
  bool all_ended(WarmupNeed need) const;

  const base::Clock& clock_;
  const base::MonoTime exec_;
  protocol::StartupTimeline timeline_;
  std::vector<protocol::StartupPhase> phases_;
  protocol::WarmupCanaries canaries_;
  std::function<void(const protocol::WarmupStatus&)> observer_;
  base::Loop* loop_ = nullptr;  // set by start_warmup
  base::Lanes* lanes_ = nullptr;
  std::unique_ptr<base::Gate> changed_;
  std::unique_ptr<base::Logger> log_;
  base::TaskScope scope_;
};

template <class F>
auto WarmupRun::on_lane(base::Lane lane, F work)
    -> base::Task<typename base::detail::AsResult<std::invoke_result_t<F&>>::type> {
  co_return co_await base::run_on(lanes(), loop(), lane, name(), [this, &work] {
    loop().post([this, thread = current_thread_name()] { started(thread); });
    return work();
  });
}

}  // namespace ingle::insight
