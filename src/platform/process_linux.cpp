#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <format>

#include "platform/asio_loop.h"
#include "platform/line_splitter.h"
#include "platform/process.h"
#include "platform/spawn_linux.h"
#include "platform/system.h"
#include "platform/worker_groups.h"

namespace ingle::platform {
namespace {

using StreamDescriptor = boost::asio::posix::stream_descriptor;

constexpr std::size_t kReadMax = 16 * 1024;
// How long after the end the last output is waited for, if a grandchild holds the pipe.
constexpr base::Millis kDrainTimeMax{50};

// What the loop knows of one child, until it is reaped. Shared by the Process and by the pending
// handlers, because a child must be reaped after its Process is gone.
class Child : public std::enable_shared_from_this<Child> {
 public:
  Child(AsioLoop& loop, base::Lanes& lanes, WorkerGroups* groups, ProcessEvents events)
      : loop_(loop),
        lanes_(lanes),
        groups_(groups),
        events_(std::make_shared<ProcessEvents>(std::move(events))),
        pidfd_(loop.context()),
        output_(loop.context()) {}

  // Takes the descriptors over and starts to watch. Errors: io_error; then the child is not
  // watched, and the descriptors stay with `spawned`.
  base::Status watch(SpawnedChild& spawned);
  // Signals the group as long as its number is certainly ours.
  void signal(int signal_number);
  // Ends the child and tells nobody.
  void abandon();
  // Resident memory. Keeps the child's record, not its Process, while it runs.
  static base::Task<base::Result<ProcessMemory>> measure(std::shared_ptr<Child> child);

  const ProcessIdentity& identity() const { return identity_; }
  const std::string& sandbox_text() const { return sandbox_text_; }
  const std::optional<ExitStatus>& status() const { return status_; }

 private:
  void read();
  void take_output(std::size_t count);
  void wait_for_end();
  void ended();
  void reaped(ExitStatus status);
  void finish();
  void tell_line(std::string_view line);

  AsioLoop& loop_;
  base::Lanes& lanes_;
  WorkerGroups* const groups_;   // nullptr: none
  std::filesystem::path group_;  // its own; empty: none
  ProcessIdentity identity_;
  std::string sandbox_text_;

  std::shared_ptr<ProcessEvents> events_;  // shared: a callback that runs may drop its own owner
  StreamDescriptor pidfd_;
  StreamDescriptor output_;
  std::array<char, kReadMax> buffer_{};
  LineSplitter lines_{kOutputLineMax};
  bool ended_ = false;                // the pidfd said so: soon the number may be another's
  std::optional<ExitStatus> reaped_;  // known, while the last output is still read
  std::optional<ExitStatus> status_;  // told
  std::optional<base::Loop::TimerId> drain_timer_;
};

base::Status Child::watch(SpawnedChild& spawned) {
  boost::system::error_code error;
  pidfd_.assign(spawned.pidfd.get(), error);
  if (!error) output_.assign(spawned.output.get(), error);
  if (error) {
    if (pidfd_.is_open()) pidfd_.release();
    return base::fail(base::ErrorCode::io_error, "it cannot be watched: " + error.message());
  }
  spawned.pidfd.release();
  spawned.output.release();
  identity_ = std::move(spawned.identity);
  sandbox_text_ = std::move(spawned.sandbox_text);
  group_ = std::move(spawned.group);
  read();
  wait_for_end();
  return {};
}

void Child::signal(int signal_number) {
  if (!ended_) ::kill(-identity_.pid, signal_number);
}

void Child::abandon() {
  events_.reset();
  signal(SIGKILL);
  boost::system::error_code ignored;
  output_.close(ignored);
}

base::Task<base::Result<ProcessMemory>> Child::measure(std::shared_ptr<Child> child) {
  const auto gone = [&] {
    return base::fail(base::ErrorCode::not_found,
                      std::format("process {} has ended", child->identity_.pid));
  };
  if (child->ended_) co_return gone();
  auto memory =
      co_await base::run_on(child->lanes_, child->loop_, base::Lane::interactive, "process memory",
                            [pid = child->identity_.pid] { return read_process_memory(pid); });
  if (child->ended_) co_return gone();
  co_return memory;
}

void Child::read() {
  output_.async_read_some(
      boost::asio::buffer(buffer_),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t count) {
        if (error == boost::asio::error::operation_aborted) return;
        self->loop_.turn("worker output", [&] { self->take_output(error ? 0 : count); });
      });
}

// Nothing: the end of the output.
void Child::take_output(std::size_t count) {
  if (!output_.is_open()) return;  // closed after this turn was queued
  if (count > 0) {
    lines_.feed({buffer_.data(), count}, [this](std::string_view line) { tell_line(line); });
    if (output_.is_open()) read();  // a callback may have ended the Process
    return;
  }
  boost::system::error_code ignored;
  output_.close(ignored);
  if (reaped_) finish();
}

void Child::wait_for_end() {
  pidfd_.async_wait(StreamDescriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      if (error) return;
                      self->loop_.turn("worker end", [&] { self->ended(); });
                    });
}

