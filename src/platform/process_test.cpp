// Goal: a worker's life is told truly: every line, the exact end, and nothing left running.
// Method: real children of /bin/sh and of this very executable (the DISABLED_ test below is what a
// child runs), on the real loop; what must end is awaited through pidfds, never by sleeping.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>

#include "platform/descriptor.h"
#include "platform/process.h"
#include "platform/system.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

using base::ErrorCode;
using base::Result;
using base::Task;

constexpr int kWaitMsMax = 20'000;

struct Outcome {
  std::vector<std::string> lines{};
  ExitStatus status{};
};

SpawnOptions shell(std::string script) {
  return {.executable = "/bin/sh",
          .arguments = {"-c", std::move(script)},
          .environment = {{"PATH", "/usr/bin:/bin"}}};
}

// True once the process is gone or a zombie.
bool await_end(int pid) {
  const Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) return errno == ESRCH;
  pollfd wait{.fd = pidfd.get(), .events = POLLIN};
  return ::poll(&wait, 1, kWaitMsMax) == 1;
}

int to_pid(std::string_view text) {
  int pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

class ProcessTest : public ::testing::Test {
 protected:
  // Runs the child to its end.
  Result<Outcome> finish(SpawnOptions options) {
    return real_.run([](Processes& processes, SpawnOptions spawn) -> Task<Result<Outcome>> {
      Outcome out;
      base::Completion<ExitStatus> ended;
      auto child = co_await processes.spawn(
          std::move(spawn),
          {.on_line = [&](std::string_view line) { out.lines.emplace_back(line); },
           .on_exit = [&](ExitStatus status) { ended.complete(status); }});
      if (!child) co_return std::unexpected(child.error());
      out.status = co_await ended;
      EXPECT_EQ((*child)->exit_status(), out.status);
      co_return out;
    }(*processes_, std::move(options)));
  }

  // Spawns a child and waits for the first line that it writes.
  std::unique_ptr<Process> start(SpawnOptions options, std::string& first_line,
                                 std::function<void(ExitStatus)> on_exit = {}) {
    return real_.run([](Processes& processes, SpawnOptions spawn, std::string& line_out,
                        std::function<void(ExitStatus)> exit) -> Task<std::unique_ptr<Process>> {
      auto line = std::make_shared<base::Completion<std::string>>();
      auto child =
          co_await processes.spawn(std::move(spawn), {.on_line =
                                                          [line](std::string_view text) {
                                                            if (!line->completed())
                                                              line->complete(std::string(text));
                                                          },
                                                      .on_exit = std::move(exit)});
      CHECK(child.has_value(), "the test's child starts");
      line_out = co_await *line;
      co_return std::move(*child);
    }(*processes_, std::move(options), first_line, std::move(on_exit)));
  }

  testing::RealLoop real_;
  std::unique_ptr<Processes> processes_ = create_processes(real_.loop, real_.lanes);
};

TEST_F(ProcessTest, tells_lines_of_both_outputs_and_the_exit_code) {
  const auto out = finish(shell("echo one; echo two >&2; echo; printf three; exit 3"));
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->lines, (std::vector<std::string>{"one", "two", "", "three"}));
  EXPECT_EQ(out->status, ExitStatus{.code = 3});
  EXPECT_EQ(out->status.text(), "exited with code 3");
}

TEST_F(ProcessTest, cuts_long_lines_and_loses_none) {
  const auto out = finish(shell("head -c 100000 /dev/zero | tr '\\0' x; echo; seq 1 20000"));
  ASSERT_TRUE(out) << out.error().text();
  ASSERT_EQ(out->lines.size(), 20'001U);
  EXPECT_EQ(out->lines.front(), std::string(kOutputLineMax, 'x'));
  EXPECT_EQ(out->lines[1], "1");
  EXPECT_EQ(out->lines.back(), "20000");
}

TEST_F(ProcessTest, gives_exactly_the_environment_folder_and_standard_input) {
  auto options = shell("echo $#:$1; env | grep -v ^_= | grep -v ^PWD= | sort; pwd; cat; umask");
  options.arguments.insert(options.arguments.end(), {"name", "an argument"});
  options.environment.emplace_back("INGLE_TEST", "a=b");
  options.working_folder = "/usr";
  const auto out = finish(std::move(options));
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->lines, (std::vector<std::string>{"1:an argument", "INGLE_TEST=a=b",
                                                  "PATH=/usr/bin:/bin", "/usr", "0077"}));
}

TEST_F(ProcessTest, hands_no_other_descriptor_and_no_ignored_signal_down) {
  const Descriptor leaked(::dup2(STDERR_FILENO, 77));  // without close-on-exec
  ::signal(SIGPIPE, SIG_IGN);
  const auto out =
      finish(shell("ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; "
                   "cat /proc/self/oom_score_adj; ps -o pgid= -p $$ | tr -d ' '; "
                   "echo $$"));
  ::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(out) << out.error().text();
  ASSERT_EQ(out->lines.size(), 5U);
  EXPECT_EQ(to_pid(out->lines[0].substr(out->lines[0].find_first_not_of(' '))), 4);  // 0-2, ls's
  EXPECT_EQ(out->lines[1], "SigIgn:\t0000000000000000");
  EXPECT_EQ(out->lines[2], "500");
  EXPECT_EQ(out->lines[3], out->lines[4]) << "the child leads its own process group";
}

