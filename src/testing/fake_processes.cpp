#include "testing/fake_processes.h"

#include <signal.h>

#include <algorithm>
#include <format>

#include "http/server.h"  // for the whole type of WebSocket

namespace ingle::testing {
namespace {

using base::ErrorCode;
using base::fail;
using platform::ExitStatus;
using platform::ProcessIdentity;

constexpr base::Millis kAnswerTime{1};

std::string socket_of(const platform::SpawnOptions& options) {
  const auto host = std::ranges::find(options.arguments, std::string("--host"));
  if (host == options.arguments.end() || host + 1 == options.arguments.end()) return {};
  return *(host + 1);
}

}  // namespace

struct FakeProcesses::Record {
  ProcessIdentity identity{};
  std::string socket{};
  FakeLife life{};
  platform::ProcessEvents events{};
  base::MonoTime spawned_at{};
  std::optional<ExitStatus> status{};
  bool termed = false;
  bool killed = false;
  bool abandoned = false;
};

class FakeProcesses::FakeProcess final : public platform::Process {
 public:
  FakeProcess(FakeProcesses& owner, std::shared_ptr<Record> record)
      : owner_(owner), record_(std::move(record)) {}
  ~FakeProcess() override {
    record_->events = {};
    if (!record_->status) {
      record_->abandoned = true;
      owner_.end(record_, {.signal = SIGKILL});
    }
  }
  const ProcessIdentity& identity() const override { return record_->identity; }
  void signal(int signal_number) override { owner_.signal(record_, signal_number); }
  const std::optional<ExitStatus>& exit_status() const override { return record_->status; }
  base::Task<base::Result<platform::ProcessMemory>> memory() override {
    const auto record = record_;
    auto* const owner = &owner_;
    co_await base::yield(owner->loop_);
    if (record->status) co_return fail(ErrorCode::not_found, "the process has ended");
    co_return owner->memory_of(*record);
  }
  const std::string& sandbox_text() const override { return sandbox_; }

 private:
  FakeProcesses& owner_;
  const std::shared_ptr<Record> record_;
  const std::string sandbox_{"none: a fake"};
};

class FakeProcesses::FakeClient final : public http::Client {
 public:
  explicit FakeClient(FakeProcesses& owner) : owner_(owner) {}

  base::Task<base::Result<http::Response>> fetch(http::Endpoint endpoint, http::Request request,
                                                 base::CancelToken cancel) override {
    auto record = owner_.listening_at(endpoint);
    if (!record) {
      co_await base::yield(owner_.loop_);
      co_return fail(ErrorCode::io_error, "nobody listens");
    }
    // A silent worker is waited for until somebody gives up or it ends.
    do {
      CO_TRY(co_await base::sleep_for(owner_.loop_, kAnswerTime, cancel));
      if (record->status) co_return fail(ErrorCode::upstream_error, "the connection was cut");
    } while (!record->life.answers);
    const auto& life = record->life;
    const bool ready = life.ready_after && owner_.age(*record) >= *life.ready_after;
    if (!ready) co_return http::Response{.status = 503};
    if (request.target != "/props") co_return http::Response{};
    co_return http::Response{
        .body = std::format(R"({{"default_generation_settings":{{"n_ctx":{}}},"total_slots":{}}})",
                            life.context_tokens, life.slots)};
  }
  base::Task<base::Result<std::unique_ptr<http::ResponseStream>>> open(http::Endpoint,
                                                                       http::Request,
                                                                       base::CancelToken) override {
    co_return fail(ErrorCode::unsupported, "fake workers answer whole answers only");
  }
  base::Task<base::Result<std::unique_ptr<http::WebSocket>>> open_websocket(
      http::Endpoint, std::string, http::Headers, base::CancelToken) override {
    co_return fail(ErrorCode::unsupported, "fake workers have no WebSockets");
  }

