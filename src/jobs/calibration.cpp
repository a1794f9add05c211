#include "jobs/calibration.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "base/bytes.h"
#include "engines/setting_rules.h"
#include "jobs/acquire.h"
#include "jobs/kept_settings.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;
using base::Status;
using base::Task;

constexpr base::Seconds kCalmWaitMax{20};  // for other programs, in one trial
// So many trials take the time that the turns take: each warms up and measures kTurnRuns times.
constexpr double kTurnTrials = 2.0 * kTurns * (kTurnRuns + 1) / (kTrialRunsDefault + 1) + 0.5;
constexpr std::size_t kNoteBytesMax = 400;

std::string words(const std::vector<std::string>& settings) {
  std::string out;
  for (const auto& entry : settings) out += (out.empty() ? "" : " ") + entry;
  return out;
}

bool speculates(const std::vector<std::string>& settings) {
  return std::ranges::any_of(settings, [](const std::string& entry) {
    return entry.starts_with("speculation=") && entry != "speculation=off";
  });
}

double percent(double share) { return std::round(share * 100); }

// Whole characters of it.
std::string shortened(std::string text) {
  if (text.size() <= kNoteBytesMax) return text;
  auto end = kNoteBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

// Of a trial that was no faster.
std::string note_of(const TrialTold& told) {
  if (told.cut_short) return told.repeating ? "no faster, even where text repeats" : "slower";
  if (!told.repeating) return "no faster";
  return std::format("no faster; {:.4g}/s where text repeats",
                     told.repeating->generated_tokens_per_s);
}

// The settings that a request had asked for.
std::vector<std::string> requested(const protocol::ResidentModel& resident) {
  std::vector<std::string> out;
  for (const auto& setting : resident.settings)
    if (setting.origin == "request") out.push_back(setting.name + "=" + setting.value);
  return out;
}

}  // namespace

Calibration::Calibration(JobRun& run, const CalibrationSeams& seams, base::Micros time_limit)
    : run_(run), seams_(seams), time_limit_(time_limit) {}

Task<base::Result<Outcome>> Calibration::run() {
  began_ = seams_.trial.loop.clock().mono_now();
  was_ = find_resident(seams_.trial.host, run_.model().id);
  const auto timer = seams_.trial.loop.after(time_limit_, [this] {
    time_up_ = true;
    stop_.cancel();
  });
  auto on_cancel = run_.cancel().on_cancel([this] { stop_.cancel(); });
  const auto status = co_await calibrate();
  seams_.trial.loop.cancel(timer);
  on_cancel.reset();
  if (status) {
    conclude();
    co_await keep();
  }
  co_await give_back();
  if (!status) co_return std::unexpected(status.error());
  co_return std::move(result_);
}

// Whether the whole calibration is at its end, rather than one trial.
bool Calibration::ended(const base::Error& error) {
  return stop_.cancelled() || error.code == ErrorCode::cancelled ||
         error.code == ErrorCode::shutting_down;
}

Task<Status> Calibration::calibrate() {
  CO_TRY(co_await prepare());
  stage_ = kSearchingStage;
  expected_ = 1 + Search(calibration_axes(space_), {1, 1}).left();
  const auto first = co_await measure({});
  if (!first) {
    if (!time_up_) co_return std::unexpected(first.error());
    result_.out_of_time = true;
    co_return Status{};
  }
  default_ = first->times;
  record({}, first).note = "the default";
  disturbed_ = first->told.disturbed;
  if (!disturbed_.empty()) co_return Status{};
  Search search(calibration_axes(space_), default_);
  if (const auto tried = co_await try_kept(search); !tried && !time_up_) co_return tried;
  if (const auto searched = co_await this->search(search); !searched && !time_up_)
    co_return searched;
  if (const auto verified = co_await verify(search); !verified && !time_up_) co_return verified;
  result_.out_of_time |= time_up_;
  co_return Status{};
}