TEST_F(ProcessTest, names_the_signal_that_ended_it) {
  const auto out = finish(shell("echo before; kill -SEGV $$"));
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->lines, std::vector<std::string>{"before"});
  EXPECT_EQ(out->status.signal, SIGSEGV);
  EXPECT_FALSE(out->status.core_dumped) << "a worker's core is as large as its model";
  EXPECT_EQ(out->status.text(), "was killed by SIGSEGV (invalid memory access)");
}

TEST_F(ProcessTest, says_which_executable_could_not_start_and_why) {
  const auto missing = finish({.executable = "/nonexistent/llama-server"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::spawn_failed);
  EXPECT_EQ(missing.error().message,
            "/nonexistent/llama-server could not be started: could not be executed: No such file "
            "or directory");

  auto nowhere = shell("true");
  nowhere.working_folder = "/nonexistent/folder";
  const auto no_folder = finish(std::move(nowhere));
  ASSERT_FALSE(no_folder);
  EXPECT_TRUE(no_folder.error().message.contains("/nonexistent/folder"))
      << no_folder.error().text();

  const testing::TempFolder folder;
  const auto no_program = finish({.executable = folder.write("text", "not a program")});
  ASSERT_FALSE(no_program);
  EXPECT_TRUE(no_program.error().message.contains("ermission denied")) << no_program.error().text();

  auto no_scratch = shell("true");
  no_scratch.sandbox.write = {"/nonexistent/scratch"};
  const auto out = finish(std::move(no_scratch));
  if (out) GTEST_SKIP() << "this kernel has no landlock";
  EXPECT_TRUE(out.error().message.contains("/nonexistent/scratch")) << out.error().text();
}

TEST_F(ProcessTest, signals_the_whole_group) {
  std::string line;
  base::Completion<ExitStatus> ended;
  const auto child =
      start(shell("sleep 1000 & echo $!; wait"), line, [&](ExitStatus s) { ended.complete(s); });
  child->signal(SIGTERM);
  const auto status =
      real_.run([](auto& done) -> Task<ExitStatus> { co_return co_await done; }(ended));
  EXPECT_EQ(status, ExitStatus{.signal = SIGTERM});
  EXPECT_TRUE(await_end(to_pid(line)));
  child->signal(SIGTERM);  // nothing happens
}

TEST_F(ProcessTest, an_end_takes_the_rest_of_the_group_along) {
  const auto out = finish(shell("sleep 1000 & echo $!; exit 0"));
  ASSERT_TRUE(out) << out.error().text();
  ASSERT_EQ(out->lines.size(), 1U);
  EXPECT_TRUE(await_end(to_pid(out->lines[0])));
}

TEST_F(ProcessTest, an_end_is_told_though_a_stranger_holds_the_pipe) {
  const auto out = finish(shell("setsid sleep 1000 & echo $!; exec sh -c 'exit 4'"));
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(out->status.code, 4);
  ASSERT_EQ(out->lines.size(), 1U);
  ::kill(to_pid(out->lines[0]), SIGKILL);
}

TEST_F(ProcessTest, destroying_it_kills_the_group_and_reaps) {
  std::string line;
  bool told = false;
  auto child = start(shell("sleep 1000 & echo $!; wait"), line, [&](ExitStatus) { told = true; });
  const auto identity = child->identity();
  child.reset();
  EXPECT_TRUE(await_end(to_pid(line)));
  // Reaped too: once the loop has run, the number is nobody's.
  real_.run([](base::Loop& loop, int pid) -> Task<void> {
    while (::kill(pid, 0) == 0) co_await base::yield(loop);
  }(real_.loop, identity.pid));
  EXPECT_FALSE(told);
}

TEST_F(ProcessTest, may_be_destroyed_inside_its_callbacks) {
  for (const bool in_line : {true, false}) {
    base::Completion<int> done;
    std::unique_ptr<Process> child;
    int lines = 0;
    const auto drop = [&] {
      child.reset();
      done.complete(1);
    };
    ProcessEvents events{.on_line =
                             [&, in_line](std::string_view) {
                               ++lines;
                               if (in_line) drop();
                             },
                         .on_exit =
                             [&, in_line](ExitStatus) {
                               if (!in_line) drop();
                             }};
    real_.run([](Processes& processes, ProcessEvents given, std::unique_ptr<Process>& out,
                 base::Completion<int>& end) -> Task<void> {
      auto spawned = co_await processes.spawn(shell("echo 1; echo 2; echo 3"), std::move(given));
      out = std::move(spawned.value());
      co_await end;
    }(*processes_, std::move(events), child, done));
    EXPECT_EQ(child, nullptr);
    EXPECT_EQ(lines, in_line ? 1 : 3);
  }
}

TEST_F(ProcessTest, measures_memory_while_it_lives) {
  std::string line;
  const auto child = start(shell("echo up; sleep 1000; true"), line);
  const auto memory = real_.run(child->memory());
  ASSERT_TRUE(memory) << memory.error().text();
  EXPECT_GT(memory->resident_bytes, 100'000U);
  EXPECT_LT(memory->resident_bytes, 100'000'000U);
  EXPECT_GT(memory->file_bytes, 0U);
  EXPECT_LT(memory->file_bytes, memory->resident_bytes);
}

TEST_F(ProcessTest, memory_of_an_ended_child_is_not_found) {
  base::Completion<ExitStatus> ended;
  std::string line;
  const auto child = start(shell("echo up"), line, [&](ExitStatus s) { ended.complete(s); });
  real_.run([](auto& done) -> Task<ExitStatus> { co_return co_await done; }(ended));
  const auto memory = real_.run(child->memory());
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::not_found);
}

TEST_F(ProcessTest, kills_exactly_the_process_that_a_lease_names) {
  std::string line;
  base::Completion<ExitStatus> ended;
  const auto child =
      start(shell("echo up; exec sleep 1000"), line, [&](ExitStatus s) { ended.complete(s); });
  const auto identity = child->identity();
  EXPECT_EQ(identity.boot_id, read_boot_id());
  auto other_start = identity;
  ++other_start.start_ticks;
  EXPECT_FALSE(processes_->kill_if_same(other_start));
  auto other_boot = identity;
  other_boot.boot_id = "another";
  EXPECT_FALSE(processes_->kill_if_same(other_boot));
  EXPECT_EQ(::kill(identity.pid, 0), 0) << "a process that is not ours was touched";

  EXPECT_TRUE(processes_->kill_if_same(identity));
  const auto status =
      real_.run([](auto& done) -> Task<ExitStatus> { co_return co_await done; }(ended));
  EXPECT_EQ(status, ExitStatus{.signal = SIGKILL});
  EXPECT_FALSE(processes_->kill_if_same(identity));
}

TEST_F(ProcessTest, a_full_lane_does_not_hide_a_death) {
  // The lanes refuse the reaping, so it is done on the loop.
  base::Completion<ExitStatus> ended;
  std::string line;
  const auto child =
      start(shell("echo up; exec sleep 1000"), line, [&](ExitStatus s) { ended.complete(s); });
  real_.lanes.stop();
  child->signal(SIGKILL);
  const auto status =
      real_.run([](auto& done) -> Task<ExitStatus> { co_return co_await done; }(ended));
  EXPECT_EQ(status, ExitStatus{.signal = SIGKILL});
}

// Run as a child by the test below: a daemon with one worker.
TEST_F(ProcessTest, DISABLED_daemon_with_a_worker) {
  std::string line;
  const auto child = start(shell("echo up; exec sleep 1000"), line);
  std::printf("worker %d\n", child->identity().pid);
  std::fflush(stdout);
  while (true) ::pause();
}

TEST_F(ProcessTest, no_worker_outlives_a_killed_daemon) {
  int daemon_pid = 0;
  const auto worker = real_.run([](Processes& processes, int& daemon) -> Task<int> {
    base::Completion<int> found;
    auto child = co_await processes.spawn(
        {.executable = own_executable(),
         .arguments = {"--gtest_also_run_disabled_tests",
                       "--gtest_filter=ProcessTest.DISABLED_daemon_with_a_worker"},
         .environment = {{"PATH", "/usr/bin:/bin"}},
         .sandbox = {.enabled = false}},
        {.on_line =
             [&](std::string_view line) {
               constexpr std::string_view kWord = "worker ";
               if (line.starts_with(kWord)) found.complete(to_pid(line.substr(kWord.size())));
             },
         .on_exit = {}});
    CHECK(child.has_value(), "the test's daemon starts");
    const int pid = co_await found;
    daemon = (*child)->identity().pid;
    ::kill(daemon, SIGKILL);  // the daemon alone: its worker is in another group
    co_return pid;
  }(*processes_, daemon_pid));
  ASSERT_GT(worker, 0);
  EXPECT_NE(::getpgid(worker), daemon_pid);
  EXPECT_TRUE(await_end(worker));
}

TEST(ExitStatusTest, is_told_in_words) {
  EXPECT_EQ((ExitStatus{.signal = SIGKILL}).text(),
            "was killed by SIGKILL (by the out-of-memory killer or by hand)");
  EXPECT_EQ((ExitStatus{.signal = SIGABRT, .core_dumped = true}).text(),
            "was killed by SIGABRT (it gave up on an error of its own), core dumped");
  EXPECT_EQ((ExitStatus{.signal = 63}).text(), "was killed by signal 63");
  EXPECT_EQ(ExitStatus{}.text(), "ended, and its exit status is unknown");
}

}  // namespace
}  // namespace ingle::platform
