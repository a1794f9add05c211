// The start-up surface: what GET /livez, /readyz and the six /api/ start-up endpoints answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"

namespace ingle::protocol {

struct Liveness {
  DOC("Always \"live\": the daemon is listening.") std::string status{"live"};
  DOC("Version of the daemon.") std::string version{};
  DOC("Process id of the daemon.") int pid = 0;
  DOC("Time since exec, in milliseconds.") double uptime_ms = 0;
};

struct Readiness {
  DOC("Whether the core is usable: every core warm-up job has completed.") bool ready =
      false;
  DOC("Names of core warm-up jobs that have not ended yet.") std::vector<std::string> pending{};
  DOC("Names of warm-up jobs that failed; the daemon works without them, degraded.")
  std::vector<std::string> failed{};
};

struct WarmupStatus {
  DOC("Jobs submitted and not ended, by name.") std::vector<std::string> pending{};
  DOC("Jobs that completed, by name.") std::vector<std::string> completed{};
  DOC("Jobs that failed, by name.") std::vector<std::string> failed{};
  DOC("Whether nothing is pending.") bool done = false;
};

enum class DOC("State of a warm-up job.") WarmupState {
  submitted,
  running,
  completed,
  failed
};

struct WarmupCanary {
  DOC("Name of the job.") std::string name{};
  DOC("Whether /readyz waits for it.") bool core = false;
  DOC("Name of the thread that ran it; empty until it ran.") std::string thread{};
  DOC("When it was submitted, in milliseconds since exec.") double submitted_ms = 0;
  DOC("When it started, in milliseconds since exec.") std::optional<double> started_ms{};
  DOC("When it ended, in milliseconds since exec.") std::optional<double> ended_ms{};
  DOC("Where it stands.") WarmupState state = WarmupState::submitted;
  DOC("What failed, in words; absent when nothing did.") std::optional<std::string> error{};
};

struct WarmupCanaries {
  DOC("One record a job, in the order of submission.") std::vector<WarmupCanary> canaries{};
};

struct StartupPhase {
  DOC("Name of the phase.") std::string name{};
  DOC("When it began, in milliseconds since exec.") double start_ms = 0;
  DOC("How long it took, in milliseconds.") double duration_ms = 0;
};

struct StartupProfile {
  DOC("The phases on the main thread before the first answer, in order.")
  std::vector<StartupPhase> phases{};
  DOC("Sum of the phases, in milliseconds.") double total_ms = 0;
  DOC("Number of phases.") int count = 0;
};

struct StartupTimeline {
  DOC("When the process was exec'd: Unix time in milliseconds.") double exec_unix_ms = 0;
  DOC("When main() began, in milliseconds since exec.") double main_ms = 0;
  DOC("When the port began to listen, in milliseconds since exec.") std::optional<double>
      listen_ms{};
  DOC("When the first request was answered, in milliseconds since exec.")
  std::optional<double> first_answer_ms{};
  DOC("When every core warm-up job had ended, in milliseconds since exec.")
  std::optional<double> ready_ms{};
  DOC("When every warm-up job had ended, in milliseconds since exec.")
  std::optional<double> warm_ms{};
};

struct LaneInfo {
  DOC("Name of the lane: interactive, normal or bulk.") std::string name{};
  DOC("Tasks waiting.") std::int64_t queued = 0;
  DOC("Tasks running.") std::int64_t running = 0;
  DOC("Tasks ended since the start.") std::int64_t completed = 0;
  DOC("Tasks refused because the lane was full.") std::int64_t rejected = 0;
};

struct IoPoolStatus {
  DOC("Threads of the pool.") std::int64_t threads = 0;
  DOC("Most tasks that may wait in a lane.") std::int64_t queue_limit = 0;
  DOC("The three lanes.") std::vector<LaneInfo> lanes{};
  DOC("Names of the tasks under way.") std::vector<std::string> running{};
  DOC("Turns of the loop since the start.") std::int64_t loop_turns = 0;
  DOC("Turns that stalled the loop for over 10 ms.") std::int64_t loop_stalls = 0;
  DOC("The longest turn, in milliseconds.") double loop_turn_ms_max = 0;
};

}  // namespace ingle::protocol
