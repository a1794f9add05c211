// Memory: what devices there are, who holds what of them, and what a load would do:
// GET /api/v1/system, GET /api/v1/plan, POST /api/v1/can_run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"

namespace ingle::protocol {

enum class DOC("What a device is.") DeviceKind { host, gpu };

struct DeviceInfo {
  DOC("Name of the device in plans: \"host\", \"gpu0\", \"gpu1\".") std::string id{};
  DOC("What it is.") DeviceKind kind = DeviceKind::host;
  DOC("Name of the processor or card.") std::string name{};
  DOC("What the text engine calls it, such as \"CUDA0\"; empty: it does not use it.")
  std::string engine_name{};
  DOC("Memory in all, in bytes.") std::int64_t total_bytes = 0;
  DOC("Most that models may hold, in bytes.") std::int64_t budget_bytes = 0;
  DOC("Measured free, in bytes; on the host what can be had without swapping.")
  std::int64_t free_bytes = 0;
  DOC("Held by reservations of models, in bytes.") std::int64_t committed_bytes = 0;
  DOC("Measured in the workers, in bytes.") std::int64_t resident_bytes = 0;
  DOC("Used by everything else, in bytes.") std::int64_t others_bytes = 0;
  DOC("What a further model may take without moving another aside, in bytes.")
  std::int64_t available_bytes = 0;
};

enum class DOC("What a piece of memory is for.") MemoryKind {
  weights,
  kv,
  compute,
  encoder,
  decoder,
  other
};

struct MemoryPart {
  DOC("Device it lies on, such as \"host\".") std::string device{};
  DOC("What it is for.") MemoryKind kind = MemoryKind::weights;
  DOC("How much, in bytes.") std::int64_t bytes = 0;
};

struct MemoryEstimate {
  DOC("Predicted before the load, in bytes, over all devices.") std::int64_t predicted_bytes = 0;
  DOC("What the prediction comes from: \"file\", or \"measured\" (an earlier load).")
  std::string basis{};
  DOC("Measured, in bytes; absent before the first load.")
  std::optional<std::int64_t> measured_bytes{};
  DOC("(predicted - measured) / measured; absent before the first load.")
  std::optional<double> error{};
  DOC("The prediction, piece by piece.") std::vector<MemoryPart> parts{};
};

enum class DOC("How far a reservation has come.") ReservationState {
  predicted,
  committed,
  measured
};

struct ReservationInfo {
  DOC("Model that holds it.") std::string owner{};
  DOC("How far it has come.") ReservationState state = ReservationState::predicted;
  DOC("What it holds, in bytes, over all devices.") std::int64_t bytes = 0;
  DOC("The same, piece by piece.") std::vector<MemoryPart> parts{};
};

enum class DOC("How short the machine's memory is.") MemoryLevel {
  calm,
  tight,
  short_of,
  critical
};

struct PressureInfo {
  DOC("How short memory is: tight stops new loads, short_of unloads idle models, critical ends the "
      "largest worker.")
  MemoryLevel level = MemoryLevel::calm;
  DOC("Why, in words.") std::string reason{};
  DOC("Share of the last 10 s in which some task waited for memory, in percent.")
  double some_avg10 = 0;
  DOC("Share of the last 10 s in which every task waited for memory, in percent.")
  double full_avg10 = 0;
};

struct SystemInfo {
  DOC("Name of the processor.") std::string cpu_name{};
  DOC("Cores that the daemon may use.") std::int64_t cores_physical = 0;
  DOC("Hardware threads that the daemon may use.") std::int64_t cores_logical = 0;
  DOC("The devices, the host first.") std::vector<DeviceInfo> devices{};
  DOC("Swap in all, in bytes.") std::int64_t swap_total_bytes = 0;
  DOC("Swap that is free, in bytes.") std::int64_t swap_free_bytes = 0;
  DOC("Memory limit of the daemon's control group, in bytes; absent: none.")
  std::optional<std::int64_t> cgroup_limit_bytes{};
  DOC("Whether each worker gets a control group with a limit of its own, and if not, why.")
  std::string worker_cgroups{};
  DOC("How short memory is.") PressureInfo pressure{};
  DOC("Who holds what.") std::vector<ReservationInfo> reservations{};
  DOC("Saved conversations of models that were moved aside, in bytes on disk.")
  std::int64_t kv_disk_bytes = 0;
  DOC("Why there is no GPU, or what could not be read; empty when all is well.")
  std::vector<std::string> notes{};
};

struct Setting {
  DOC("Name of the setting, such as \"context_tokens\".") std::string name{};
  DOC("Its value as used, in text.") std::string value{};
  DOC("Why it has this value.") std::string reason{};
  DOC("Where it comes from: \"derived\", \"config\", \"calibrated\", \"request\" or \"measured\".")
  std::string origin{};
};

struct Eviction {
  DOC("Model to be moved aside.") std::string model{};
  DOC("What that frees, in bytes.") std::int64_t bytes = 0;
  DOC("Why this one.") std::string reason{};
};

struct LoadPlan {
  DOC("Name of the model.") std::string model{};
  DOC("Whether it can be run here.") bool fits = false;
  DOC("Whether it is loaded now.") bool already_loaded = false;
  DOC("Where its weights go, in words, such as \"processor\" or \"12 of 32 layers on gpu0\".")
  std::string placement{};
  DOC("The settings, each with its reason.") std::vector<Setting> settings{};
  DOC("The memory it needs.") MemoryEstimate memory{};
  DOC("Models that are moved aside first, in order.") std::vector<Eviction> evictions{};
  DOC("Why the plan is as it is, one sentence each.") std::vector<std::string> reasons{};
  DOC("Why it cannot be run; empty when it can.") std::string problem{};
  DOC("What would fit, when this does not; empty otherwise.") std::string would_fit{};
  DOC("The worker's command line, as it would be typed; empty when it cannot be run.")
  std::string command{};
};

}  // namespace ingle::protocol