Task<Status> Calibration::prepare() {
  const auto& id = run_.model().id;
  report("", "looking at the model");
  std::optional<protocol::LoadPlan> plan;
  {
    const KeptModelSettings::Pause pause(seams_.kept, id);
    CO_TRY_ASSIGN(plan, co_await seams_.trial.host.explain(id, run_.request().set));
  }
  if (!plan->fits) co_return fail(ErrorCode::out_of_memory, plan->problem);
  CO_TRY_ASSIGN(const auto system, co_await seams_.trial.host.describe_system());
  CO_TRY_ASSIGN(const auto record, seams_.find(id));
  space_ = {.defaults = std::move(plan->settings),
            .fixed = run_.request().set,
            .cores_physical = std::max<std::int64_t>(1, system.cores_physical),
            .cores_logical = std::max<std::int64_t>(1, system.cores_logical),
            .layers = record.facts.layers,
            .has_experts = record.facts.expert_bytes > 0,
            .smaller_kv = run_.request().smaller_kv.value_or(false)};
  std::int64_t context = 0;
  for (const auto& setting : space_.defaults)
    if (setting.name == "context_tokens")
      context = engines::parse_number(setting.value).value_or(0);
  CO_TRY_ASSIGN(workload_, workload_of(run_.request(), context));
  space_.prompt_tokens = workload_.prompt_tokens;
  for (const auto kind : engines::speculation_kinds()) space_.speculations.emplace_back(kind);
  pinned_ = pinned_settings(space_);
  co_return Status{};
}

// What an earlier calibration found is where this one begins, if it is still good.
Task<Status> Calibration::try_kept(Search& search) {
  const auto kept = seams_.kept.find(run_.model());
  const auto point = kept.empty() ? std::nullopt : point_of(search.axes(), kept);
  if (!point || *point == search.base() || !time_for(1 + kTurnTrials)) co_return Status{};
  const auto changes = search.changes(*point);
  const auto measured = co_await measure(changes, {.repeating = speculates(changes)});
  if (!measured && ended(measured.error())) co_return std::unexpected(measured.error());
  auto& trial = record(changes, measured);
  if (!measured || !measured->told.disturbed.empty()) co_return Status{};
  trial.note = "kept by an earlier calibration";
  kept_tested_ = true;
  search.suggest(*point, measured->times);
  co_return Status{};
}

Task<Status> Calibration::search(Search& search) {
  while (const auto trial = search.next()) {
    if (!time_for(1 + kTurnTrials)) {
      result_.out_of_time = true;
      co_return Status{};
    }
    expected_ = std::max<std::size_t>(1, search.left());
    const auto best = search.best_times();
    const auto changes = search.changes(trial->point);
    TrialAsk ask{.repeating = speculates(changes)};
    if (trial->prompt) ask.prompt_ms = best.prompt_ms;
    if (trial->generation) ask.generation_ms = best.generation_ms;
    const auto measured = co_await measure(changes, std::move(ask));
    if (!measured && ended(measured.error())) co_return std::unexpected(measured.error());
    auto& recorded = record(changes, measured);
    const bool counts = measured && measured->told.disturbed.empty();
    search.tell(counts ? std::optional(measured->times) : std::nullopt);
    if (!counts) continue;
    const auto now = search.best_times();
    const bool better = now.total_ms() < best.total_ms();
    recorded.note = better ? "faster" : note_of(measured->told);
    if (better)
      best_text_ = std::format("{} ({:.0f} % less time)", words(search.changes(search.best())),
                               percent(1 - now.total_ms() / default_.total_ms()));
  }
  co_return Status{};
}

// The default and the best in turns, so that what changes with time changes both.
Task<Status> Calibration::verify(const Search& search) {
  const auto changes = search.changes(search.best());
  if (changes.empty()) co_return co_await measure_drift();
  stage_ = kVerifyingStage;
  done_ = 0;
  const bool both_texts = speculates(changes);
  unproven_ = words(changes);
  why_unproven_ = "the time was up before both were measured side by side";
  std::vector<double> default_ms, best_ms;
  std::vector<Speed> default_speeds, best_speeds;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (const bool is_best : {false, true}) {
      expected_ = static_cast<std::size_t>(2 * (kTurns - turn) - (is_best ? 1 : 0));
      const auto& set = is_best ? changes : std::vector<std::string>{};
      const auto measured = co_await measure(set, {.runs = kTurnRuns, .repeating = both_texts});
      if (!measured && ended(measured.error())) co_return std::unexpected(measured.error());
      auto& trial = record(set, measured);
      // No proof without all of them.
      if (!measured || !measured->told.disturbed.empty()) {
        why_unproven_ = "side by side it could not be measured: " + trial.note;
        co_return Status{};
      }
      trial.note = std::format("side by side, turn {}", turn + 1);
      (is_best ? best_ms : default_ms).push_back(measured->times.total_ms());
      (is_best ? best_speeds : default_speeds).push_back(measured->told.fresh);
    }
  }
  drift_ = default_ms.back() / default_.total_ms() - 1;
  why_unproven_.clear();
  if (!wins(default_ms, best_ms)) co_return Status{};
  const auto before = median_speed(default_speeds), after = median_speed(best_speeds);
  result_.chosen = changes;
  result_.prompt_gain = after.prompt_tokens_per_s / before.prompt_tokens_per_s;
  result_.generation_gain = after.generated_tokens_per_s / before.generated_tokens_per_s;
  const double share = median_of(best_ms) / median_of(default_ms);
  result_.verdict =
      std::format("{}: {:.0f} % less time than the default", words(changes), percent(1 - share));
  co_return Status{};
}

