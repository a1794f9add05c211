// Holders are taken in groups, each tried only when the ones before do not suffice:
//   ending          come back by themselves: wait for them
//   idle            evict
//   young           idle, but opened a moment ago: wait until they may go
//   busy            or wanted: wait while the one that waits has patience, then drain
//   loading         wait: they open, and are one of the others then
// Pinned ones stay. Within a group the cheapest are taken by their share of what is lacking, and
// those that turn out not to be needed are dropped again, the dearest first.
#include "resources/make_room.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "base/bytes.h"
#include "resources/ledger.h"

namespace ingle::resources {
namespace {

using base::Micros;
using Kind = RoomAnswer::Kind;
using Lack = std::vector<std::int64_t>;   // bytes missing, by device; not above 0: enough
using Picked = std::vector<std::size_t>;  // indices of holders

// An idle model's chance to be wanted again is halved when it has been idle for this long: a
// conversation that has just been answered goes on within seconds, if it does.
constexpr double kForgottenAfterS = 5;
// A busy model is wanted for certain, and its next requests wait meanwhile.
constexpr double kBusyFactor = 2;
// So that models without a known time to reload are told apart by the time since their use.
constexpr double kReloadLeastS = 0.1;
// The longest time to ask_again; there is always a change before.
constexpr Micros kAskAgainMax = base::Seconds(3600);

enum class Group { ending, idle, young, busy, loading, pinned };

double in_seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

std::int64_t held_on(const Holder& holder, std::size_t device) {
  if (device >= holder.held_bytes.size()) return 0;
  return static_cast<std::int64_t>(std::min(holder.held_bytes[device], Ledger::kBytesMax));
}

std::uint64_t held_total(const Holder& holder) {
  std::uint64_t out = 0;
  for (std::size_t device = 0; device < holder.held_bytes.size(); ++device)
    out += static_cast<std::uint64_t>(held_on(holder, device));
  return out;
}

bool enough(const Lack& lack) {
  return std::ranges::none_of(lack, [](std::int64_t bytes) { return bytes > 0; });
}

std::string device_words(std::size_t device) {
  return device == kHost ? "memory" : std::format("memory of gpu{}", device - 1);
}

class Room {
 public:
  explicit Room(const RoomQuestion& question)
      : question_(question),
        waited_(std::max(Micros(0),
                         std::chrono::floor<Micros>(question.now - question.waiting_since))) {
    for (std::size_t device = 0; device < question.needed_bytes.size(); ++device) {
      const auto needed =
          static_cast<std::int64_t>(std::min(question.needed_bytes[device], Ledger::kBytesMax));
      const std::int64_t available =
          device < question.available_bytes.size() ? question.available_bytes[device] : 0;
      lack_.push_back(needed == 0 ? 0 : needed - available);
    }
  }

  RoomAnswer answer() const {
    if (enough(lack_)) return {.kind = Kind::now, .reason = "there is room"};
    const auto all_but_pinned =
        of({Group::ending, Group::idle, Group::young, Group::busy, Group::loading});
    if (const Lack lack = without(all_but_pinned); !enough(lack)) {
      const auto moving = this->moving();
      if (moving.empty() || !enough(without(moving, lack))) return never(lack);
      return {.kind = Kind::wait,
              .reason = std::format("waiting for {} to be loaded or unloaded: until then what is "
                                    "free cannot be told exactly",
                                    names(moving))};
    }
    const auto ending = of({Group::ending});
    if (enough(without(ending)))
      return {.kind = Kind::wait, .reason = std::format("waiting for {} to end", names(ending))};
    if (question_.only_if_free)
      return {.kind = Kind::wait,
              .reason = std::format("{}, and nothing is moved aside for it", lacking(lack_))};
    if (const auto idle = choose({Group::idle}); !idle.empty()) return evict(idle);
    if (const auto young = choose({Group::idle, Group::young}); !young.empty()) return stay(young);
    if (const auto busy = choose({Group::idle, Group::young, Group::busy}); !busy.empty())
      return drain(busy);
    return {.kind = Kind::wait,
            .reason = std::format("waiting for {} to be loaded", names(of({Group::loading})))};
  }

