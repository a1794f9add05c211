#include "platform/spawn_linux.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <format>

#include "platform/sandbox_linux.h"
#include "platform/system.h"
#include "platform/worker_groups.h"

namespace ingle::platform {
namespace {

// Where the child keeps the pipe that tells a failure; above the three standard ones.
constexpr int kFailureNumber = 3;
// Everything that is handed to the child is opened at or above this, clear of the numbers it uses.
constexpr int kHandedMin = 10;
constexpr int kStartMsMax = 10'000;

enum class Step : int {
  join_group,
  follow_parent,
  redirect,
  change_folder,
  drop_privileges,
  landlock,
  seccomp,
  exec,
};

constexpr std::array kStepText{
    "could not get a process group",
    "was left by its parent",
    "could not get its input and output",
    "could not change to its folder",
    "could not give up gaining privileges",
    "could not enter its file sandbox (landlock)",
    "could not enter its socket sandbox (seccomp)",
    "could not be executed",
};

struct Failure {
  Step step;
  int errno_value;
};

// All that the child needs, made before the fork: after it the child may not allocate.
struct ChildPlan {
  std::vector<char*> arguments{};    // ends with nullptr
  std::vector<char*> environment{};  // ends with nullptr
  std::vector<std::string> environment_text{};
  const char* executable = nullptr;
  const char* folder = nullptr;
  std::string oom_score_adj{};
  pid_t parent = 0;
  Descriptor null{};
  Descriptor output{};
  Descriptor failure{};
  Descriptor group{};  // where it enters its control group; invalid: none
  PreparedSandbox sandbox{};
};

[[noreturn]] void give_up(const ChildPlan& plan, Step step, int errno_value) {
  const Failure failure{step, errno_value};
  // Before the redirection the pipe has its first number, afterwards the other.
  for (const int pipe : {plan.failure.get(), kFailureNumber})
    if (::write(pipe, &failure, sizeof failure) == sizeof failure) break;
  ::_exit(127);
}

void reset_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(unsigned first) {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (unsigned number = first; number < 4096; ++number) ::close(static_cast<int>(number));
}

// In the child: system calls only.
[[noreturn]] void run_child(const ChildPlan& plan) {
  if (::setpgid(0, 0) != 0) give_up(plan, Step::join_group, errno);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(plan, Step::follow_parent, errno);
  // The parent may have died before the line above, and then no signal comes.
  if (::getppid() != plan.parent) give_up(plan, Step::follow_parent, ESRCH);
  reset_signals();
  ::umask(077);
  // One byte: no core file, and no core piped to a handler either. A worker's is as large as its
  // model, and writing it takes the machine down with it.
  const rlimit core{1, 1};
  ::setrlimit(RLIMIT_CORE, &core);
  // Best effort, as the next: where the group is not to be had, the worker runs without.
  if (plan.group.valid()) {
    [[maybe_unused]] const auto written = ::write(plan.group.get(), "0", 1);
  }
  // Some containers have a read-only /proc.
  const int oom = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (oom >= 0) {
    [[maybe_unused]] const auto written =
        ::write(oom, plan.oom_score_adj.data(), plan.oom_score_adj.size());
  }
  if (::chdir(plan.folder) != 0) give_up(plan, Step::change_folder, errno);
  if (::dup2(plan.null.get(), 0) < 0 || ::dup2(plan.output.get(), 1) < 0 ||
      ::dup2(plan.output.get(), 2) < 0 || ::dup3(plan.failure.get(), kFailureNumber, O_CLOEXEC) < 0)
    give_up(plan, Step::redirect, errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(plan, Step::drop_privileges, errno);
  if (const int error = enforce_landlock(plan.sandbox)) give_up(plan, Step::landlock, error);
  close_from(kFailureNumber + 1);
  if (const int error = enforce_seccomp(plan.sandbox)) give_up(plan, Step::seccomp, error);
  ::execve(plan.executable, plan.arguments.data(), plan.environment.data());
  give_up(plan, Step::exec, errno);
}

base::Error spawn_error(const SpawnOptions& options, std::string_view what) {
  return {base::ErrorCode::spawn_failed,
          std::format("{} could not be started: {}", options.executable.native(), what)};
}

// Lifts a descriptor clear of the numbers that the child uses.
base::Status lift(Descriptor& descriptor) {
  const int lifted = ::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, kHandedMin);
  if (lifted < 0) return base::fail(base::errno_error(errno, "no descriptor is left"));
  descriptor.reset(lifted);
  return {};
}

// A pipe whose ends close on exec; the writing one is fit to be handed to a child.
base::Status make_pipe(Descriptor& read_end, Descriptor& write_end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return base::fail(base::errno_error(errno, "no pipe could be made"));
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  return lift(write_end);
}

// With every signal blocked, so that no handler of the daemon's runs in the child.
pid_t fork_child(const ChildPlan& plan) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(plan);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

void kill_and_reap(pid_t pid) {
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED);
}

// Waits until the child has exec'd: then its end of the pipe closes without a word.
base::Status await_exec(const SpawnOptions& options, int failure_pipe) {
  pollfd wait{.fd = failure_pipe, .events = POLLIN};
  int ready = 0;
  do ready = ::poll(&wait, 1, kStartMsMax);
  while (ready < 0 && errno == EINTR);
  if (ready == 0)
    return base::fail(
        spawn_error(options, std::format("it was not running after {} s", kStartMsMax / 1000)));
  Failure failure{};
  ssize_t count = 0;
  do count = ::read(failure_pipe, &failure, sizeof failure);
  while (count < 0 && errno == EINTR);
  if (count == 0) return {};
  if (count != sizeof failure) return base::fail(spawn_error(options, "its start cannot be told"));
  const auto* step = kStepText[static_cast<std::size_t>(failure.step)];
  const auto reason = base::errno_error(failure.errno_value, step).message;
  return base::fail(
      spawn_error(options, failure.step == Step::change_folder
                               ? std::format("{} ({})", reason, options.working_folder.native())
                               : reason));
}

base::Result<ChildPlan> make_plan(const SpawnOptions& options) {
  ChildPlan plan{.executable = options.executable.c_str(),
                 .folder = options.working_folder.c_str(),
                 .oom_score_adj = std::to_string(options.oom_score_adj),
                 .parent = ::getpid()};
  // execve wants mutable strings and changes none.
  plan.arguments.push_back(const_cast<char*>(options.executable.c_str()));
  for (const auto& argument : options.arguments)
    plan.arguments.push_back(const_cast<char*>(argument.c_str()));
  plan.arguments.push_back(nullptr);
  for (const auto& [name, value] : options.environment)
    plan.environment_text.push_back(name + "=" + value);
  for (auto& text : plan.environment_text) plan.environment.push_back(text.data());
  plan.environment.push_back(nullptr);

  plan.null.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!plan.null.valid()) return base::fail(base::errno_error(errno, "cannot open /dev/null"));
  TRY(lift(plan.null));
  TRY_ASSIGN(plan.sandbox, prepare_sandbox(options.sandbox, options.executable));
  if (plan.sandbox.ruleset.valid()) TRY(lift(plan.sandbox.ruleset));
  return plan;
}

