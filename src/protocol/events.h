// WS /api/v1/events: the client says Hello, the daemon answers HelloReply or EventError and closes;
// then the client may send Subscribe any time, and the daemon sends Events with rising numbers.
// Every message is one JSON object with a "type".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/errors.h"
#include "protocol/jobs.h"
#include "protocol/models.h"

namespace ingle::protocol {

enum class DOC("What an event is about; also the topics of a subscription.") Topic {
  log,
  model,
  warmup,
  job,
  decision,
  queue
};

struct Hello {
  DOC("Always \"hello\".") std::string type{"hello"};
  DOC("Wire version of the client.") int protocol_version = 0;
  DOC("Name and version of the client, for the log.") std::string client{};
  DOC("Topics to receive; empty: none until a subscribe.") std::vector<Topic> topics{};
  DOC("Last number seen, to go on from there; absent: only what is new.")
  std::optional<std::int64_t> resume_after{};
};

struct HelloReply {
  DOC("Always \"hello_reply\".") std::string type{"hello_reply"};
  DOC("Wire version of the daemon.") int protocol_version = 0;
  DOC("Version of the daemon.") std::string version{};
  DOC("Number of the newest event.") std::int64_t sequence = 0;
  DOC("Whether events between resume_after and the oldest one kept are lost.") bool gap =
      false;
};

struct Subscribe {
  DOC("Always \"subscribe\".") std::string type{"subscribe"};
  DOC("Topics to receive from now on.") std::vector<Topic> topics{};
};

enum class DOC("Level of a log record.") LogSeverity { trace, debug, info, warning, error };

struct LogEvent {
  DOC("When: RFC 3339 with microseconds and zone.") std::string time{};
  DOC("How bad.") LogSeverity level = LogSeverity::info;
  DOC("Which part of the daemon or which worker, such as \"worker.tiny\".") std::string logger{};
  DOC("What happened, in snake_case, such as \"worker_crashed\".") std::string event{};
  DOC("One sentence for people.") std::string message{};
  DOC("Request it is about; absent: none.") std::optional<std::string> request_id{};
  DOC("Connection it is about; absent: none.") std::optional<std::string> connection_id{};
  DOC("Typed facts by name; text, number or truth value.")
  std::map<std::string, std::string> fields{};
  DOC("Error code and text; absent: none.") std::optional<std::string> exception{};
};

struct ModelEvent {
  DOC("Name of the model.") std::string model{};
  DOC("Where its worker stands now.") WorkerState state = WorkerState::spawned;
  DOC("Share of the load that is done, 0 to 1.") double load_progress = 0;
  DOC("Why, when it crashed or failed to load.") std::optional<ErrorInfo> error{};
};

struct WarmupEvent {
  DOC("Jobs ended.") std::int64_t done = 0;
  DOC("Jobs in all.") std::int64_t total = 0;
  DOC("Jobs failed.") std::int64_t failed = 0;
};

enum class DOC("What was decided about a model.") DecisionKind {
  load,
  evict,
  unload,
  put_back,
  fall,
  refuse,
  guard
};

struct DecisionEvent {
  DOC("What was decided.") DecisionKind kind = DecisionKind::load;
  DOC("Model it is about.") std::string model{};
  DOC("Why, in one sentence.") std::string reason{};
  DOC("Memory it takes or frees, in bytes; 0 when unknown.") std::int64_t bytes = 0;
};

struct QueueEvent {
  DOC("Models that requests wait for, the next to be loaded first.")
  std::vector<WaitingModel> waiting{};
};

struct Event {
  DOC("Always \"event\".") std::string type{"event"};
  DOC("Rises by one with every event of the daemon's life.") std::int64_t sequence = 0;
  DOC("When: Unix time in milliseconds.") std::int64_t unix_ms = 0;
  DOC("What it is about; the field of the same name is set.") Topic topic = Topic::log;
  DOC("With topic \"log\".") std::optional<LogEvent> log{};
  DOC("With topic \"model\".") std::optional<ModelEvent> model{};
  DOC("With topic \"warmup\".") std::optional<WarmupEvent> warmup{};
  DOC("With topic \"job\": the job as it stands.") std::optional<JobInfo> job{};
  DOC("With topic \"decision\".") std::optional<DecisionEvent> decision{};
  DOC("With topic \"queue\".") std::optional<QueueEvent> queue{};
};

struct EventError {
  DOC("Always \"error\"; the daemon closes the socket after it.") std::string type{
      "error"};
  DOC("The failure, such as \"version_mismatch\".") ErrorInfo error{};
  DOC("Oldest and newest wire version the daemon speaks.") std::vector<int> protocol_versions{};
};

struct LogPage {
  DOC("The newest records that were asked for, oldest first.") std::vector<LogEvent> records{};
  DOC("Records that were dropped because the log could not keep up.") std::int64_t dropped = 0;
};

}  // namespace ingle::protocol
