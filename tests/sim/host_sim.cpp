#include "host_sim.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <list>
#include <map>
#include <random>
#include <set>

#include "engines/model_host.h"
#include "memory_files.h"
#include "sim_machine.h"
#include "testing/fake_kv_keep.h"
#include "testing/fake_loop.h"
#include "testing/fake_processes.h"

namespace ingle::sim {
namespace {

using base::ErrorCode;
using base::Micros;
using base::Millis;
using base::MonoTime;
using base::Seconds;
using testing::FakeLife;

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr std::uint64_t kMargin = kGiB / 2;
constexpr int kClients = 4;
constexpr int kRequestsPerClient = 4;
constexpr Micros kRequestMax = Seconds(3);
constexpr Micros kLoadMax = Seconds(3);
constexpr Micros kHotFor = Seconds(100);
constexpr Millis kWatchPause{100};  // between two looks at the memory
constexpr int kResidentsEvery = 4;  // looks at the memory for one at the residents, which cost
// From the moment that more is taken than there is until the guard has ended enough: it looks once
// a second at least and ends one at a time; a worker that ignores SIGTERM takes 3 s.
constexpr Micros kReliefMax = Seconds(6);
constexpr Micros kReliefMaxWild = Seconds(20);

struct Size {
  const char* name;
  std::uint64_t least_percent, most_percent;  // of the machine
};
constexpr std::array kModels{Size{"small", 8, 25}, Size{"middle", 20, 45}, Size{"large", 45, 70},
                             Size{"other", 10, 60}, Size{"huge", 130, 200}};

// Keeps nothing; with INGLE_SIM_LOG set, a run tells what it does, best with INGLE_TEST_SEED.
class SimLog final : public base::LogSink {
 public:
  void write(base::LogRecord record) override {
    if (on_)
      std::fprintf(stderr, "%s %s: %s %s\n", std::format("{:%T}", record.time).c_str(),
                   record.event.c_str(), record.message.c_str(), record.exception.c_str());
  }
  base::LogLevel threshold() const override {
    return on_ ? base::LogLevel::debug : base::LogLevel::error;
  }

 private:
  const bool on_ = std::getenv("INGLE_SIM_LOG") != nullptr;
};

class HostSim {
 public:
  HostSim(std::uint64_t seed, Canary canary)
      : random_(seed),
        canary_(canary),
        behaved_(chance(50) || canary == Canary::no_turn),
        steady_(chance(50) || canary == Canary::no_turn),
        hot_(chance(5) || canary == Canary::no_turn),
        pins_(chance(40)),
        machine_(loop_, processes_, pick(4, 16) * kGiB) {
    result_.seed = seed;
    for (const auto& model : kModels) {
      weights_[model.name] =
          machine_.total_bytes / 100 * pick(model.least_percent, model.most_percent);
      std::ignore = files_.write_atomic(model_path(model.name), "GGUF", {});
    }
    machine_.others_bytes = machine_.total_bytes / 100 * pick(0, 20);
    if (!behaved_) machine_.fails = [this] { return chance(2); };
    longest_wait_ = pick_time(Seconds(4), Seconds(12));
    if (chance(50)) budget_ = machine_.total_bytes / 100 * pick(50, 100);
    processes_.set_script([this](const auto& options) { return random_life(options); });
    make_host();
  }

  SimResult run() {
    for (int i = 0; i < kClients; ++i) clients_.spawn(client());
    if (hot_) clients_.spawn(hot_client());
    clients_.spawn(meddler());
    if (!steady_) clients_.spawn(others());
    clients_.spawn(auditor());
    if (chance(30)) host_->preload({"small", "middle"});
    watch();
    bool done = false;
    loop_.run(finish(done));
    watching_ = false;
    loop_.advance(Seconds(30));
    check_end();
    return std::move(result_);
  }

 private:
  static std::string model_path(std::string_view name) { return std::format("/m/{}.gguf", name); }