 private:
  FakeProcesses& owner_;
};

FakeProcesses::FakeProcesses(base::Loop& loop, Script script)
    : loop_(loop), script_(std::move(script)), client_(std::make_unique<FakeClient>(*this)) {}

FakeProcesses::~FakeProcesses() = default;

http::Client& FakeProcesses::client() { return *client_; }

base::Task<base::Result<std::unique_ptr<platform::Process>>> FakeProcesses::spawn(
    platform::SpawnOptions options, platform::ProcessEvents events) {
  spawned_.push_back(options);
  const FakeLife life = script_(options);
  std::ignore = co_await base::sleep_for(loop_, life.spawn_time);
  if (life.spawn_error) co_return std::unexpected(*life.spawn_error);
  const int pid = next_pid_++;
  auto record = std::make_shared<Record>(
      Record{.identity = {pid, static_cast<std::uint64_t>(pid) * 10, "fake-boot"},
             .socket = socket_of(options),
             .life = life,
             .events = std::move(events),
             .spawned_at = loop_.clock().mono_now()});
  records_[pid] = record;
  running_max_ = std::max(running_max_, running());
  for (const auto& [after, line] : life.lines)
    loop_.after(after, [this, record, line] { write(record, line); });
  if (life.death)
    loop_.after(life.death->after, [this, record] { end(record, record->life.death->status); });
  co_return std::make_unique<FakeProcess>(*this, record);
}

void FakeProcesses::write(const std::shared_ptr<Record>& record, std::string_view line) {
  if (!record->status && record->events.on_line) record->events.on_line(line);
}

void FakeProcesses::end(const std::shared_ptr<Record>& record, ExitStatus status) {
  if (record->status) return;
  record->status = status;
  const auto events = std::exchange(record->events, {});
  if (events.on_exit) events.on_exit(status);
}

void FakeProcesses::signal(const std::shared_ptr<Record>& record, int signal_number) {
  if (record->status) return;
  const bool kill = signal_number == SIGKILL;
  if (std::exchange(kill ? record->killed : record->termed, true)) return;
  const auto delay = kill ? record->life.kill_delay : record->life.term_delay;
  if (!delay) return;
  const ExitStatus status = kill ? ExitStatus{.signal = SIGKILL} : ExitStatus{.code = 0};
  loop_.after(*delay, [this, record, status] { end(record, status); });
}

bool FakeProcesses::kill_if_same(const ProcessIdentity& identity) {
  const auto found = records_.find(identity.pid);
  if (found == records_.end() || found->second->status || found->second->identity != identity)
    return false;
  end(found->second, {.signal = SIGKILL});
  return true;
}

void FakeProcesses::die(int pid, ExitStatus status) { end(records_.at(pid), status); }

ProcessIdentity FakeProcesses::add_stranger() {
  const int pid = next_pid_++;
  auto record = std::make_shared<Record>();
  record->identity = {pid, static_cast<std::uint64_t>(pid) * 10, "fake-boot"};
  records_[pid] = record;
  return record->identity;
}

std::vector<int> FakeProcesses::running_pids() const {
  std::vector<int> out;
  for (const auto& [pid, record] : records_)
    if (!record->status) out.push_back(pid);
  return out;
}

std::size_t FakeProcesses::running() const { return running_pids().size(); }

std::size_t FakeProcesses::abandoned() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(records_, [](const auto& entry) { return entry.second->abandoned; }));
}

base::Micros FakeProcesses::age(const Record& record) const {
  return std::chrono::floor<base::Micros>(loop_.clock().mono_now() - record.spawned_at);
}

std::shared_ptr<FakeProcesses::Record> FakeProcesses::listening_at(
    const http::Endpoint& endpoint) const {
  const auto* unix_endpoint = std::get_if<http::UnixEndpoint>(&endpoint);
  if (unix_endpoint == nullptr) return nullptr;
  for (const auto& [pid, record] : records_)
    if (!record->status && record->socket == unix_endpoint->path.native() &&
        age(*record) >= record->life.listens_after)
      return record;
  return nullptr;
}

platform::ProcessMemory FakeProcesses::memory_of(int pid) const {
  const auto found = records_.find(pid);
  if (found == records_.end() || found->second->status) return {};
  return memory_of(*found->second);
}

platform::ProcessMemory FakeProcesses::memory_of(const Record& record) const {
  const auto& life = record.life;
  const double lived_s = std::chrono::duration<double>(age(record)).count();
  const double ready_s =
      life.ready_after ? std::chrono::duration<double>(*life.ready_after).count() : 0;
  const double share = lived_s >= ready_s ? 1 : lived_s / ready_s;
  const double grown =
      lived_s > ready_s ? (lived_s - ready_s) * static_cast<double>(life.grows_bytes_per_s) : 0;
  const auto resident =
      static_cast<std::uint64_t>(share * static_cast<double>(life.resident_bytes) + grown);
  return {resident, std::min(resident, life.file_bytes)};
}

}  // namespace ingle::testing
