#include "resources/machine.h"

#include <format>
#include <optional>

#include "platform/memory.h"
#include "resources/gpus.h"
#include "resources/tool.h"

namespace ingle::resources {
namespace {

using base::Lane;

// More than this (PSI "some"), and a process more would make it worse, and come late.
constexpr double kThrashingPercent = 20;

// Somebody who is asked about GPUs: when next, and what went wrong the last time.
struct Source {
  std::optional<base::MonoTime> answered_at{};
  std::optional<base::MonoTime> failed_at{};
  std::string problem{};  // in words; empty: none

  bool rests(base::MonoTime now) const { return failed_at && now - *failed_at < kAskAgainAfter; }
};

class RealMachine final : public Machine {
 public:
  RealMachine(MachineOptions options, platform::Processes& processes, base::Lanes& lanes,
              base::Loop& loop, base::Logger log)
      : options_(std::move(options)),
        processes_(processes),
        lanes_(lanes),
        loop_(loop),
        log_(std::move(log)) {}

  base::Task<base::Result<Readings>> read() override;
  base::Task<base::Result<platform::MachineFacts>> facts() override;

 private:
  base::Task<base::Result<platform::HostMemory>> host_memory();
  bool gpus_are_due(const platform::HostMemory& memory) const;
  base::Task<void> refresh_gpus();
  base::Task<void> ask_probe();
  base::Task<void> ask_engine();
  // What every tool is run with. They are as trusted as the daemon, and need the drivers' files.
  platform::SpawnOptions tool(std::string executable, std::vector<std::string> arguments) const;
  void answered(Source& source);
  void failed(Source& source, const base::Error& error);
  base::MonoTime now() const { return loop_.clock().mono_now(); }

  const MachineOptions options_;
  platform::Processes& processes_;
  base::Lanes& lanes_;
  base::Loop& loop_;
  const base::Logger log_;

