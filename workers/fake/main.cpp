// ingle-fake-engine: a worker for tests that obeys, lies, hangs, bloats and crashes on command. It
// takes llama-server's command line, of which it uses --host (a unix socket) and --alias, and a
// script (script.h): JSON in INGLE_FAKE_SCRIPT, or the path of a file with it.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "engine.h"
#include "platform/asio_loop.h"
#include "platform/files.h"
#include "platform/signals.h"

namespace ingle::fake {
namespace {

constexpr std::uint64_t kScriptBytesMax = 1 << 20;

int give_up(const base::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return 1;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

base::Result<Script> read_script() {
  const std::string text = environment("INGLE_FAKE_SCRIPT");
  if (text.empty()) return Script{};
  if (text.starts_with('{')) return parse_script(text);
  TRY_ASSIGN(const std::string file, platform::create_files()->read(text, kScriptBytesMax));
  return parse_script(file);
}

std::string argument(int count, char** arguments, std::string_view name) {
  for (int i = 1; i + 1 < count; ++i)
    if (arguments[i] == name) return arguments[i + 1];
  return {};
}

// Answers every connection with what is no HTTP, for ever.
base::Status serve_garbage(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path)
    return base::fail(base::ErrorCode::invalid_argument, "the socket's path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 ||
      bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 16) != 0)
    return base::fail(base::errno_error(errno, "listening on " + path));
  while (true) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) continue;
    constexpr std::string_view kGarbage =
        "\x7f"
        "ELF\r\n\x01\x02 this is no HTTP\r\n\r\n";
    std::ignore = send(connection, kGarbage.data(), kGarbage.size(), MSG_NOSIGNAL);
    close(connection);
  }
}

int run(int count, char** arguments) {
  const auto script = read_script();
  if (!script) return give_up(script.error());
  const std::string socket_path = argument(count, arguments, "--host");
  for (const auto& line : script->output) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  if (script->ignore_sigterm) signal(SIGTERM, SIG_IGN);
  crash_if(*script, CrashAt::start);
  if (script->garbage) return give_up(serve_garbage(socket_path).error());

  platform::SystemClock clock;
  platform::AsioLoop loop(clock, {});
  FakeEngine engine(loop, *script, argument(count, arguments, "--alias"),
                    environment("LLAMA_API_KEY"));
  auto server = http::Server::create(loop, engine, {});
  base::TaskScope scope;
  const auto begin = [&] {
    if (auto listening = server->listen_unix(socket_path); !listening)
      _exit(give_up(listening.error()));
    scope.spawn(engine.load());
  };
  // A load of no time must not answer before somebody could ask.
  loop.post([&] { loop.after(base::Millis(script->listen_after_ms), begin); });
  std::unique_ptr<platform::SignalWatch> signals;
  if (!script->ignore_sigterm)
    signals = platform::watch_signals(loop, {SIGTERM, SIGINT}, [&](int) {
      loop.after(base::Millis(script->exit_after_ms), [] { _exit(0); });
    });
  loop.run();
  return 0;
}

}  // namespace
}  // namespace ingle::fake

int main(int count, char** arguments) { return ingle::fake::run(count, arguments); }
