// Ledger: who holds how much of which device. A reservation goes predicted (planned) -> committed
// (its worker was started) -> measured (its worker is loaded), and holds the larger of what was
// predicted and what is measured until it is settled, then what was measured. Pure arithmetic over
// the newest readings; lives on the loop.
//
// A device's available bytes are the least of
//   its budget less what is held, and
//   what is measured free, less the mapped files that workers need, less what is held and not yet
//   resident, less the margin for the rest of the machine.
//
// Workers are best measured first and the machine read after: what a worker has taken since the
// last reading counts as still to come until the next, so that nothing is counted as free twice.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "protocol/resources.h"
#include "resources/footprint.h"

namespace ingle::resources {

struct LedgerLimits {
  // Most that models may hold; 0: total less margin. More than that is cut to it.
  std::uint64_t ram_budget_bytes = 0;
  std::uint64_t vram_budget_bytes = 0;          // of each GPU
  std::uint64_t ram_margin_bytes = 1ull << 30;  // left to the rest of the machine
  std::uint64_t vram_margin_bytes = 512ull << 20;
};

class Ledger {
 public:
  using Id = std::uint64_t;  // never used again; an id that was released holds nothing

  // More than any machine has. What is larger (a broken file, a broken driver) is cut to it, so
  // that sums stay exact.
  static constexpr std::uint64_t kBytesMax = 1ull << 52;

  explicit Ledger(LedgerLimits limits) : limits_(limits) {}

  // The newest readings. Their devices are the devices from now on; indices never change their
  // meaning while the daemon lives (a device that is gone reads 0 free).
  void read(Readings readings);
  const Readings& readings() const { return readings_; }

  // Holds a footprint for a model. Whether it fits is the caller's question (see fits()).
  // `growth_bytes`: what it may take on the host after it is loaded, over time (a cache that
  // fills); held from the start, beside the prediction and beside what is measured once it is
  // settled.
  Id reserve(std::string owner, Footprint predicted, std::uint64_t growth_bytes = 0);
  // Its worker was started.
  void commit(Id id);
  // What its worker uses now, by device. Devices that are missing cannot be measured: there the
  // prediction stands. `settled`: it is loaded, so that from now on the largest measurement counts
  // and the prediction no more; it stays settled.
  void measure(Id id, std::vector<Usage> usage, bool settled);
  void release(Id id);

  std::size_t device_count() const { return readings_.devices.size(); }
  // Most that models may hold on a device when nothing else used it.
  std::uint64_t budget(std::size_t device) const;
  std::uint64_t held(Id id, std::size_t device) const;
  std::uint64_t committed(std::size_t device) const;  // over all reservations
  std::uint64_t available(std::size_t device) const;
  // available(), but negative where more is held or used than there is: what has to come back
  // before anything is available at all.
  std::int64_t balance(std::size_t device) const;
  // What would be available if these reservations were released.
  std::uint64_t available_without(std::size_t device, std::span<const Id> released) const;
  bool fits(const Footprint& footprint, std::span<const Id> released = {}) const;
  // Bytes by which a worker is over what was predicted for it, now, over all devices; 0 when it is
  // not.
  std::uint64_t over_prediction(Id id) const;
  bool empty() const { return reservations_.empty(); }

  std::vector<protocol::DeviceInfo> describe_devices() const;
  std::vector<protocol::ReservationInfo> describe_reservations() const;

 private:
  struct Reservation {
    std::string owner{};
    Footprint predicted{};
    protocol::ReservationState state = protocol::ReservationState::predicted;
    std::uint64_t growth_bytes = 0;           // on the host, to come after it is settled
    std::uint64_t settled_bytes = 0;          // on the host, when it was settled
    std::vector<Usage> usage{};               // newest
    std::vector<std::uint64_t> peak_bytes{};  // largest measured since it is settled, by device
    std::vector<std::uint64_t> private_at_read{};  // private_bytes() at the last read(), by device
  };
  static std::uint64_t held(const Reservation& reservation, std::size_t device);
  // What a worker has taken out of the free bytes for itself: all but pages of files.
  static std::uint64_t private_bytes(const Reservation& reservation, std::size_t device);
  static std::uint64_t resident(const Reservation& reservation, std::size_t device);
  std::uint64_t margin(std::size_t device) const;
  // Most that models may hold on a device with what others use now. May be negative.
  std::int64_t ceiling(std::size_t device) const;
  const LedgerLimits limits_;
  Readings readings_;
  std::map<Id, Reservation> reservations_;
  Id next_id_ = 1;
};

}  // namespace ingle::resources