  std::optional<platform::MachineFacts> facts_;
  Gpus gpus_;
  Source probe_;
  Source engine_;
  std::string engine_path_;  // that answered, or failed, last
  std::optional<base::MonoTime> refreshed_at_;
  bool refreshing_ = false;
  base::Gate refreshed_{loop_};
};

base::Task<base::Result<Readings>> RealMachine::read() {
  CO_TRY_ASSIGN(const auto machine, co_await facts());
  CO_TRY_ASSIGN(auto memory, co_await host_memory());
  if (machine.has_gpu && gpus_are_due(memory)) {
    co_await refresh_gpus();
    CO_TRY_ASSIGN(memory, co_await host_memory());  // time has passed
  }
  Readings out{.devices = {{.id = "host",
                            .name = machine.cpu_name,
                            .kind = protocol::DeviceKind::host,
                            .total_bytes = memory.total_bytes,
                            .free_bytes = memory.available_bytes}},
               .gpu_processes = gpus_.processes(),
               .swap_total_bytes = memory.swap_total_bytes,
               .swap_free_bytes = memory.swap_free_bytes,
               .cgroup_limit_bytes = memory.cgroup_limit_bytes,
               .pressure_some_avg10 = memory.pressure_some_avg10,
               .pressure_full_avg10 = memory.pressure_full_avg10,
               .notes = gpus_.notes()};
  for (auto& device : gpus_.devices()) out.devices.push_back(std::move(device));
  if (!machine.has_gpu)
    out.notes.emplace_back("there is no GPU, or no GPU driver: models run on the processor");
  for (const auto* source : {&probe_, &engine_})
    if (!source->problem.empty()) out.notes.push_back(source->problem);
  co_return out;
}

base::Task<base::Result<platform::MachineFacts>> RealMachine::facts() {
  if (!facts_) {
    CO_TRY_ASSIGN(auto read,
                  co_await base::run_on(lanes_, loop_, Lane::interactive, "machine",
                                        [this] { return platform::read_machine(options_.root); }));
    facts_ = std::move(read);
  }
  co_return *facts_;
}

base::Task<base::Result<platform::HostMemory>> RealMachine::host_memory() {
  co_return co_await base::run_on(lanes_, loop_, Lane::interactive, "host memory",
                                  [this] { return platform::read_host_memory(options_.root); });
}

bool RealMachine::gpus_are_due(const platform::HostMemory& memory) const {
  if (!refreshed_at_ || refreshing_) return true;
  base::Micros age = kGpuReadingAge;
  if (memory.pressure_some_avg10 > kThrashingPercent) age = kThrashingReadingAge;
  // A driver without a card of its own (integrated graphics) is not worth a process twice a second.
  if (gpus_.devices().empty() && probe_.problem.empty()) age = kAskAgainAfter;
  return now() - *refreshed_at_ >= age;
}

base::Task<void> RealMachine::refresh_gpus() {
  if (refreshing_) {
    // Bounded by the limits of what is being asked.
    std::ignore = co_await refreshed_.wait();
    co_return;
  }
  refreshing_ = true;
  refreshed_.clear();
  co_await ask_probe();
  co_await ask_engine();
  refreshing_ = false;
  refreshed_at_ = now();
  refreshed_.set();
}

base::Task<void> RealMachine::ask_probe() {
  if (options_.probe.empty()) {
    probe_.problem = "ingle-probe is not installed beside ingle: only the engine tells of GPUs";
    co_return;
  }
  if (probe_.rests(now())) co_return;
  const auto limit = probe_.answered_at ? kProbeTimeMax : kFirstProbeTimeMax;
  const auto lines = co_await run_tool(processes_, loop_, tool(options_.probe.native(), {}), limit,
                                       options_.stopping);
  if (!lines) co_return failed(probe_, lines.error());
  std::string text;
  for (const auto& line : *lines) text += line + "\n";
  const auto report = parse_probe_report(text);
  if (!report) co_return failed(probe_, report.error());
  gpus_.take(*report);
  answered(probe_);
}

base::Task<void> RealMachine::ask_engine() {
  const auto path = co_await base::run_on(
      lanes_, loop_, Lane::interactive, "find the engine",
      [this] { return platform::find_executable(options_.llama_server, options_.path); });
  if (!path) co_return;  // who loads a model is told; cards are still known by the probe
  if (*path == engine_path_) {
    const bool due = engine_.answered_at
                         ? gpus_.needs_engine() && now() - *engine_.answered_at >= kEngineReadingAge
                         : true;
    if (!due || engine_.rests(now())) co_return;
  }
  engine_path_ = *path;
  const auto lines = co_await run_tool(processes_, loop_, tool(*path, {"--list-devices"}),
                                       kEngineTimeMax, options_.stopping);
  if (!lines) co_return failed(engine_, lines.error());
  gpus_.take(parse_engine_devices(*lines));
  answered(engine_);
}

platform::SpawnOptions RealMachine::tool(std::string executable,
                                         std::vector<std::string> arguments) const {
  platform::SpawnOptions out{.executable = std::move(executable),
                             .arguments = std::move(arguments),
                             .environment = options_.environment};
  out.sandbox.enabled = false;
  return out;
}

void RealMachine::answered(Source& source) {
  source.answered_at = now();
  source.failed_at.reset();
  source.problem.clear();
}

void RealMachine::failed(Source& source, const base::Error& error) {
  if (error.code == base::ErrorCode::cancelled) return;
  source.failed_at = now();
  auto problem = "the GPUs could not be asked, and their figures may be old: " + error.message;
  if (problem != source.problem) log_.warning("gpu_unreadable", error);
  source.problem = std::move(problem);
}

}  // namespace

std::unique_ptr<Machine> create_machine(MachineOptions options, platform::Processes& processes,
                                        base::Lanes& lanes, base::Loop& loop, base::Logger log) {
  return std::make_unique<RealMachine>(std::move(options), processes, lanes, loop, std::move(log));
}

std::filesystem::path find_probe() {
  const auto beside = std::filesystem::path(platform::own_executable()).parent_path();
  const auto found = platform::find_executable((beside / "ingle-probe").native(), "");
  return found ? std::filesystem::path(*found) : std::filesystem::path();
}

protocol::SystemInfo describe_machine(const platform::MachineFacts& facts,
                                      const Readings& readings) {
  protocol::SystemInfo out{.cpu_name = facts.cpu_name,
                           .cores_physical = facts.cores_physical,
                           .cores_logical = facts.cores_logical,
                           .swap_total_bytes = static_cast<std::int64_t>(readings.swap_total_bytes),
                           .swap_free_bytes = static_cast<std::int64_t>(readings.swap_free_bytes),
                           .notes = readings.notes};
  if (readings.cgroup_limit_bytes)
    out.cgroup_limit_bytes = static_cast<std::int64_t>(*readings.cgroup_limit_bytes);
  return out;
}

}  // namespace ingle::resources