base::Result<SpawnedChild> spawn_planned(const SpawnOptions& options,
                                         std::optional<WorkerGroup> group) {
  const auto failed = [&](const base::Error& error) {
    return base::fail(
        error.code == base::ErrorCode::spawn_failed ? error : spawn_error(options, error.message));
  };
  auto plan = make_plan(options);
  if (!plan) return failed(plan.error());
  SpawnedChild child{.sandbox_text = plan->sandbox.text};
  if (group) {
    plan->group = std::move(group->entrance);
    if (auto lifted = lift(plan->group); !lifted) return failed(lifted.error());
    child.group = group->folder;
  }
  Descriptor failure_pipe;
  if (auto made = make_pipe(child.output, plan->output); !made) return failed(made.error());
  if (auto made = make_pipe(failure_pipe, plan->failure); !made) return failed(made.error());

  const pid_t pid = fork_child(*plan);
  if (pid < 0) return failed(base::errno_error(errno, "the kernel refused another process"));
  // The child's ends: while they are open here, neither pipe ever ends.
  plan->output.reset();
  plan->failure.reset();
  if (auto running = await_exec(options, failure_pipe.get()); !running) {
    kill_and_reap(pid);
    return failed(running.error());
  }
  auto identity = read_identity(pid);
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd.valid() || !identity) {
    const auto error = identity ? base::errno_error(errno, "no pidfd") : identity.error();
    kill_and_reap(pid);
    return failed(error);
  }
  child.identity = *std::move(identity);
  return child;
}

}  // namespace

base::Result<SpawnedChild> spawn_child(const SpawnOptions& options, WorkerGroups* groups) {
  auto group = groups ? groups->make(options.memory_bytes_max) : std::nullopt;
  const auto folder = group ? group->folder : std::filesystem::path();
  auto child = spawn_planned(options, std::move(group));
  if (!child && !folder.empty()) groups->remove(folder);
  return child;
}

ExitStatus reap_child(int pidfd, Reaping reaping) {
  siginfo_t info{};
  const int flags = WEXITED | (reaping == Reaping::never_waits ? WNOHANG : 0);
  int result = 0;
  do result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, flags);
  while (result != 0 && errno == EINTR);
  if (result != 0 || info.si_pid == 0) return {};
  if (info.si_code == CLD_EXITED) return {.code = info.si_status};
  return {.signal = info.si_status, .core_dumped = info.si_code == CLD_DUMPED};
}

}  // namespace ingle::platform
