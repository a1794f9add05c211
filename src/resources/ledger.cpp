// The arithmetic in one line. A worker's held bytes are private (gone from the free bytes), mapped
// (free to the kernel, needed all the same) or still to come. Free less the mapped and the coming
// ones is therefore free plus the private ones less everything held:
//   available = min(budget, free + private - margin) - held
#include "resources/ledger.h"

#include <algorithm>

namespace ingle::resources {
namespace {

using protocol::ReservationState;

std::uint64_t cut(std::uint64_t bytes) { return std::min(bytes, Ledger::kBytesMax); }

std::int64_t to_signed(std::uint64_t bytes) { return static_cast<std::int64_t>(bytes); }

std::uint64_t at_least_zero(std::int64_t bytes) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0));
}

void cut_pieces(Footprint& footprint) {
  for (auto& piece : footprint.pieces) piece.bytes = cut(piece.bytes);
}

}  // namespace

void Ledger::read(Readings readings) {
  readings_ = std::move(readings);
  for (auto& device : readings_.devices) {
    device.total_bytes = cut(device.total_bytes);
    device.free_bytes = std::min(device.free_bytes, device.total_bytes);
  }
  for (auto& [id, reservation] : reservations_) {
    reservation.private_at_read.assign(device_count(), 0);
    for (std::size_t device = 0; device < device_count(); ++device)
      reservation.private_at_read[device] = private_bytes(reservation, device);
  }
}

Ledger::Id Ledger::reserve(std::string owner, Footprint predicted, std::uint64_t growth_bytes) {
  cut_pieces(predicted);
  const Id id = next_id_++;
  reservations_.emplace(id, Reservation{.owner = std::move(owner),
                                        .predicted = std::move(predicted),
                                        .growth_bytes = cut(growth_bytes)});
  return id;
}

void Ledger::commit(Id id) {
  const auto found = reservations_.find(id);
  if (found != reservations_.end() && found->second.state == ReservationState::predicted)
    found->second.state = ReservationState::committed;
}

void Ledger::measure(Id id, std::vector<Usage> usage, bool settled) {
  const auto found = reservations_.find(id);
  if (found == reservations_.end()) return;
  Reservation& reservation = found->second;
  for (auto& on : usage) {
    on.resident_bytes = cut(on.resident_bytes);
    on.file_bytes = std::min(on.file_bytes, on.resident_bytes);
  }
  reservation.usage = std::move(usage);
  if (settled && reservation.state != ReservationState::measured) {
    reservation.state = ReservationState::measured;
    if (!reservation.usage.empty())
      reservation.settled_bytes = reservation.usage.front().resident_bytes;
  }
  if (reservation.state != ReservationState::measured) return;
  auto& peak = reservation.peak_bytes;
  peak.resize(std::max(peak.size(), reservation.usage.size()));
  for (std::size_t device = 0; device < reservation.usage.size(); ++device)
    peak[device] = std::max(peak[device], reservation.usage[device].resident_bytes);
}

void Ledger::release(Id id) { reservations_.erase(id); }

std::uint64_t Ledger::resident(const Reservation& reservation, std::size_t device) {
  if (device < reservation.usage.size()) return reservation.usage[device].resident_bytes;
  // What cannot be measured is taken to be there once the worker is loaded.
  return reservation.state == ReservationState::measured ? held(reservation, device) : 0;
}

std::uint64_t Ledger::private_bytes(const Reservation& reservation, std::size_t device) {
  const std::uint64_t file =
      device < reservation.usage.size() ? reservation.usage[device].file_bytes : 0;
  return resident(reservation, device) - file;
}

std::uint64_t Ledger::held(const Reservation& reservation, std::size_t device) {
  const std::uint64_t growth = device == kHost ? reservation.growth_bytes : 0;
  if (device < reservation.peak_bytes.size())
    return std::max(reservation.peak_bytes[device],
                    device == kHost ? reservation.settled_bytes + growth : 0);
  const std::uint64_t predicted = reservation.predicted.on(device) + growth;
  if (device >= reservation.usage.size()) return predicted;
  return std::max(predicted, reservation.usage[device].resident_bytes);
}

std::uint64_t Ledger::held(Id id, std::size_t device) const {
  const auto found = reservations_.find(id);
  return found == reservations_.end() ? 0 : held(found->second, device);
}

std::uint64_t Ledger::committed(std::size_t device) const {
  std::uint64_t out = 0;
  for (const auto& [id, reservation] : reservations_) out += held(reservation, device);
  return out;
}

