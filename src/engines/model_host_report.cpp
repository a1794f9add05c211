// Plans, and lists for people.
#include <algorithm>
#include <format>

#include "base/bytes.h"
#include "engines/model_host_impl.h"
#include "protocol/codec.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using resources::RoomAnswer;

// What reading weights from a disk and setting up takes, before anything was measured.
base::Micros guessed_load_time(std::uint64_t bytes) {
  constexpr double kBytesPerSecond = 1.5e9;
  return base::Millis(100) + base::Micros(static_cast<std::int64_t>(static_cast<double>(bytes) /
                                                                    kBytesPerSecond * 1e6));
}

std::vector<protocol::MemoryPart> parts_of(const resources::Footprint& footprint,
                                           const resources::Readings& readings) {
  std::vector<protocol::MemoryPart> out;
  for (const auto& piece : footprint.pieces)
    if (piece.bytes > 0)
      out.push_back({.device = piece.device < readings.devices.size()
                                   ? readings.devices[piece.device].id
                                   : std::string("host"),
                     .kind = piece.kind,
                     .bytes = static_cast<std::int64_t>(piece.bytes)});
  return out;
}

}  // namespace

// What there is for a model: now, or if all went that may go.
LaunchRoom ModelHostImpl::room_for(const std::string& model, bool all_that_may_go) const {
  std::vector<resources::Ledger::Id> leaving;
  for (const auto& resident : residents_)
    if (resident->id() == model || (all_that_may_go && !resident->pinned) || resident->ending())
      leaving.push_back(resident->reservation);
  LaunchRoom out{.machine = facts_};
  if (seams_.kept_settings) out.kept = seams_.kept_settings(model);
  const auto& devices = ledger_.readings().devices;
  for (std::size_t device = 0; device < devices.size(); ++device)
    out.devices.push_back({.id = devices[device].id,
                           .engine_name = devices[device].engine_name,
                           .bytes = ledger_.available_without(device, leaving)});
  if (!devices.empty()) out.machine.ram_bytes_available = out.devices.front().bytes;
  return out;
}

base::Task<base::Result<LaunchPlan>> ModelHostImpl::plan_for(catalog::ModelRecord model,
                                                             std::vector<std::string> set,
                                                             bool with_files) {
  CO_TRY_ASSIGN(facts_, co_await seams_.machine.facts());
  auto room = room_for(model.info.id, true);
  room.falls = falls_of(model.info.id, set);
  auto preferred = co_await planner_.plan(model, set, room, with_files);
  if (!preferred) co_return base::fail(with_pins(std::move(preferred).error()));
  LaunchPlan plan = *std::move(preferred);
  plan.falls = room.falls;
  use_measurement(plan);
  const std::vector<resources::Ledger::Id> nobody;
  if (ledger_.fits(plan.reserved, nobody)) co_return plan;
  // Fewer requests at once are better than moving another model aside; smaller contexts are not.
  auto beside = room_for(model.info.id, false);
  beside.falls = room.falls;
  auto smaller = co_await planner_.plan(std::move(model), std::move(set), beside, with_files);
  if (!smaller || smaller->settings.context_tokens < plan.settings.context_tokens ||
      smaller->settings.kv_type_k != plan.settings.kv_type_k ||
      smaller->settings.gpu_layers != plan.settings.gpu_layers)
    co_return plan;
  smaller->falls = room.falls;
  use_measurement(*smaller);
  if (!ledger_.fits(smaller->reserved, nobody)) co_return plan;
  smaller->settings.reasons.push_back("fewer requests at once, so that no other model has to go");
  co_return *std::move(smaller);
}

// Who may not go, when that is why there is no room.
base::Error ModelHostImpl::with_pins(base::Error error) const {
  if (error.code != ErrorCode::out_of_memory) return error;
  for (const auto& resident : residents_)
    if (resident->pinned)
      error.message +=
          std::format("; '{}' is pinned and holds {} (`ingle load {} --unpin`)", resident->id(),
                      base::format_bytes(resident->resident_bytes), resident->id());
  return error;
}