  void make_host() {
    engines::ModelHostOptions options{
        .run_folder = "/run",
        .lease_folder = "/run/workers",
        .text = {.llama_server = "/bin/true", .load_timeout = "20s"},
        .keep_alive = pick_time(Millis(0), Seconds(30)),
        .waiters_max = 12,
        .memory = {.ram_budget_bytes = budget_, .ram_margin_bytes = kMargin},
        .queue = {.longest_wait =
                      canary_ == Canary::no_turn ? Micros(Seconds(3600)) : longest_wait_,
                  .shortest_residency = pick_time(Millis(0), Seconds(2))},
        .put_back = chance(70)};
    host_ = engines::create_model_host(
        std::move(options), {.loop = loop_,
                             .lanes = lanes_,
                             .processes = processes_,
                             .client = processes_.client(),
                             .files = files_,
                             .find = [this](std::string_view name) { return find(name); },
                             .machine = machine_,
                             .measurements = measurements_,
                             .kv = kv_,
                             .on_decision = [this](const auto& event) { on_decision(event); },
                             .log = base::Logger(log_, loop_.clock(), "sim")});
  }

  // --- chance ---

  std::uint64_t pick(std::uint64_t least, std::uint64_t most) {
    return std::uniform_int_distribution(least, most)(random_);
  }
  bool chance(std::uint64_t percent) { return pick(1, 100) <= percent; }
  Micros pick_time(Micros least, Micros most) {
    return Micros(std::uniform_int_distribution(least.count(), most.count())(random_));
  }
  const char* pick_model() { return kModels[pick(0, kModels.size() - (chance(10) ? 1 : 2))].name; }

  // A worker that behaves takes no more than was predicted for it.
  FakeLife random_life(const platform::SpawnOptions& options) {
    ++result_.workers;
    FakeLife life;
    life.spawn_time = pick_time(Micros(0), Millis(20));
    life.listens_after = pick_time(Micros(0), Millis(200));
    life.ready_after = pick_time(Millis(200), kLoadMax);
    life.term_delay = pick_time(Micros(0), Millis(50));
    const auto path = std::ranges::find_if(
        options.arguments, [](const auto& argument) { return argument.starts_with("/m/"); });
    const auto name = path == options.arguments.end()
                          ? std::string()
                          : path->substr(3, path->size() - 3 - std::string_view(".gguf").size());
    const std::uint64_t predicted = predicted_bytes_[name];
    life.resident_bytes =
        predicted / 100 * (canary_ == Canary::heavy_workers ? 200 : pick(90, 100));
    life.file_bytes = life.resident_bytes / 100 * pick(0, 90);
    if (!behaved_) misbehave(life, predicted);
    return life;
  }

  void misbehave(FakeLife& life, std::uint64_t predicted) {
    if (chance(5)) life.spawn_error = base::Error{ErrorCode::spawn_failed, "no such executable"};
    if (chance(5)) life.ready_after.reset();
    if (chance(3)) life.answers = false;
    if (chance(10)) life.resident_bytes = predicted / 100 * pick(110, 200);
    if (chance(5)) life.grows_bytes_per_s = predicted / 100 * pick(5, 50);
    if (chance(8)) {  // its load runs out of memory
      const auto when = pick_time(Millis(50), Seconds(2));
      life.lines = {{when, "ggml_backend_alloc: failed to allocate buffer of size 12345"}};
      life.ready_after = kLoadMax;
      life.death = {when + Millis(10), {.code = 1}};
    } else if (chance(15)) {
      life.death = {pick_time(Micros(0), Seconds(8)),
                    chance(50) ? platform::ExitStatus{.code = static_cast<int>(chance(50))}
                               : platform::ExitStatus{.signal = SIGKILL}};
    }
    if (chance(20)) life.term_delay = pick_time(Micros(0), Seconds(6));
    if (chance(10)) life.term_delay.reset();
    life.kill_delay = pick_time(Micros(0), Millis(100));
  }

  base::Result<catalog::ModelRecord> find(std::string_view name) const {
    const auto found = weights_.find(name);
    if (found == weights_.end()) return base::fail(ErrorCode::model_not_found, "no such model");
    catalog::ModelRecord record;
    record.info = {.id = found->first,
                   .kind = protocol::ModelKind::text,
                   .path = model_path(name),
                   .size_bytes = static_cast<std::int64_t>(found->second)};
    record.facts.layers = 2;
    record.facts.kv_heads = {2, 2};
    record.facts.key_length = record.facts.value_length = 64;
    record.facts.context_tokens_max = 2048;
    record.facts.weight_bytes = found->second;
    return record;
  }