std::uint64_t Ledger::margin(std::size_t device) const {
  const bool host = readings_.devices[device].kind == protocol::DeviceKind::host;
  return cut(host ? limits_.ram_margin_bytes : limits_.vram_margin_bytes);
}

std::uint64_t Ledger::budget(std::size_t device) const {
  if (device >= device_count()) return 0;
  const auto& reading = readings_.devices[device];
  const bool host = reading.kind == protocol::DeviceKind::host;
  const std::uint64_t most =
      at_least_zero(to_signed(reading.total_bytes) - to_signed(margin(device)));
  const std::uint64_t set = host ? limits_.ram_budget_bytes : limits_.vram_budget_bytes;
  return set == 0 ? most : std::min(set, most);
}

std::int64_t Ledger::ceiling(std::size_t device) const {
  std::int64_t free = to_signed(readings_.devices[device].free_bytes) - to_signed(margin(device));
  for (const auto& [id, reservation] : reservations_)
    if (device < reservation.private_at_read.size())
      free += to_signed(
          std::min(reservation.private_at_read[device], private_bytes(reservation, device)));
  return std::min(free, to_signed(budget(device)));
}

std::int64_t Ledger::balance(std::size_t device) const {
  return ceiling(device) - to_signed(committed(device));
}

std::uint64_t Ledger::available(std::size_t device) const { return available_without(device, {}); }

// What goes gives back what it held: its private bytes become free, its mapped ones are no longer
// needed, and the rest no longer comes.
std::uint64_t Ledger::available_without(std::size_t device, std::span<const Id> released) const {
  if (device >= device_count()) return 0;
  std::int64_t out = balance(device);
  for (const auto& [id, reservation] : reservations_)
    if (std::ranges::contains(released, id)) out += to_signed(held(reservation, device));
  return at_least_zero(out);
}

bool Ledger::fits(const Footprint& footprint, std::span<const Id> released) const {
  Footprint needed = footprint;
  cut_pieces(needed);
  return std::ranges::all_of(needed.pieces, [&](const Piece& piece) {
    return piece.bytes == 0 || needed.on(piece.device) <= available_without(piece.device, released);
  });
}

std::uint64_t Ledger::over_prediction(Id id) const {
  const auto found = reservations_.find(id);
  if (found == reservations_.end()) return 0;
  const Reservation& reservation = found->second;
  std::uint64_t out = 0;
  for (std::size_t device = 0; device < reservation.usage.size(); ++device)
    out += at_least_zero(to_signed(reservation.usage[device].resident_bytes) -
                         to_signed(reservation.predicted.on(device) +
                                   (device == kHost ? reservation.growth_bytes : 0)));
  return out;
}

std::vector<protocol::DeviceInfo> Ledger::describe_devices() const {
  std::vector<protocol::DeviceInfo> out;
  for (std::size_t device = 0; device < device_count(); ++device) {
    const auto& reading = readings_.devices[device];
    std::uint64_t in_workers = 0;
    std::uint64_t private_in_workers = 0;
    for (const auto& [id, reservation] : reservations_) {
      in_workers += resident(reservation, device);
      private_in_workers += private_bytes(reservation, device);
    }
    out.push_back({.id = reading.id,
                   .kind = reading.kind,
                   .name = reading.name,
                   .engine_name = reading.engine_name,
                   .total_bytes = to_signed(reading.total_bytes),
                   .budget_bytes = to_signed(budget(device)),
                   .free_bytes = to_signed(reading.free_bytes),
                   .committed_bytes = to_signed(committed(device)),
                   .resident_bytes = to_signed(in_workers),
                   .others_bytes = to_signed(at_least_zero(to_signed(reading.total_bytes) -
                                                           to_signed(reading.free_bytes) -
                                                           to_signed(private_in_workers))),
                   .available_bytes = to_signed(available(device))});
  }
  return out;
}

std::vector<protocol::ReservationInfo> Ledger::describe_reservations() const {
  std::vector<protocol::ReservationInfo> out;
  for (const auto& [id, reservation] : reservations_) {
    std::vector<std::uint64_t> held_bytes(device_count());
    for (std::size_t device = 0; device < device_count(); ++device)
      held_bytes[device] = held(reservation, device);
    protocol::ReservationInfo info{.owner = reservation.owner, .state = reservation.state};
    for (const auto& piece : reservation.predicted.scaled_to(held_bytes).pieces) {
      if (piece.device >= device_count()) continue;
      info.parts.push_back({.device = readings_.devices[piece.device].id,
                            .kind = piece.kind,
                            .bytes = to_signed(piece.bytes)});
      info.bytes += to_signed(piece.bytes);
    }
    out.push_back(std::move(info));
  }
  return out;
}

}  // namespace ingle::resources
