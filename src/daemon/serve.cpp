#include "daemon/serve.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/terminal.h"
#include "daemon/daemon.h"
#include "platform/system.h"

namespace ingle::daemon {
namespace {

void print_profile(const insight::Startup& startup) {
  const auto profile = startup.profile();
  const auto& timeline = startup.timeline();
  std::fprintf(stderr, "start-up: main() %.1f ms after exec\n", timeline.main_ms);
  for (const auto& phase : profile.phases)
    std::fprintf(stderr, "  %-10s %6.2f ms, from %.2f ms\n", phase.name.c_str(), phase.duration_ms,
                 phase.start_ms);
  std::fprintf(stderr, "listening %.1f ms after exec\n", timeline.listen_ms.value_or(0));
}

}  // namespace

int serve(cli::ServeOptions options) {
  const platform::SystemClock clock;
  insight::Startup startup(platform::read_exec_time(), clock.mono_now(), clock);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of one write, not the end
  const auto files = platform::create_files();

  startup.phase_begin("config");
  auto setup = prepare(options, *files);
  if (!setup) return cli::print_error(setup.error());
  startup.phase_end();

  startup.phase_begin("parts");
  const auto logs = insight::LogHub::create(log_options(*setup));
  // Never destroyed: coroutines may still wait in it when the process ends.
  auto* daemon = new Daemon(*setup, *files, clock, *logs, startup);
  startup.phase_end();

  startup.phase_begin("listen");
  if (auto listening = daemon->listen(); !listening) {
    const int code = cli::print_error(listening.error());
    std::fflush(stderr);
    std::_Exit(code);
  }
  startup.phase_end();
  if (options.profile_startup) print_profile(startup);

  daemon->run();
  (void)files->remove(setup->home.lease_file());
  if (const auto& path = setup->config.values.server.unix_path; !path.empty())
    (void)files->remove(path);
  logs->flush();
  // Not exit(): what still waits on other threads must not run into destructors. The database is
  // in WAL mode and needs no goodbye.
  std::_Exit(0);
}

}  // namespace ingle::daemon