Task<Status> Calibration::measure_drift() {
  if (result_.trials.size() < 2 || !time_for(1)) co_return Status{};
  expected_ = 1;
  const auto measured = co_await measure({});
  if (!measured && ended(measured.error())) co_return std::unexpected(measured.error());
  auto& trial = record({}, measured);
  if (!measured || !measured->told.disturbed.empty()) co_return Status{};
  trial.note = "the default again";
  drift_ = measured->times.total_ms() / default_.total_ms() - 1;
  co_return Status{};
}

Task<Calibration::MaybeMeasured> Calibration::measure(std::vector<std::string> changes,
                                                      TrialAsk ask) {
  const auto what = changes.empty() ? std::string("the default") : words(changes);
  report(what, "loading");
  touched_ = true;
  const auto began = seams_.trial.loop.clock().mono_now();
  ask.model = run_.model().id;
  ask.set = with_changes(pinned_, changes);
  ask.workload = workload_;
  ask.calm_wait = std::min<base::Micros>(kCalmWaitMax, time_limit_ / 12);
  ask.stop = stop_.token();
  ask.on_message = [this, what](const std::string& message) { report(what, message); };
  auto told = co_await run_trial(seams_.trial, std::move(ask));
  ++done_;
  const std::chrono::duration<double, std::milli> took =
      seams_.trial.loop.clock().mono_now() - began;
  trial_ms_ = trial_ms_ == 0 ? took.count() : (trial_ms_ + took.count()) / 2;
  if (!told) co_return std::unexpected(std::move(told).error());
  co_return Measured{.times = times_of(*told), .told = *std::move(told)};
}

Times Calibration::times_of(const TrialTold& told) const {
  const auto part = [](std::int64_t tokens, double per_s) {
    return static_cast<double>(tokens) / per_s * 1000;
  };
  Times out{part(workload_.prompt_tokens, told.fresh.prompt_tokens_per_s),
            part(workload_.generated_tokens, told.fresh.generated_tokens_per_s)};
  if (told.repeating)
    out.generation_ms =
        out.generation_ms * (1 - kRepeatingShare) +
        kRepeatingShare * part(workload_.generated_tokens, told.repeating->generated_tokens_per_s);
  return out;
}

bool Calibration::time_for(double trials) const {
  const std::chrono::duration<double, std::milli> spent =
      seams_.trial.loop.clock().mono_now() - began_;
  const std::chrono::duration<double, std::milli> limit = time_limit_;
  return !time_up_ && spent.count() + trials * trial_ms_ < limit.count();
}

protocol::CalibrationTrial& Calibration::record(std::vector<std::string> changes,
                                                const MaybeMeasured& result) {
  auto& trial = result_.trials.emplace_back();
  trial.set = std::move(changes);
  if (!result) {
    trial.note = "failed: " + shortened(result.error().message);
    return trial;
  }
  trial.prompt_tokens_per_s = result->told.fresh.prompt_tokens_per_s;
  trial.generated_tokens_per_s = result->told.fresh.generated_tokens_per_s;
  trial.relative_time =
      default_.total_ms() > 0 ? result->times.total_ms() / default_.total_ms() : 1;
  trial.resident_bytes = result->told.resident_bytes;
  if (!result->told.disturbed.empty()) trial.note = "disturbed: " + result->told.disturbed;
  return trial;
}

