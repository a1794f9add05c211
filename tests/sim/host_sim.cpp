#include "host_sim.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <format>
#include <random>

#include "engines/model_host.h"
#include "memory_files.h"
#include "testing/fake_loop.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"

namespace ingle::sim {
namespace {

using base::ErrorCode;
using base::Micros;
using base::Millis;
using base::Seconds;
using testing::FakeLife;

constexpr int kClients = 12;
constexpr int kRequestsPerClient = 8;
constexpr std::array kModels{"alpha", "beta", "gamma"};

class HostSim {
 public:
  HostSim(std::uint64_t seed, Canary canary) : random_(seed), canary_(canary) {
    processes_.set_script([this](const auto&) { return random_life(); });
    for (const auto* name : kModels)
      std::ignore = files_.write_atomic(model_path(name), "GGUF", {});
    host_ = engines::create_model_host(
        {.run_folder = "/run",
         .lease_folder = "/run/workers",
         .text = {.llama_server = "/bin/true", .load_timeout = "20s"},
         .keep_alive = pick_time(Millis(0), Seconds(20)),
         .waiters_max = 8},
        {.loop = loop_,
         .lanes = lanes_,
         .processes = processes_,
         .client = processes_.client(),
         .files = files_,
         .find = [this](std::string_view name) { return find(name); },
         .machine = []() -> base::Result<platform::MachineFacts> {
           return platform::MachineFacts{.ram_bytes_available = 8ull << 30};
         },
         .on_event = {},
         .log = base::Logger(log_, loop_.clock(), "sim")});
  }

  SimResult run() {
    for (int i = 0; i < kClients; ++i) clients_.spawn(client());
    clients_.spawn(meddler());
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

  // --- chance ---

  bool chance(int percent) { return std::uniform_int_distribution(1, 100)(random_) <= percent; }
  Micros pick_time(Micros least, Micros most) {
    return Micros(std::uniform_int_distribution(least.count(), most.count())(random_));
  }

  FakeLife random_life() {
    ++result_.workers;
    FakeLife life;
    life.spawn_time = pick_time(Micros(0), Millis(20));
    life.listens_after = pick_time(Micros(0), Millis(200));
    life.ready_after = life.listens_after + pick_time(Micros(0), Seconds(3));
    if (chance(5)) life.spawn_error = base::Error{ErrorCode::spawn_failed, "no such executable"};
    if (chance(5)) life.ready_after.reset();
    if (chance(3)) life.answers = false;
    if (chance(20))
      life.death = {pick_time(Micros(0), Seconds(8)),
                    chance(50) ? platform::ExitStatus{.code = static_cast<int>(chance(50))}
                               : platform::ExitStatus{.signal = SIGKILL}};
    life.term_delay = pick_time(Micros(0), chance(20) ? Micros(Seconds(6)) : Micros(Millis(50)));
    if (chance(10)) life.term_delay.reset();
    life.kill_delay = pick_time(Micros(0), Millis(100));
    return life;
  }

  base::Result<catalog::ModelRecord> find(std::string_view name) const {
    if (!std::ranges::contains(kModels, name))
      return base::fail(ErrorCode::model_not_found, "no such model");
    catalog::ModelRecord record;
    record.info = {
        .id = std::string(name), .kind = protocol::ModelKind::text, .path = model_path(name)};
    record.facts.layers = 1;
    record.facts.kv_heads = {1};
    record.facts.key_length = record.facts.value_length = 32;
    record.facts.context_tokens_max = 1024;
    return record;
  }

  // --- what happens ---

  base::Task<void> client() {
    for (int i = 0; i < kRequestsPerClient; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Micros(0), Seconds(4)));
      co_await request();
    }
  }

  base::Task<void> request() {
    base::CancelSource cancel;
    std::optional<base::Loop::TimerId> leaving;
    if (chance(25))
      leaving = loop_.after(pick_time(Micros(0), Seconds(5)), [&cancel] { cancel.cancel(); });
    engines::AcquireOptions options{.cancel = cancel.token()};
    if (chance(20)) options.keep_alive = pick_time(Micros(0), Seconds(5));
    if (chance(10)) options.set = {std::format("threads={}", chance(50) ? 1 : 2)};
    const char* model = chance(3) ? "nothing" : kModels[random_() % kModels.size()];
    ++result_.requests;
    ++open_requests_;
    auto lease = co_await host_->acquire(model, std::move(options));
    if (canary_ != Canary::lost_request || answers_ != 5) --open_requests_;
    if (canary_ == Canary::double_answer && answers_ == 5) --open_requests_;
    ++answers_;
    lease ? ++result_.granted : ++result_.refused;
    if (lease) co_await use(**lease, model);
    if (leaving) loop_.cancel(*leaving);
  }

