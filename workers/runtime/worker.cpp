#include "runtime/worker.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <format>

#include "platform/asio_loop.h"
#include "platform/signals.h"
#include "runtime/server.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using base::fail;

constexpr int kThreadsMax = 1024;

int give_up(const base::Error& error) {
  say("error", error.text());
  return 1;
}

base::Status take_option(WorkerArguments& out, std::string_view name, std::string_view value) {
  if (name == "--socket") {
    out.socket = value;
  } else if (name == "--model") {
    out.model = value;
  } else if (name == "--precision") {
    out.precision = value;
  } else if (name == "--executor") {
    out.executor = value;
  } else if (name == "--device") {
    out.device = value;
  } else if (name == "--text-device") {
    out.text_device = value;
  } else if (name == "--vae-device") {
    out.vae_device = value;
  } else if (name == "--weights") {
    out.weights = value;
  } else if (name == "--residency") {
    out.residency = value;
  } else if (name == "--part") {
    const auto at = value.find('=');
    if (at == 0 || at == std::string_view::npos)
      return fail(ErrorCode::invalid_argument, std::format("--part {}: write ROLE=PATH", value));
    out.parts[std::string(value.substr(0, at))] = value.substr(at + 1);
  } else if (name == "--threads") {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), out.threads);
    if (error != std::errc{} || end != value.data() + value.size() || out.threads < 0 ||
        out.threads > kThreadsMax)
      return fail(ErrorCode::invalid_argument,
                  std::format("--threads {}: it must be 0 to {}", value, kThreadsMax));
  } else {
    return fail(ErrorCode::invalid_argument, std::format("there is no option {}", name));
  }
  return {};
}

base::Task<void> load(Drawer& drawer) {
  const auto loaded = co_await drawer.load();
  if (!loaded) ::_exit(give_up(loaded.error()));
  const auto info = drawer.info();
  say("info", std::format("model loaded: {} on {}", info.family, info.executor));
}

}  // namespace

base::Result<WorkerArguments> parse_worker_arguments(int count, char** arguments) {
  WorkerArguments out;
  for (int i = 1; i < count; i += 2) {
    if (i + 1 == count)
      return fail(ErrorCode::invalid_argument, std::format("{} has no value", arguments[i]));
    TRY(take_option(out, arguments[i], arguments[i + 1]));
  }
  if (out.socket.empty() || out.model.empty())
    return fail(ErrorCode::invalid_argument, "--socket and --model are needed");
  return out;
}

int run_worker(int count, char** arguments,
               const std::function<Loader(const WorkerArguments&)>& make_loader) {
  const auto parsed = parse_worker_arguments(count, arguments);
  if (!parsed) return give_up(parsed.error());
  const char* key = std::getenv("INGLE_WORKER_KEY");
  platform::SystemClock clock;
  platform::AsioLoop loop(clock, {});
  // Never destroyed: the process ends while its threads may still work.
  auto& drawer = *new Drawer(loop, make_loader(*parsed));
  auto& handler = *new WorkerServer(loop, drawer, key != nullptr ? key : "");
  http::ServerLimits limits;
  limits.connections_max = 16;
  limits.body_bytes_max = 3ull * protocol::kFrameBytesMax;
  const auto server = http::Server::create(loop, handler, limits);
  if (const auto listening = server->listen_unix(parsed->socket); !listening)
    return give_up(listening.error());
  say("info", "listening on " + parsed->socket.native());
  base::TaskScope scope;
  loop.post([&] { scope.spawn(load(drawer)); });
  const auto signals = platform::watch_signals(loop, {SIGTERM, SIGINT}, [](int) { ::_exit(0); });
  loop.run();
  return 0;
}

}  // namespace ingle::runtime
