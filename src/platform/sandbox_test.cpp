// Goal: a worker in its sandbox reaches its own files and sockets, and nothing else.
// Method: this very executable is the worker (the DISABLED_ test below): it tries each thing and
// tells what the kernel answered. Where the kernel has no Landlock or seccomp, the test skips.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "platform/descriptor.h"
#include "platform/process.h"
#include "platform/system.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

using base::Task;

void tell(const char* what, long result) {
  std::printf("did %s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

int open_socket(int family) { return ::socket(family, SOCK_STREAM, 0); }

// Run as a child by the tests below.
TEST(SandboxWorker, DISABLED_tries_everything) {
  const std::filesystem::path allowed = std::getenv("ALLOWED");
  const std::filesystem::path scratch = std::getenv("SCRATCH");
  const std::filesystem::path secret = std::getenv("SECRET");
  tell("read_allowed", ::open((allowed / "model").c_str(), O_RDONLY));
  tell("write_allowed", ::open((allowed / "model").c_str(), O_RDWR));
  tell("read_secret", ::open(secret.c_str(), O_RDONLY));
  tell("list_secret", ::open(secret.parent_path().c_str(), O_RDONLY | O_DIRECTORY));
  tell("make_beside_secret",
       ::open((secret.parent_path() / "new").c_str(), O_CREAT | O_RDWR, 0600));
  tell("remove_secret", ::unlink(secret.c_str()));
  tell("make_scratch", ::open((scratch / "new").c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600));
  tell("folder_scratch", ::mkdir((scratch / "folder").c_str(), 0700));
  tell("rename_scratch", ::rename((scratch / "new").c_str(), (scratch / "folder/old").c_str()));
  tell("read_usr", ::open("/usr/bin/env", O_RDONLY));
  tell("read_proc", ::open("/proc/cpuinfo", O_RDONLY));
  tell("write_null", ::open("/dev/null", O_RDWR));
  tell("read_urandom", ::open("/dev/urandom", O_RDONLY));
  tell("inet", open_socket(AF_INET));
  tell("inet6", open_socket(AF_INET6));
  tell("vsock", open_socket(AF_VSOCK));
  tell("io_uring", ::syscall(SYS_io_uring_setup, 1, nullptr));
  const int server = open_socket(AF_UNIX);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  (scratch / "s.sock").native().copy(address.sun_path, sizeof address.sun_path - 1);
  tell("unix_bind", ::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  tell("signal_daemon", ::kill(::getppid(), 0));
}

class SandboxTest : public ::testing::Test {
 protected:
  using Told = std::map<std::string, std::string>;

  Told run_worker(Sandbox sandbox) {
    allowed_.write("model", "weights");
    const auto secret = secrets_.write("secret", "key");
    SpawnOptions options{.executable = own_executable(),
                         .arguments = {"--gtest_also_run_disabled_tests",
                                       "--gtest_filter=SandboxWorker.DISABLED_tries_everything"},
                         .environment = {{"ALLOWED", allowed_.path()},
                                         {"SCRATCH", scratch_.path()},
                                         {"SECRET", secret}},
                         .sandbox = std::move(sandbox)};
    Told told;
    const auto status = real_.run([](Processes& processes, SpawnOptions spawn, Told& out,
                                     std::string& text) -> Task<std::optional<ExitStatus>> {
      base::Completion<ExitStatus> ended;
      auto child = co_await processes.spawn(
          std::move(spawn), {.on_line =
                                 [&](std::string_view line) {
                                   if (!line.starts_with("did ")) return;
                                   line.remove_prefix(4);
                                   const auto space = line.find(' ');
                                   out.emplace(line.substr(0, space), line.substr(space + 1));
                                 },
                             .on_exit = [&](ExitStatus end) { ended.complete(end); }});
      EXPECT_TRUE(child) << child.error().text();
      if (!child) co_return std::nullopt;
      text = (*child)->sandbox_text();
      co_return co_await ended;
    }(*processes_, std::move(options), told, text_));
    EXPECT_EQ(status, ExitStatus{.code = 0});
    return told;
  }

  Sandbox usual() const {
    return {.read = {allowed_.path(), "/nonexistent/model"}, .write = {scratch_.path()}};
  }

  testing::RealLoop real_;
  std::unique_ptr<Processes> processes_ = create_processes(real_.loop, real_.lanes);
  testing::TempFolder allowed_, scratch_, secrets_;
  std::string text_;
};

TEST_F(SandboxTest, files_outside_are_out_of_reach) {
  auto told = run_worker(usual());
  if (!text_.starts_with("landlock")) GTEST_SKIP() << "the sandbox is: " << text_;
  for (const char* what :
       {"write_allowed", "read_secret", "list_secret", "make_beside_secret", "remove_secret"})
    EXPECT_EQ(told[what], "EACCES") << what;
  EXPECT_TRUE(std::filesystem::exists(secrets_ / "secret"));
}

TEST_F(SandboxTest, its_own_files_are_within_reach) {
  auto told = run_worker(usual());
  for (const char* what : {"read_allowed", "make_scratch", "folder_scratch", "rename_scratch",
                           "read_usr", "read_proc", "write_null", "read_urandom", "unix_bind"})
    EXPECT_EQ(told[what], "ok") << what;
}

TEST_F(SandboxTest, no_socket_but_unix_ones) {
  auto told = run_worker(usual());
  if (!text_.ends_with(", seccomp")) GTEST_SKIP() << "the sandbox is: " << text_;
  for (const char* what : {"inet", "inet6", "vsock"}) EXPECT_EQ(told[what], "EACCES") << what;
  EXPECT_EQ(told["io_uring"], "ENOSYS");
}

TEST_F(SandboxTest, inet_can_be_allowed) {
  auto sandbox = usual();
  sandbox.inet = true;
  auto told = run_worker(std::move(sandbox));
  EXPECT_EQ(told["inet"], "ok");
  if (text_.contains(", seccomp")) {
    EXPECT_EQ(told["vsock"], "EACCES");
  }
}

TEST_F(SandboxTest, cannot_signal_the_daemon) {
  auto told = run_worker(usual());
  int abi = 0;
  if (std::sscanf(text_.c_str(), "landlock %d", &abi) != 1 || abi < 6)
    GTEST_SKIP() << "needs landlock 6; the sandbox is: " << text_;
  EXPECT_EQ(told["signal_daemon"], "EPERM");
}

// The canary: without the sandbox the same worker reaches all of it.
TEST_F(SandboxTest, turned_off_it_says_so_and_holds_nothing) {
  auto told = run_worker({.enabled = false});
  EXPECT_EQ(text_, "none (turned off)");
  for (const char* what : {"read_secret", "write_allowed", "remove_secret", "inet"})
    EXPECT_EQ(told[what], "ok") << what;
}

}  // namespace
}  // namespace ingle::platform
