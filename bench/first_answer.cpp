// first_answer COUNT COMMAND...: cold starts of a daemon, one after the other, each in a home of
// its own. Measures from the moment before exec (taken in the child) to the first 200 on /livez,
// and from SIGTERM to the end of the idle daemon. Prints medians as JSON. COMMAND gets "--port N"
// added; INGLE_HOME is set for it.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <format>
#include <print>

#include "raw_client.h"

namespace {

using namespace ingle::bench;

constexpr double kStartLimitMs = 20'000;

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  void* raw = &address;
  if (::bind(socket, static_cast<sockaddr*>(raw), size) != 0 ||
      ::getsockname(socket, static_cast<sockaddr*>(raw), &size) != 0)
    give_up("no free port");
  ::close(socket);
  return ntohs(address.sin_port);
}

struct Times {
  double first_answer_ms = 0;
  double stop_ms = 0;
};

// Waits for the child's first 200, looking every 20 us or so; the daemon has the other core.
double first_answer(const Target& target, int child) {
  const double limit = now_ms() + kStartLimitMs;
  while (now_ms() < limit) {
    if (const int socket = try_connect(target.address); socket >= 0) {
      ::close(socket);
      const std::string answer = fetch(target, "GET", "/livez");
      if (answer.starts_with("HTTP/1.1 200")) return now_ms();
    }
    if (::waitpid(child, nullptr, WNOHANG) == child) give_up("the daemon ended at its start");
    const timespec pause{.tv_nsec = 20'000};
    ::nanosleep(&pause, nullptr);
  }
  give_up("the daemon did not answer");
}

Times start_once(std::vector<std::string> command, double* exec_ms) {
  const int port = free_port();
  char home[] = "/tmp/ib-XXXXXX";
  if (!::mkdtemp(home)) give_up("no folder under /tmp");
  command.insert(command.end(), {"--port", std::to_string(port)});
  std::vector<char*> arguments;
  for (auto& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::setenv("INGLE_HOME", home, 1);
  const int child = ::fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    *exec_ms = now_ms();
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  const Target target{"ingle", std::format("tcp:{}", port), ""};
  Times out;
  out.first_answer_ms = first_answer(target, child) - *exec_ms;
  ::usleep(300'000);  // warm-up ends: what is measured next is an idle daemon
  const double stopping = now_ms();
  ::kill(child, SIGTERM);
  int status = 0;
  ::waitpid(child, &status, 0);
  out.stop_ms = now_ms() - stopping;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) give_up("the daemon did not end with 0");
  std::filesystem::remove_all(home);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) give_up("usage: first_answer COUNT COMMAND...");
  void* shared =
      ::mmap(nullptr, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* exec_ms = static_cast<double*>(shared);
  const std::vector<std::string> command(argv + 2, argv + argc);
  start_once(command, exec_ms);  // fills the page cache
  std::vector<double> firsts;
  std::vector<double> stops;
  for (int i = 0; i < std::atoi(argv[1]); ++i) {
    const Times times = start_once(command, exec_ms);
    firsts.push_back(times.first_answer_ms);
    stops.push_back(times.stop_ms);
  }
  std::println(R"({{"starts":{},"first_answer_ms_median":{:.3f},"first_answer_ms_p95":{:.3f},)"
               R"("first_answer_ms_min":{:.3f},"stop_ms_median":{:.3f},"stop_ms_max":{:.3f}}})",
               firsts.size(), median(firsts), percentile(firsts, 0.95), percentile(firsts, 0),
               median(stops), percentile(stops, 1));
}