void Child::ended() {
  // Asio may wake a waiter for what became of another descriptor that it has just closed. A child
  // that lives goes on living.
  pollfd look{.fd = pidfd_.native_handle(), .events = POLLIN};
  if (::poll(&look, 1, 0) == 0) return wait_for_end();
  // The unreaped child still holds its number, so this group is the one it led.
  ::kill(-identity_.pid, SIGKILL);
  ended_ = true;
  auto reap = [self = shared_from_this(), pidfd = pidfd_.native_handle()]() mutable {
    auto status = reap_child(pidfd, Reaping::may_wait);
    if (!self->group_.empty()) status.memory_limit_hit = self->groups_->remove(self->group_);
    auto& loop = self->loop_;
    loop.post([self = std::move(self), status] { self->reaped(status); });
  };
  if (lanes_.submit(base::Lane::interactive, "reap", std::move(reap))) return;
  // A full lane must not keep a death secret.
  if (!group_.empty()) groups_->remove_later(group_);
  reaped(reap_child(pidfd_.native_handle(), Reaping::never_waits));
}

void Child::reaped(ExitStatus status) {
  boost::system::error_code ignored;
  pidfd_.close(ignored);
  reaped_ = status;
  if (!output_.is_open()) return finish();
  drain_timer_ = loop_.after(kDrainTimeMax, [self = shared_from_this()] {
    self->drain_timer_.reset();
    self->finish();
  });
}

void Child::finish() {
  if (drain_timer_) loop_.cancel(*std::exchange(drain_timer_, std::nullopt));
  boost::system::error_code ignored;
  output_.close(ignored);
  lines_.flush([this](std::string_view line) { tell_line(line); });
  status_ = reaped_;
  if (const auto events = events_; events && events->on_exit) events->on_exit(*status_);
}

void Child::tell_line(std::string_view line) {
  if (const auto events = events_; events && events->on_line) events->on_line(line);
}

class LinuxProcess final : public Process {
 public:
  explicit LinuxProcess(std::shared_ptr<Child> child) : child_(std::move(child)) {}
  ~LinuxProcess() override { child_->abandon(); }

  const ProcessIdentity& identity() const override { return child_->identity(); }
  void signal(int signal_number) override { child_->signal(signal_number); }
  const std::optional<ExitStatus>& exit_status() const override { return child_->status(); }
  base::Task<base::Result<ProcessMemory>> memory() override { return Child::measure(child_); }
  const std::string& sandbox_text() const override { return child_->sandbox_text(); }

 private:
  const std::shared_ptr<Child> child_;
};

class LinuxProcesses final : public Processes {
 public:
  LinuxProcesses(AsioLoop& loop, base::Lanes& lanes, WorkerGroups* groups)
      : loop_(loop), lanes_(lanes), groups_(groups) {}

  base::Task<base::Result<std::unique_ptr<Process>>> spawn(SpawnOptions options,
                                                           ProcessEvents events) override;
  bool kill_if_same(const ProcessIdentity& identity) override;

 private:
  AsioLoop& loop_;
  base::Lanes& lanes_;
  WorkerGroups* const groups_;
};

base::Task<base::Result<std::unique_ptr<Process>>> LinuxProcesses::spawn(SpawnOptions options,
                                                                         ProcessEvents events) {
  auto spawned =
      co_await base::run_on(lanes_, loop_, base::Lane::interactive, "spawn",
                            [&options, groups = groups_] { return spawn_child(options, groups); });
  if (!spawned) co_return std::unexpected(std::move(spawned).error());
  auto child = std::make_shared<Child>(loop_, lanes_, groups_, std::move(events));
  if (auto watched = child->watch(*spawned); !watched) {
    ::kill(-spawned->identity.pid, SIGKILL);
    (void)co_await base::run_on(lanes_, loop_, base::Lane::interactive, "reap",
                                [&spawned, groups = groups_] {
                                  reap_child(spawned->pidfd.get(), Reaping::may_wait);
                                  return !spawned->group.empty() && groups->remove(spawned->group);
                                });
    co_return base::fail(base::ErrorCode::spawn_failed,
                         std::format("{} could not be started: {}", options.executable.native(),
                                     watched.error().message));
  }
  co_return std::make_unique<LinuxProcess>(std::move(child));
}

bool LinuxProcesses::kill_if_same(const ProcessIdentity& identity) {
  if (identity.pid <= 1) return false;
  // The pidfd comes first: what is checked below is then what is killed through it.
  const Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!pidfd.valid()) return false;
  const auto now = read_identity(identity.pid);
  if (!now || *now != identity || identity.boot_id.empty()) return false;
  if (::getpgid(identity.pid) == identity.pid) ::kill(-identity.pid, SIGKILL);
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  return true;
}

}  // namespace

std::unique_ptr<Processes> create_processes(AsioLoop& loop, base::Lanes& lanes,
                                            WorkerGroups* groups) {
  return std::make_unique<LinuxProcesses>(loop, lanes, groups);
}

}  // namespace ingle::platform
