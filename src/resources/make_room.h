// Making room: which models have to go so that another one fits, in which order, or why none can.
// Pure. The order of cost: what is cheap to bring back, long unused and large goes first. A busy or
// pinned model never goes; a busy one may be drained (no new requests for it) when the one that
// waits has waited so long that it could not be served within the longest wait otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace ingle::resources {

struct QueuePolicy {
  base::Micros longest_wait{base::Seconds(30)};
  base::Micros shortest_residency{base::Seconds(2)};
};

// A model that holds memory.
struct Holder {
  std::string model{};
  std::vector<std::uint64_t> held_bytes{};  // by device
  int leases = 0;                           // requests under way
  bool wanted = false;                      // requests wait that it could take: counts as busy
  bool pinned = false;
  bool open = false;    // it can take requests: neither loading nor ending
  bool ending = false;  // or draining: what it holds comes back by itself
  base::MonoTime opened_at{};
  base::MonoTime idle_since{};  // while leases is 0
  base::Micros reload_time{};   // to bring it back
  base::Micros request_time{};  // of a typical request of it: how long draining takes
};

struct Victim {
  std::size_t holder = 0;  // index into the holders
  std::string reason{};
};

struct RoomQuestion {
  std::vector<std::uint64_t> needed_bytes{};  // by device
  // By device, now; negative: more is held or used than there is (Ledger::balance()).
  std::vector<std::int64_t> available_bytes{};
  std::vector<Holder> holders{};
  base::MonoTime now{};
  base::MonoTime waiting_since{};  // the oldest request that waits for the room
  base::Micros load_time{};        // expected, of what is to be loaded
  QueuePolicy policy{};
  // For a load that nobody waits for (putting back, preloading): nothing is moved aside for it.
  bool only_if_free = false;
};

struct RoomAnswer {
  enum class Kind {
    now,    // it fits: load
    evict,  // `victims` are idle: end them, then ask again. With what is ending, they suffice
    drain,  // `victims` are busy: let nobody new in, end them when they are idle; ask again at once
    wait,   // somebody goes or has to stay a little longer: ask again at `ask_again`, or on change
    never,  // even without any model that may go it does not fit
  };
  Kind kind = Kind::never;
  std::vector<Victim> victims{};  // in the order of going
  std::optional<base::MonoTime> ask_again{};
  std::string reason{};  // one sentence, for people
};

RoomAnswer make_room(const RoomQuestion& question);

}  // namespace ingle::resources
