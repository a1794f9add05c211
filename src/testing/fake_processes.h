// Scripted workers on virtual time: processes that are spawned, write, answer, hang, die and ignore
// signals as told, and the HTTP client that reaches them by their socket. One thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "http/client.h"
#include "platform/process.h"

namespace ingle::testing {

// How one worker lives. All times count from its spawn, unless they say otherwise.
struct FakeLife {
  std::optional<base::Error> spawn_error{};
  base::Micros spawn_time{base::Millis(2)};  // until spawn() returns
  base::Micros listens_after{base::Millis(10)};
  std::optional<base::Micros> ready_after{base::Millis(100)};  // nothing: it loads for ever
  bool answers = true;                                         // false: it listens and is silent
  std::vector<std::pair<base::Micros, std::string>> lines{};   // output, with its times
  struct Death {
    base::Micros after{};
    platform::ExitStatus status{.code = 0};
  };
  std::optional<Death> death{};                             // unasked
  std::optional<base::Micros> term_delay{base::Millis(5)};  // from SIGTERM; nothing: ignored
  std::optional<base::Micros> kill_delay{base::Millis(1)};  // from SIGKILL; nothing: stuck
  std::uint64_t resident_bytes = 640ull << 20;              // when ready; grows until then
  std::uint64_t file_bytes = 0;                             // of it, mapped files
  std::uint64_t grows_bytes_per_s = 0;                      // once ready, without end
  std::int64_t context_tokens = 2048;                       // in its /props
  std::int64_t slots = 4;
};

class FakeProcesses final : public platform::Processes {
 public:
  using Script = std::function<FakeLife(const platform::SpawnOptions&)>;

  // Asks `script` how each spawned worker lives.
  explicit FakeProcesses(base::Loop& loop, Script script = [](const auto&) { return FakeLife{}; });
  ~FakeProcesses() override;

  base::Task<base::Result<std::unique_ptr<platform::Process>>> spawn(
      platform::SpawnOptions options, platform::ProcessEvents events) override;
  bool kill_if_same(const platform::ProcessIdentity& identity) override;

  // Answers GET /health and GET /props as the worker at that unix socket would.
  http::Client& client();

  void set_script(Script script) { script_ = std::move(script); }
  // Ends a running worker now, as if by itself.
  void die(int pid, platform::ExitStatus status);
  // A running process that is none of ours, for leases.
  platform::ProcessIdentity add_stranger();

  std::size_t running() const;
  std::size_t running_max() const { return running_max_; }  // at any one time
  // Processes whose owner dropped them before they had ended.
  std::size_t abandoned() const;
  const std::vector<platform::SpawnOptions>& spawned() const { return spawned_; }
  std::vector<int> running_pids() const;
  // What a running process holds now; zeros when it has ended.
  platform::ProcessMemory memory_of(int pid) const;

 private:
  struct Record;
  class FakeProcess;
  class FakeClient;

  void write(const std::shared_ptr<Record>& record, std::string_view line);
  void end(const std::shared_ptr<Record>& record, platform::ExitStatus status);
  void signal(const std::shared_ptr<Record>& record, int signal_number);
  std::shared_ptr<Record> listening_at(const http::Endpoint& endpoint) const;
  platform::ProcessMemory memory_of(const Record& record) const;
  base::Micros age(const Record& record) const;

  base::Loop& loop_;
  Script script_;
  std::unique_ptr<FakeClient> client_;
  std::map<int, std::shared_ptr<Record>> records_;  // shared with timers; by pid, ended ones too
  std::vector<platform::SpawnOptions> spawned_;
  int next_pid_ = 1000;
  std::size_t running_max_ = 0;
};

}  // namespace ingle::testing