void Calibration::report(const std::string& what, const std::string& message) {
  std::string text = message;
  if (!what.empty())
    text = std::format("trial {} of about {}, {}: {}", done_ + 1, done_ + expected_, what, message);
  if (!best_text_.empty()) text += "; best so far: " + best_text_;
  run_.report({.stage = stage_.empty() ? std::string(kSearchingStage) : stage_,
               .done = static_cast<double>(done_),
               .total = static_cast<double>(done_ + expected_),
               .unit = "trials",
               .message = std::move(text)});
}

void Calibration::conclude() {
  auto& verdict = result_.verdict;
  if (!result_.chosen.empty()) {
    verdict += std::format("; prompts {:.2f} times as fast, generation {:.2f} times",
                           result_.prompt_gain, result_.generation_gain);
    if (speculates(result_.chosen))
      verdict += std::format(
          " in fresh text ({:.0f} % of what is generated was taken to repeat "
          "earlier text)",
          kRepeatingShare * 100);
  } else if (!disturbed_.empty()) {
    verdict =
        "nothing can be said: " + disturbed_ + "; try again when the machine has little else to do";
  } else if (result_.trials.empty()) {
    verdict = "the time was up before the default was measured: give it more (--time)";
  } else if (!unproven_.empty()) {
    verdict = std::format("the default is kept: {} looked faster, but {}", unproven_,
                          why_unproven_.empty()
                              ? std::format("side by side it does not save {:.0f} % of the time",
                                            percent(1 - kWinnerShareMax))
                              : why_unproven_);
  } else if (result_.trials.size() == 1 && result_.out_of_time) {
    verdict = "the default is kept: in this time nothing else can be tried; give it more (--time)";
  } else {
    verdict = "the default is kept: nothing that was tried is faster";
  }
  if (result_.out_of_time && result_.trials.size() > 1)
    verdict += "; the time was up before everything was tried";
  if (drift_ && std::abs(*drift_) > kDriftToTell)
    verdict += std::format("; the default itself became {:.0f} % {} meanwhile",
                           percent(std::abs(*drift_)), *drift_ > 0 ? "slower" : "faster");
}

Task<void> Calibration::keep() {
  if (!run_.request().set.empty()) {
    result_.verdict += "; not kept, for it was found beside settings that were asked for";
    co_return;
  }
  if (!run_.request().apply.value_or(true)) co_return;
  const bool conclusive =
      kept_tested_ && disturbed_.empty() && why_unproven_.empty() && !result_.out_of_time;
  if (!result_.chosen.empty()) {
    result_.applied = true;
    const auto kept = co_await seams_.kept.keep(run_.model(), result_.chosen, result_);
    if (!kept) result_.verdict += "; kept only until the daemon ends: " + kept.error().message;
  } else if (conclusive && seams_.kept.get(run_.model().id)) {
    const auto forgotten = co_await seams_.kept.forget(run_.model().id);
    result_.verdict += forgotten
                           ? "; what was kept before is forgotten"
                           : "; what was kept before is still there: " + forgotten.error().message;
  }
}

// Ends the worker with the last trial's settings. Others may have begun to use it meanwhile: it
// then goes soon after them.
Task<void> Calibration::leave() {
  auto& host = seams_.trial.host;
  const auto& id = run_.model().id;
  const auto resident = find_resident(host, id);
  if (!resident || resident->requests_running == 0) {
    std::ignore = co_await host.unload(id);
    co_return;
  }
  base::CancelSource limit;
  const auto timer = seams_.trial.loop.after(base::Seconds(1), [&limit] { limit.cancel(); });
  std::ignore = co_await host.acquire(
      id, {.cancel = limit.token(), .keep_alive = base::Micros(base::Seconds(1))});
  seams_.trial.loop.cancel(timer);
}

Task<void> Calibration::give_back() {
  if (!touched_) co_return;
  co_await leave();
  if (!was_ || run_.cancel().cancelled()) co_return;
  report("", "loading it again as it was, with its settings");
  engines::AcquireOptions options{
      .cancel = run_.cancel(), .set = requested(*was_), .priority = engines::Priority::batch};
  if (was_->pinned) options.pin = true;
  if (was_->idle_unix_ms && !was_->unload_unix_ms && !was_->pinned)
    options.keep_alive = base::Micros::max();
  // A failure is in the host's log; the next request tries again.
  std::ignore = co_await seams_.trial.host.acquire(run_.model().id, std::move(options));
}

}  // namespace ingle::jobs
