#include "jobs/trial.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "jobs/acquire.h"
#include "jobs/quiet.h"
#include "jobs/search.h"

namespace ingle::jobs {
namespace {

using base::Result;
using base::Task;

double generation_ms_of(const Speed& speed, const Workload& workload) {
  auto generation = workload;
  generation.prompt_tokens = 0;
  return speed.time_ms(generation);
}

double prompt_ms_of(const Speed& speed, const Workload& workload) {
  auto prompt = workload;
  prompt.generated_tokens = 0;
  return speed.time_ms(prompt);
}

class Trial {
 public:
  Trial(const TrialSeams& seams, TrialAsk ask) : seams_(seams), ask_(std::move(ask)) {
    ask_.workload.seed = std::random_device{}();
  }

  Task<Result<TrialTold>> run() {
    engines::AcquireOptions options{
        .cancel = ask_.stop, .set = ask_.set, .priority = engines::Priority::batch};
    options.on_progress = [this](const engines::LoadProgress& progress) { say(progress.message); };
    CO_TRY_ASSIGN(const auto lease, co_await seams_.host.acquire(ask_.model, std::move(options)));
    lease_ = lease.get();
    if (const auto resident = find_resident(seams_.host, ask_.model)) {
      own_.push_back(static_cast<int>(resident->pid));
      told_.resident_bytes = resident->resident_bytes;
    }
    own_.push_back(::getpid());
    say("warming up");
    auto warm_up = next_workload(Workload::Text::fresh);
    warm_up.generated_tokens = std::min<std::int64_t>(8, warm_up.generated_tokens);
    CO_TRY(co_await seams_.measure(*lease_, warm_up, ask_.stop));
    CO_TRY(co_await wait_for_calm());
    CO_TRY(co_await measure());
    // It has grown with its use.
    if (const auto resident = find_resident(seams_.host, ask_.model))
      told_.resident_bytes = std::max(told_.resident_bytes, resident->resident_bytes);
    co_return std::move(told_);
  }

 private:
  void say(const std::string& message) {
    if (ask_.on_message) ask_.on_message(message);
  }

  Workload next_workload(Workload::Text text) {
    ++ask_.workload.seed;
    auto out = ask_.workload;
    out.text = text;
    return out;
  }

  Task<base::Status> measure() {
    if (ask_.repeating) {
      CO_TRY_ASSIGN(told_.repeating, co_await measure_text(Workload::Text::repeating));
      const double generation_ms = generation_ms_of(*told_.repeating, ask_.workload);
      told_.cut_short =
          ask_.generation_ms && generation_ms > *ask_.generation_ms * (1 - kSearchGainMin);
      if (told_.cut_short || !told_.disturbed.empty()) {
        told_.fresh = *told_.repeating;
        co_return base::Status{};
      }
    }
    CO_TRY_ASSIGN(told_.fresh, co_await measure_text(Workload::Text::fresh));
    co_return base::Status{};
  }

  // The medians of the runs that were not disturbed; of all, when too many were.
  Task<Result<Speed>> measure_text(Workload::Text text) {
    std::vector<Speed> clean, disturbed;
    std::string why;
    const auto wanted = static_cast<std::size_t>(ask_.runs);
    while (clean.size() < wanted && disturbed.size() < kDisturbedRunsMax) {
      say(text == Workload::Text::fresh ? "measuring" : "measuring a text that repeats");
      const auto before = co_await load();
      const auto began = seams_.loop.clock().mono_now();
      CO_TRY_ASSIGN(const auto speed,
                    co_await seams_.measure(*lease_, next_workload(text), ask_.stop));
      const auto reason = disturbed_since(before, co_await load(), began);
      if (reason.empty()) {
        clean.push_back(speed);
        if (text == Workload::Text::fresh && is_hopeless(clean)) {
          told_.cut_short = true;
          break;
        }
        continue;
      }
      why = reason;
      disturbed.push_back(speed);
      CO_TRY(co_await wait_for_calm());
    }
    if (clean.empty() || disturbed.size() >= kDisturbedRunsMax) told_.disturbed = why;
    co_return median_speed(clean.empty() ? disturbed : clean);
  }

  bool is_hopeless(const std::vector<Speed>& clean) const {
    if (clean.size() < 2 || (!ask_.prompt_ms && !ask_.generation_ms)) return false;
    const auto speed = median_speed(clean);
    const auto slower = [](const std::optional<double>& best, double ms) {
      return !best || ms > *best * kHopelessFactor;
    };
    return slower(ask_.prompt_ms, prompt_ms_of(speed, ask_.workload)) &&
           slower(ask_.generation_ms, generation_ms_of(speed, ask_.workload));
  }

  // Nothing where the kernel does not tell.
  Task<std::optional<platform::CpuLoad>> load() {
    auto read = co_await seams_.read_load(own_);
    if (!read) co_return std::nullopt;
    co_return *std::move(read);
  }

  std::string disturbed_since(const std::optional<platform::CpuLoad>& before,
                              const std::optional<platform::CpuLoad>& after,
                              base::MonoTime began) const {
    if (auto reason = disturbance(seams_.host.residents(), ask_.model); !reason.empty())
      return reason;
    if (!before || !after) return "";
    const auto elapsed = std::chrono::floor<base::Micros>(seams_.loop.clock().mono_now() - began);
    return disturbance(*before, *after, elapsed);
  }

  // Until nobody else uses the machine much, or the patience with this trial has ended.
  Task<base::Status> wait_for_calm() {
    while (true) {
      const auto before = co_await load();
      const auto began = seams_.loop.clock().mono_now();
      CO_TRY(co_await base::sleep_for(seams_.loop, kCalmSample, ask_.stop));
      const auto reason = disturbed_since(before, co_await load(), began);
      waited_ += std::chrono::floor<base::Micros>(seams_.loop.clock().mono_now() - began);
      if (reason.empty() || waited_ >= ask_.calm_wait) co_return base::Status{};
      say("waiting for calm: " + reason);
    }
  }

  const TrialSeams& seams_;
  TrialAsk ask_;
  TrialTold told_;
  engines::Lease* lease_ = nullptr;  // run() owns it
  std::vector<int> own_;             // processes
  base::Micros waited_{};
};

}  // namespace

Task<Result<TrialTold>> run_trial(const TrialSeams& seams, TrialAsk ask) {
  Trial trial(seams, std::move(ask));
  co_return co_await trial.run();
}

}  // namespace ingle::jobs