// What was measured for the very same settings beats what the file says.
void ModelHostImpl::use_measurement(LaunchPlan& plan) const {
  const auto& devices = ledger_.readings().devices;
  std::vector<std::string> settings;
  for (const auto& setting : plan.settings.explained)
    // How large the cache of prompts may grow says nothing of what is there once it is loaded.
    if (setting.name != "cache_ram_mib") settings.push_back(setting.name + "=" + setting.value);
  std::vector<std::string> names;
  for (const auto& device : devices) names.push_back(device.name);
  const auto& info = plan.model.info;
  plan.measurement_key = resources::measurement_key(
      info.id, static_cast<std::uint64_t>(info.size_bytes), info.modified_unix_ms, settings, names);
  plan.footprint = plan.settings.footprint;
  plan.memory.basis = "file";
  plan.load_time = guessed_load_time(plan.footprint.total());
  if (const auto known = seams_.measurements.find(plan.measurement_key)) {
    auto held = known->bytes;
    // What was measured of a picture model has the room for drawing in it, which is held apart; all
    // but half of what it takes without.
    if (info.kind == protocol::ModelKind::image && !held.empty()) {
      auto& host = held[resources::kHost];
      const auto least = plan.settings.footprint.on(resources::kHost) / 2;
      host -= std::min(plan.settings.use.cache_ram_bytes, host - std::min(host, least));
    }
    plan.footprint = plan.footprint.scaled_to(held);
    plan.memory.basis = "measured";
    plan.load_time = known->load_time;
    std::int64_t total = 0;
    for (const auto bytes : known->bytes) total += static_cast<std::int64_t>(bytes);
    plan.memory.measured_bytes = total;
  }
  plan.reserved = plan.footprint;
  const bool draws = info.kind == protocol::ModelKind::image;
  if (draws) {
    // Room for drawing: what is not there yet once it is loaded.
    const auto& loaded = plan.settings.footprint.pieces;
    for (const auto& piece : plan.settings.reserved.pieces)
      if (!std::ranges::contains(loaded, piece)) plan.reserved.pieces.push_back(piece);
  } else {
    plan.reserved.pieces.push_back(
        {resources::kHost, protocol::MemoryKind::other, plan.settings.use.cache_ram_bytes});
  }
  // Drawing is what a picture model is for; a text model's cache of prompts may never be full.
  const auto& told = draws ? plan.reserved : plan.footprint;
  plan.memory.predicted_bytes = static_cast<std::int64_t>(told.total());
  plan.memory.parts = parts_of(told, ledger_.readings());
}