  // --- what happens ---

  base::Task<void> client() {
    for (int i = 0; i < kRequestsPerClient; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Micros(0), Seconds(4)));
      co_await request();
    }
  }

  // Keeps one model busy without a gap.
  base::Task<void> hot_client() {
    base::TaskScope requests;
    const auto until = now() + kHotFor;
    while (now() < until && !stopping_) {
      requests.spawn(request_for("middle", {}, Seconds(2)));
      std::ignore = co_await base::sleep_for(loop_, Seconds(1));
    }
    co_await requests.join();
  }

  base::Task<void> request() {
    base::CancelSource cancel;
    std::optional<base::Loop::TimerId> leaving;
    if (chance(25))
      leaving = loop_.after(pick_time(Micros(0), Seconds(5)), [&cancel] { cancel.cancel(); });
    engines::AcquireOptions options{.cancel = cancel.token()};
    if (chance(20)) options.keep_alive = pick_time(Micros(0), Seconds(5));
    if (chance(5)) options.set = {std::format("threads={}", pick(1, 2))};
    if (pins_ && chance(20)) options.pin = chance(40);
    if (chance(30)) options.priority = engines::Priority::batch;
    co_await request_for(chance(3) ? "nothing" : pick_model(), std::move(options),
                         pick_time(Micros(0), kRequestMax));
    if (leaving) loop_.cancel(*leaving);
  }

  base::Task<void> request_for(std::string model, engines::AcquireOptions options,
                               Micros duration) {
    ++result_.requests;
    ++open_requests_;
    const auto asked = now();
    const auto waiting = waiting_.insert(waiting_.end(), asked);
    auto lease = co_await host_->acquire(model, std::move(options));
    waiting_.erase(waiting);
    note_wait(asked);
    if (canary_ != Canary::lost_request || answers_ != 5) --open_requests_;
    if (canary_ == Canary::double_answer && answers_ == 5) --open_requests_;
    ++answers_;
    lease ? ++result_.granted : ++result_.refused;
    if (!lease) {
      check_error(model, lease.error());
      co_return;
    }
    ++leases_[model];
    if (canary_ == Canary::idle_lease) lease->reset();
    if (*lease)
      co_await use(**lease, model, duration);
    else
      std::ignore = co_await base::sleep_for(loop_, duration);
    --leases_[model];
  }

  // A request under way ends by itself, or hears that its worker died.
  base::Task<void> use(engines::Lease& lease, std::string model, Micros duration) {
    if (lease.model().id != model) violation("a lease for another model");
    int pid = 0;
    for (const auto& resident : host_->residents().models)
      if (resident.id == model) pid = static_cast<int>(resident.pid);
    if (pid == 0 && !lease.worker_gone().cancelled())
      violation("a live lease for a model that is not resident");
    const auto heard = canary_ == Canary::muted_death ? base::CancelToken() : lease.worker_gone();
    const auto status = co_await base::sleep_for(loop_, duration, heard);
    const bool dead = pid != 0 && !std::ranges::contains(processes_.running_pids(), pid);
    if (status && dead) violation("a lease lived on after its worker's death");
    if (status) co_return;
    ++result_.crashes;
    const auto error = co_await lease.crash();
    if (error.message.empty()) violation("a death without words");
    if (behaved_ && steady_ && !stopping_)
      violation("a worker that behaves was ended under a request: " + error.message);
  }