 private:
  Group group(const Holder& holder) const {
    if (holder.ending) return Group::ending;
    if (holder.pinned) return Group::pinned;
    if (!holder.open) return Group::loading;
    if (holder.leases > 0 || holder.wanted) return Group::busy;
    return left_to_stay(holder) > Micros(0) ? Group::young : Group::idle;
  }

  // How long an idle model may not be moved aside yet.
  Micros left_to_stay(const Holder& holder) const {
    const auto resident = std::chrono::floor<Micros>(question_.now - holder.opened_at);
    return std::min(question_.policy.shortest_residency - resident,
                    question_.policy.longest_wait - waited_);
  }

  Picked of(std::initializer_list<Group> groups) const {
    Picked out;
    for (std::size_t i = 0; i < question_.holders.size(); ++i)
      if (std::ranges::contains(groups, group(question_.holders[i]))) out.push_back(i);
    return out;
  }

  // Those whose memory is just being taken or given back: what is available may be told too low by
  // as much as they hold, because they and the machine are not measured at the same moment.
  Picked moving() const {
    Picked out;
    for (std::size_t i = 0; i < question_.holders.size(); ++i)
      if (question_.holders[i].ending || !question_.holders[i].open) out.push_back(i);
    return out;
  }

  Lack without(const Picked& holders, Lack lack) const {
    for (const auto i : holders)
      for (std::size_t device = 0; device < lack.size(); ++device)
        lack[device] -= held_on(question_.holders[i], device);
    return lack;
  }
  Lack without(const Picked& holders) const { return without(holders, lack_); }

  // What it costs to move a holder aside, in expected seconds.
  double cost(std::size_t i) const {
    const Holder& holder = question_.holders[i];
    const double reload = std::max(in_seconds(holder.reload_time), 0.0) + kReloadLeastS;
    if (group(holder) == Group::busy)
      return kBusyFactor * (reload + std::max(in_seconds(holder.request_time), 0.0));
    const double idle = std::max(in_seconds(question_.now - holder.idle_since), 0.0);
    return reload / (1 + idle / kForgottenAfterS);
  }

  // Which part of what is lacking a holder gives back, summed over the devices.
  double share(std::size_t i, const Lack& lack) const {
    double out = 0;
    for (std::size_t device = 0; device < lack.size(); ++device)
      if (lack[device] > 0)
        out += static_cast<double>(std::min(held_on(question_.holders[i], device), lack[device])) /
               static_cast<double>(lack[device]);
    return out;
  }

  // Holders of these groups that suffice with those that are ending anyway, none too many, in the
  // order of going; empty when even all of them do not.
  Picked choose(std::initializer_list<Group> groups) const {
    const Lack start = without(of({Group::ending}));
    Picked left = of(groups);
    if (!enough(without(left, start))) return {};
    Picked chosen;
    Lack lack = start;
    while (!enough(lack)) {
      // Something is lacking that those left have: so one of them has a share.
      const auto best = std::ranges::max_element(
          left, {}, [&](std::size_t i) { return share(i, lack) / cost(i); });
      lack = without({*best}, std::move(lack));
      chosen.push_back(*best);
      left.erase(best);
    }
    std::ranges::stable_sort(chosen, std::greater{}, [&](std::size_t i) { return cost(i); });
    for (const auto i : Picked(chosen)) {
      Picked rest = chosen;
      std::erase(rest, i);
      if (enough(without(rest, start))) chosen = std::move(rest);
    }
    std::ranges::reverse(chosen);
    return chosen;
  }

  RoomAnswer evict(const Picked& chosen) const {
    RoomAnswer out{.kind = Kind::evict,
                   .reason = std::format("{}: {} {} moved aside", lacking(lack_), names(chosen),
                                         chosen.size() == 1 ? "is" : "are")};
    for (const auto i : chosen) {
      const Holder& holder = question_.holders[i];
      out.victims.push_back(
          {i,
           std::format(
               "'{}' has been idle for {}, gives back {} and is loaded again in {}", holder.model,
               base::format_duration(std::max(
                   Micros(0), std::chrono::floor<Micros>(question_.now - holder.idle_since))),
               base::format_bytes(held_total(holder)), base::format_duration(holder.reload_time))});
    }
    return out;
  }