base::Task<base::Result<protocol::LoadPlan>> ModelHostImpl::describe_plan(
    catalog::ModelRecord model, std::vector<std::string> set, bool with_files) {
  co_await read_machine();
  const std::string id = model.info.id;
  protocol::LoadPlan out{.model = id};
  const auto resident = find_resident(id);
  if (with_files && resident && resident->open() && (set.empty() || set == resident->set)) {
    out.fits = out.already_loaded = true;
    out.placement = resident->plan.settings.placement;
    out.settings = resident->plan.settings.explained;
    out.memory = describe(*resident, now(), seams_.loop.clock().wall_now()).memory;
    out.reasons = {resident->reason};
    out.command = shell_command(resident->plan.executable, resident->plan.arguments);
    co_return out;
  }
  auto planned = co_await plan_for(std::move(model), set, with_files);
  if (!planned && planned.error().code != ErrorCode::out_of_memory)
    co_return std::unexpected(std::move(planned).error());
  if (!planned) {
    out.problem = planned.error().message;
    if (!planned.error().context.empty()) out.would_fit = planned.error().context.front();
    co_return out;
  }
  const auto& plan = *planned;
  out.placement = plan.settings.placement;
  out.settings = plan.settings.explained;
  out.memory = plan.memory;
  out.reasons = plan.settings.reasons;
  out.command = plan.executable.empty() ? "" : shell_command(plan.executable, plan.arguments);
  // As if it had waited as long as it may.
  auto question = question_for(plan, now() - options_.queue.longest_wait);
  std::erase_if(question.holders, [&](const auto& holder) { return holder.model == id; });
  for (std::size_t device = 0; device < question.available_bytes.size(); ++device)
    if (resident)
      question.available_bytes[device] +=
          static_cast<std::int64_t>(ledger_.held(resident->reservation, device));
  const auto answer = resources::make_room(question);
  out.fits = answer.kind != RoomAnswer::Kind::never;
  (out.fits ? out.reasons.emplace_back() : out.problem) = answer.reason;
  if (resident)
    out.evictions.push_back({.model = id,
                             .bytes = static_cast<std::int64_t>(resident->resident_bytes),
                             .reason = "it is loaded with other settings"});
  for (const auto& victim : answer.victims) {
    const auto& holder = question.holders[victim.holder];
    std::uint64_t bytes = 0;
    for (const auto held : holder.held_bytes) bytes += held;
    out.evictions.push_back({.model = holder.model,
                             .bytes = static_cast<std::int64_t>(bytes),
                             .reason = victim.reason});
  }
  if (!out.fits) out.command.clear();
  co_return out;
}

std::vector<protocol::WaitingModel> ModelHostImpl::describe_waiting() const {
  std::vector<protocol::WaitingModel> out;
  for (const auto& intent : intents_) {
    protocol::WaitingModel waiting{
        .model = intent->model.info.id,
        .requests = static_cast<std::int64_t>(intent->requests),
        .waited_ms = std::chrono::floor<base::Millis>(now() - intent->since).count(),
        .reason = intent->reason};
    if (intent->expected_wait)
      waiting.expected_wait_ms = std::chrono::floor<base::Millis>(*intent->expected_wait).count();
    out.push_back(std::move(waiting));
  }
  return out;
}

// Who waits for what, when that has changed; the time that passes is no change.
void ModelHostImpl::publish_queue() {
  if (!seams_.on_queue) return;
  auto waiting = describe_waiting();
  std::string told;
  for (const auto& entry : waiting)
    told += std::format("{}\n{}\n{}\n", entry.model, entry.requests, entry.reason);
  if (told == queue_told_) return;
  queue_told_ = std::move(told);
  seams_.on_queue({.waiting = std::move(waiting)});
}

protocol::ResidentList ModelHostImpl::residents() const {
  protocol::ResidentList out;
  const auto wall = seams_.loop.clock().wall_now();
  for (const auto& resident : residents_)
    if (resident->worker && !resident->worker->ended())
      out.models.push_back(describe(*resident, now(), wall));
  out.waiting = describe_waiting();
  for (const auto& entry : pushed_out_)
    out.pushed_out.push_back({.model = entry.model,
                              .since_unix_ms = unix_ms(entry.since),
                              .reason = entry.reason,
                              .saved_tokens = entry.saved_tokens});
  return out;
}

base::Task<base::Result<protocol::SystemInfo>> ModelHostImpl::describe_system() {
  CO_TRY_ASSIGN(facts_, co_await seams_.machine.facts());
  for (const auto& resident : std::vector(residents_)) co_await measure(resident);
  co_await read_machine();
  auto out = resources::describe_machine(facts_, ledger_.readings());
  out.devices = ledger_.describe_devices();
  out.reservations = ledger_.describe_reservations();
  out.pressure = pressure_;
  out.worker_cgroups = options_.worker_groups;
  out.kv_disk_bytes = static_cast<std::int64_t>(seams_.kv.bytes_on_disk());
  co_return out;
}

}  // namespace ingle::engines