  // Somebody unloads, explains, and kills, now and then.
  base::Task<void> meddler() {
    for (int i = 0; i < 5; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Millis(100), Seconds(6)));
      const auto pids = processes_.running_pids();
      const bool kills = canary_ == Canary::sudden_death || (!behaved_ && chance(30));
      if (kills && !pids.empty()) processes_.die(pids.front(), {.signal = SIGKILL});
      if (chance(30)) std::ignore = co_await host_->explain(pick_model(), {});
      if (chance(20)) std::ignore = co_await host_->can_run(*find(pick_model()));
      if (chance(20)) std::ignore = co_await host_->unload(pick_model());
      if (chance(10)) std::ignore = co_await host_->unload(std::nullopt);
      if (canary_ == Canary::stray_worker && i == 3) {
        co_await spawn_stray();
        std::ignore = co_await base::sleep_for(loop_, Seconds(3));
        strays_.clear();
      }
    }
    if (canary_ == Canary::left_behind) co_await spawn_stray();
  }

  base::Task<void> spawn_stray() {
    auto stray = co_await processes_.spawn({}, {});
    if (stray) strays_.push_back(*std::move(stray));
  }

  // Other programs take memory and give it back.
  base::Task<void> others() {
    for (int i = 0; i < 6 && !stopping_; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Millis(500), Seconds(8)));
      machine_.others_bytes = machine_.total_bytes / 100 * pick(0, 70);
    }
  }

  base::Task<void> finish(bool& done) {
    // Either all is done first, or the daemon stops under them.
    if (chance(50)) {
      co_await clients_.join();
    } else {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Micros(0), Seconds(20)));
    }
    if (canary_ == Canary::not_shut_down) co_await check_reservations();
    stopping_ = true;
    co_await host_->shut_down();
    co_await clients_.join();
    co_await check_reservations();
    done = true;
  }

  // --- invariants ---

  MonoTime now() const { return loop_.clock().mono_now(); }

  void violation(std::string what) {
    if (result_.violations.size() < 20)
      result_.violations.push_back(std::format(
          "{:.3f} s: {}", std::chrono::duration<double>(now().time_since_epoch()).count() - 1000,
          what));
  }

  void check_error(const std::string& model, const base::Error& error) {
    using enum ErrorCode;
    static const std::set<ErrorCode> kWild{load_failed, worker_crashed, spawn_failed};
    static const std::set<ErrorCode> kAlways{model_not_found, out_of_memory, overloaded, cancelled,
                                             shutting_down};
    if (error.message.empty()) violation("an error without words");
    if (!kAlways.contains(error.code) && (behaved_ || !kWild.contains(error.code)))
      violation(std::format("an error of no use: {}", error.message));
    if (error.code == out_of_memory && behaved_ && steady_ && !pins_ && fits_alone(model))
      violation(std::format("refused although it fits: {}", error.message));
  }

  // Whatever else the engine takes, with room to spare.
  bool fits_alone(const std::string& model) const {
    const auto free = machine_.total_bytes - machine_.others_bytes - kMargin;
    return weights_.at(model) + kGiB < (budget_ == 0 ? free : std::min(free, budget_));
  }

  void on_decision(const protocol::DecisionEvent& event) {
    using enum protocol::DecisionKind;
    if (event.reason.empty()) violation("a decision without a reason");
    if (event.kind == load || event.kind == put_back)
      predicted_bytes_[event.model] = static_cast<std::uint64_t>(event.bytes);
    if (event.kind == evict) ++result_.evictions;
    if (event.kind == guard) ++result_.guard_acts;
    // Only force may end a model in use, and only the guard uses it.
    const bool gently = event.kind == evict || event.kind == unload ||
                        (event.kind == guard && event.reason.starts_with("moved aside"));
    if (gently && leases_[event.model] > 0)
      violation(std::format("'{}' was ended while in use", event.model));
  }

  // The longest wait, twice for a batch request, then for each model (with two kinds of settings)
  // ahead: requests end, the worker ends, the next one loads.
  Micros wait_max() const {
    const auto turns = static_cast<std::int64_t>(2 * kModels.size());
    return 2 * longest_wait_ + turns * (kRequestMax + kLoadMax + Seconds(1));
  }

  void note_wait(MonoTime since) {
    if (behaved_ && steady_)
      result_.longest_wait_s =
          std::max(result_.longest_wait_s, std::chrono::duration<double>(now() - since).count());
  }

  void watch() {
    if (!watching_) return;
    if (++looks_ % kResidentsEvery == 0) watch_residents();
    watch_memory();
    if (open_requests_ < 0) violation("a request was answered twice");
    if (behaved_ && steady_ && !waiting_.empty() && now() - waiting_.front() > wait_max())
      violation("a request starves");
    loop_.after(kWatchPause, [this] { watch(); });
  }

  void watch_residents() {
    const auto residents = host_->residents().models;
    result_.residents_max = std::max(result_.residents_max, residents.size());
    std::set<std::string> names;
    std::set<std::int64_t> pids;
    for (const auto& resident : residents) {
      names.insert(resident.id);
      pids.insert(resident.pid);
    }
    if (names.size() != residents.size()) violation("a model has two workers");
    std::set<int> unknown;
    for (const int pid : processes_.running_pids())
      if (!pids.contains(pid)) unknown.insert(pid);
    for (const int pid : unknown)
      if (unknown_.contains(pid)) violation("a worker that belongs to no model");
    unknown_ = std::move(unknown);
  }

  // Pages of files can be dropped and read again, which is slow and no danger: but with workers
  // that behave there is room for them too.
  void watch_memory() {
    if (behaved_ && steady_ && machine_.taken(true) > machine_.total_bytes)
      violation("more memory is taken than there is");
    if (machine_.taken(false) <= machine_.total_bytes) {
      overfull_since_.reset();
      return;
    }
    if (!overfull_since_) overfull_since_ = now();
    if (now() - *overfull_since_ > (behaved_ ? kReliefMax : kReliefMaxWild))
      violation("nobody relieves the machine");
  }

  base::Task<void> auditor() {
    for (int i = 0; i < 4; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Millis(100), Seconds(8)));
      const auto system = co_await host_->describe_system();
      if (!system || system->devices.empty()) continue;
      const auto& device = system->devices.front();
      if (behaved_ && device.committed_bytes > device.budget_bytes)
        violation("more is committed than the budget");
      if (device.available_bytes >
          std::max<std::int64_t>(0, device.budget_bytes - device.committed_bytes))
        violation("more is available than the budget leaves");
    }
  }

  base::Task<void> check_reservations() {
    machine_.fails = {};
    const auto system = co_await host_->describe_system();
    if (!system) violation("the machine is not described");
    if (system && !system->reservations.empty()) violation("a reservation is left");
  }

  void check_end() {
    if (processes_.running() != 0) violation("a worker is left");
    if (processes_.abandoned() != 0) violation("a worker was dropped before its end");
    if (open_requests_ != 0) violation(std::format("{} requests open", open_requests_));
    if (!host_->residents().models.empty()) violation("a resident is left");
    if (!files_.list("/run/workers", 9)->empty()) violation("a lease is left");
  }

  std::mt19937_64 random_;
  const Canary canary_;
  const bool behaved_;  // all workers do
  const bool steady_;   // what others use does not change
  const bool hot_;      // one model is never idle
  const bool pins_;     // some requests pin their models
  Micros longest_wait_{};
  std::uint64_t budget_ = 0;
  testing::FakeLoop loop_;
  testing::FakeLanes lanes_{loop_};
  testing::FakeProcesses processes_{loop_};
  SimMachine machine_;
  testing::FakeKvKeep kv_{loop_};
  resources::Measurements measurements_;
  SimLog log_;
  MemoryFiles files_;
  std::map<std::string, std::uint64_t, std::less<>> weights_;
  std::map<std::string, std::uint64_t, std::less<>> predicted_bytes_;  // of the last load
  std::map<std::string, int> leases_;                                  // in use, by model
  std::list<MonoTime> waiting_;                                        // when each began to wait
  std::set<int> unknown_;  // processes that no resident had at the last look
  std::optional<MonoTime> overfull_since_;
  std::vector<std::unique_ptr<platform::Process>> strays_;
  base::TaskScope clients_;
  SimResult result_;
  int open_requests_ = 0;
  int answers_ = 0;
  int looks_ = 0;
  bool watching_ = true;
  bool stopping_ = false;
  std::unique_ptr<engines::ModelHost> host_;
};

}  // namespace

SimResult run_host_sim(std::uint64_t seed, Canary canary) { return HostSim(seed, canary).run(); }

}  // namespace ingle::sim