  // Idle ones would suffice, but some were opened a moment ago. Asked again when the last of those
  // chosen may go.
  RoomAnswer stay(const Picked& chosen) const {
    Picked young;
    Micros longest{0};
    for (const auto i : chosen) {
      if (group(question_.holders[i]) != Group::young) continue;
      young.push_back(i);
      longest = std::max(longest, left_to_stay(question_.holders[i]));
    }
    return {.kind = Kind::wait,
            .ask_again = after(longest),
            .reason =
                std::format("{}: {} {} loaded a moment ago and {} for another {}", lacking(lack_),
                            names(young), young.size() == 1 ? "was" : "were",
                            young.size() == 1 ? "stays" : "stay", base::format_duration(longest))};
  }

  RoomAnswer drain(const Picked& chosen) const {
    RoomAnswer out{.kind = Kind::drain};
    Picked busy;
    Micros request_time{0};
    for (const auto i : chosen) {
      const Holder& holder = question_.holders[i];
      if (group(holder) != Group::busy) continue;
      busy.push_back(i);
      request_time = std::max(request_time, holder.request_time);
      const auto use = holder.leases == 0 ? std::string("is wanted")
                                          : std::format("has {} request{} under way", holder.leases,
                                                        holder.leases == 1 ? "" : "s");
      out.victims.push_back({i, std::format("'{}' {}, but another model has waited for {}",
                                            holder.model, use, base::format_duration(waited_))});
    }
    const Micros patience =
        std::max(Micros(0), question_.policy.longest_wait - question_.load_time - request_time);
    out.reason = std::format("{}: {} {} in use", lacking(lack_), names(busy),
                             busy.size() == 1 ? "is" : "are");
    if (waited_ < patience) {
      out.kind = Kind::wait;
      out.victims.clear();
      out.ask_again = after(patience - waited_);
      out.reason +=
          std::format(", and {} asked to make room in {} at the latest",
                      busy.size() == 1 ? "is" : "are", base::format_duration(patience - waited_));
    }
    return out;
  }

  RoomAnswer never(const Lack& lack) const {
    std::size_t device = 0;
    while (lack[device] <= 0) ++device;
    const std::int64_t needed =
        static_cast<std::int64_t>(std::min(question_.needed_bytes[device], Ledger::kBytesMax));
    RoomAnswer out{.kind = Kind::never};
    out.reason = std::format(
        "it needs {} of {}, and at most {} can be had{}",
        base::format_bytes(static_cast<std::uint64_t>(needed)), device_words(device),
        base::format_bytes(
            static_cast<std::uint64_t>(std::max<std::int64_t>(needed - lack[device], 0))),
        question_.holders.empty() ? "" : " with every model moved aside that may go");
    for (const auto i : of({Group::pinned})) {
      const Holder& holder = question_.holders[i];
      if (held_on(holder, device) > 0)
        out.reason +=
            std::format("; '{}' is pinned and holds {}", holder.model,
                        base::format_bytes(static_cast<std::uint64_t>(held_on(holder, device))));
    }
    return out;
  }

  base::MonoTime after(Micros time) const { return question_.now + std::min(time, kAskAgainMax); }

  std::string names(const Picked& holders) const {
    std::string out;
    for (std::size_t i = 0; i < holders.size(); ++i)
      out += std::format("{}'{}'",
                         i == 0                    ? ""
                         : i + 1 == holders.size() ? " and "
                                                   : ", ",
                         question_.holders[holders[i]].model);
    return out;
  }

  // Of the device that lacks most.
  std::string lacking(const Lack& lack) const {
    const auto worst = std::ranges::max_element(lack);
    return std::format("{} more {} is needed",
                       base::format_bytes(static_cast<std::uint64_t>(*worst)),
                       device_words(static_cast<std::size_t>(worst - lack.begin())));
  }

  const RoomQuestion& question_;
  const Micros waited_;
  Lack lack_;
};

}  // namespace

RoomAnswer make_room(const RoomQuestion& question) { return Room(question).answer(); }

}  // namespace ingle::resources