  // A request under way ends by itself, or hears that its worker died.
  base::Task<void> use(engines::Lease& lease, std::string model) {
    if (lease.model().id != model) violation("a lease for another model");
    const auto& residents = host_->residents().models;
    if (!lease.worker_gone().cancelled() && (residents.empty() || residents[0].id != model))
      violation("a live lease for a model that is not resident");
    const auto pids = processes_.running_pids();
    const int pid = lease.worker_gone().cancelled() || pids.empty() ? 0 : pids.front();
    const auto heard = canary_ == Canary::muted_death ? base::CancelToken() : lease.worker_gone();
    const auto status = co_await base::sleep_for(loop_, pick_time(Micros(0), Seconds(3)), heard);
    const bool dead = pid != 0 && !std::ranges::contains(processes_.running_pids(), pid);
    if (status && dead) violation("a lease lived on after its worker's death");
    if (status) co_return;
    ++result_.crashes;
    if ((co_await lease.crash()).message.empty()) violation("a death without words");
  }

  // Somebody unloads, and kills, now and then.
  base::Task<void> meddler() {
    for (int i = 0; i < 10; ++i) {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Millis(100), Seconds(6)));
      const auto pids = processes_.running_pids();
      if (chance(30) && !pids.empty()) processes_.die(pids.front(), {.signal = SIGKILL});
      if (chance(30)) std::ignore = co_await host_->unload(std::nullopt);
      if (canary_ == Canary::second_worker && i == 3) {
        auto extra = co_await processes_.spawn({}, {});
        if (extra) extras_.push_back(*std::move(extra));
        std::ignore = co_await base::sleep_for(loop_, Seconds(3));
        extras_.clear();
      }
    }
    if (canary_ == Canary::left_behind) {
      auto extra = co_await processes_.spawn({}, {});
      if (extra) extras_.push_back(*std::move(extra));
    }
  }

  base::Task<void> finish(bool& done) {
    // Either all is done first, or the daemon stops under them.
    if (chance(50)) {
      co_await clients_.join();
    } else {
      std::ignore = co_await base::sleep_for(loop_, pick_time(Micros(0), Seconds(20)));
    }
    co_await host_->shut_down();
    co_await clients_.join();
    done = true;
  }

  // --- invariants ---

  void violation(std::string what) {
    if (result_.violations.size() < 20)
      result_.violations.push_back(std::format(
          "{:.3f} s: {}",
          std::chrono::duration<double>(loop_.clock().mono_now().time_since_epoch()).count() - 1000,
          what));
  }

  void watch() {
    if (!watching_) return;
    if (processes_.running() > 1) violation("two workers at once");
    if (host_->residents().models.size() > 1) violation("two residents");
    if (open_requests_ < 0) violation("a request was answered twice");
    loop_.after(Millis(7), [this] { watch(); });
  }

  void check_end() {
    if (processes_.running_max() > 1) violation("two workers at once, at some time");
    if (processes_.running() != 0) violation("a worker is left");
    if (processes_.abandoned() != 0) violation("a worker was dropped before its end");
    if (open_requests_ != 0) violation(std::format("{} requests open", open_requests_));
    if (!host_->residents().models.empty()) violation("a resident is left");
    if (!files_.list("/run/workers", 9)->empty()) violation("a lease is left");
  }

  std::mt19937_64 random_;
  const Canary canary_;
  testing::FakeLoop loop_;
  testing::FakeLanes lanes_{loop_};
  testing::FakeProcesses processes_{loop_};
  testing::MemoryLog log_;
  MemoryFiles files_;
  std::vector<std::unique_ptr<platform::Process>> extras_;
  base::TaskScope clients_;
  SimResult result_;
  int open_requests_ = 0;
  int answers_ = 0;
  bool watching_ = true;
  std::unique_ptr<engines::ModelHost> host_;
};

}  // namespace

SimResult run_host_sim(std::uint64_t seed, Canary canary) { return HostSim(seed, canary).run(); }

}  // namespace ingle::sim
