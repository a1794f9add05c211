#include "room_sim.h"

#include <algorithm>
#include <format>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "resources/ledger.h"
#include "resources/make_room.h"

namespace ingle::sim {
namespace {

using base::Micros;
using base::Millis;
using base::MonoTime;
using base::Seconds;
using resources::Holder;
using resources::kHost;
using resources::RoomAnswer;
using resources::Usage;

constexpr std::uint64_t kMiB = 1ull << 20;
constexpr std::size_t kDevicesMax = 2;
constexpr Micros kRequestMax = Seconds(6);
constexpr Micros kLoadMax = Seconds(5);
constexpr Micros kEndMax = Seconds(1);
constexpr Micros kReadingPause = Millis(700);
constexpr int kRequests = 40;
constexpr Micros kHotPause = Seconds(1);  // between requests for a model that is never idle
constexpr Micros kTraffic = Seconds(180);
constexpr MonoTime kEnd{Seconds(3600)};

struct Model {
  std::uint64_t predicted_bytes[kDevicesMax]{};
  Usage taken[kDevicesMax]{};  // once loaded; not more than predicted
  Micros load_time{};
  bool pinned = false;
};

struct Request {
  std::size_t model = 0;
  MonoTime since{};
  Micros duration{};
};

struct Resident {
  std::size_t model = 0;
  resources::Ledger::Id id = 0;
  MonoTime spawned_at{};
  MonoTime opened_at{};
  MonoTime idle_since{};
  int leases = 0;
  bool open = false;
  bool draining = false;
  bool ending = false;
};

class RoomSim {
 public:
  RoomSim(std::uint64_t seed, RoomCanary canary) : random_(seed), canary_(canary) {
    result_.seed = seed;
    devices_ = pick(1, 2);
    for (std::size_t device = 0; device < devices_; ++device)
      total_bytes_[device] = pick(4000, 32'000) * kMiB;
    others_steady_ = chance(50);
    hot_ = chance(30);
    change_others();
    for (auto left = pick(2, 5); left > 0; --left) models_.push_back(random_model());
    policy_ = {.longest_wait = Seconds(pick(8, 30)), .shortest_residency = Millis(pick(0, 3000))};
  }

  RoomResult run() {
    for (int i = 0; i < kRequests; ++i)
      at(random_time(kTraffic), [this] { arrive(pick(0, models_.size() - 1), Millis(50)); });
    for (Micros time{0}; hot_ && time < kTraffic; time += kHotPause)
      at(MonoTime(time), [this] { arrive(0, 2 * kHotPause); });
    if (!others_steady_)
      for (int i = 0; i < 6; ++i) at(random_time(kTraffic), [this] { change_others(); });
    read_on();
    while (!events_.empty() && now_ < kEnd) {
      auto event = events_.extract(events_.begin());
      now_ = event.key();
      event.mapped()();
      look();
      check();
    }
    finish();
    return std::move(result_);
  }

 private:
  // --- chance ---

  std::uint64_t pick(std::uint64_t least, std::uint64_t most) {
    return std::uniform_int_distribution(least, most)(random_);
  }
  bool chance(std::uint64_t percent) { return pick(1, 100) <= percent; }
  Micros pick_time(Micros least, Micros most) {
    return Micros(std::uniform_int_distribution(least.count(), most.count())(random_));
  }
  MonoTime random_time(Micros most) { return MonoTime(pick_time(Micros(0), most)); }

  Model random_model() {
    Model out{.load_time = pick_time(Millis(50), kLoadMax), .pinned = chance(8)};
    for (std::size_t device = 0; device < devices_; ++device) {
      if (device > 0 && chance(30)) continue;
      out.predicted_bytes[device] = total_bytes_[device] / 100 * pick(1, chance(5) ? 130 : 70);
      out.taken[device].resident_bytes = out.predicted_bytes[device] / 100 * pick(70, 100);
      if (device == kHost)
        out.taken[device].file_bytes = out.taken[device].resident_bytes / 100 * pick(0, 100);
    }
    return out;
  }

  // --- the machine ---

  void at(MonoTime time, std::function<void()> what) { events_.emplace(time, std::move(what)); }

  void change_others() {
    for (std::size_t device = 0; device < devices_; ++device)
      others_bytes_[device] = total_bytes_[device] / 100 * pick(0, 50);
  }

  // What a worker has by now; a load fills it bit by bit.
  Usage usage(const Resident& resident, std::size_t device) const {
    const Model& model = models_[resident.model];
    Usage out = model.taken[device];
    if (resident.open || resident.ending) return out;
    const auto share = static_cast<std::uint64_t>(100 * (now_ - resident.spawned_at) /
                                                  std::max(model.load_time, Micros(1)));
    out.resident_bytes = out.resident_bytes / 100 * std::min<std::uint64_t>(share, 100);
    out.file_bytes = out.file_bytes / 100 * std::min<std::uint64_t>(share, 100);
    return out;
  }

  void read_machine() {
    resources::Readings readings;
    for (std::size_t device = 0; device < devices_; ++device) {
      std::uint64_t used = others_bytes_[device];
      for (const auto& [key, resident] : residents_) {
        const auto has = usage(resident, device);
        used += has.resident_bytes - has.file_bytes;
      }
      readings.devices.push_back(
          {.kind = device == kHost ? protocol::DeviceKind::host : protocol::DeviceKind::gpu,
           .total_bytes = total_bytes_[device],
           .free_bytes = total_bytes_[device] - std::min(used, total_bytes_[device])});
    }
    for (const auto& [key, resident] : residents_) {
      std::vector<Usage> has;
      for (std::size_t device = 0; device < devices_; ++device) {
        has.push_back(usage(resident, device));
        if (canary_ == RoomCanary::counts_files) has.back().file_bytes = 0;
      }
      ledger_.measure(resident.id, std::move(has), resident.open);
    }
    ledger_.read(std::move(readings));
  }

  void read_on() {
    read_machine();
    if (unanswered_ > 0 || now_ < MonoTime(kTraffic))
      at(now_ + kReadingPause, [this] { read_on(); });
  }

  // --- the life of requests and residents ---

  void arrive(std::size_t model, Micros least) {
    waiting_.push_back({model, now_, pick_time(least, kRequestMax)});
    ++unanswered_;
  }

  void answered(const Request& request, int& counter) {
    ++counter;
    --unanswered_;
    result_.longest_wait_s = std::max(result_.longest_wait_s,
                                      std::chrono::duration<double>(now_ - request.since).count());
  }

  Resident* find(std::size_t model) {
    for (auto& [key, resident] : residents_)
      if (resident.model == model) return &resident;
    return nullptr;
  }

  void load(std::size_t model) {
    ++result_.loads;
    resources::Footprint predicted;
    for (std::size_t device = 0; device < devices_; ++device)
      predicted.pieces.push_back(
          {device, protocol::MemoryKind::weights, models_[model].predicted_bytes[device]});
    const auto key = next_key_++;
    residents_[key] = {
        .model = model, .id = ledger_.reserve("m", std::move(predicted)), .spawned_at = now_};
    ledger_.commit(residents_[key].id);
    at(now_ + models_[model].load_time, [this, key] {
      auto& resident = residents_.at(key);
      resident.open = true;
      resident.opened_at = resident.idle_since = now_;
      read_machine();
    });
  }

  void end(std::size_t key) {
    auto& resident = residents_.at(key);
    if (resident.leases > 0) violation("a busy model was ended");
    if (models_[resident.model].pinned) violation("a pinned model was ended");
    resident.ending = true;
    at(now_ + pick_time(Micros(0), kEndMax), [this, key] {
      if (canary_ != RoomCanary::keeps_a_holding || key != 1)
        ledger_.release(residents_.at(key).id);
      residents_.erase(key);
      read_machine();
    });
  }

  void serve(std::size_t key, const Request& request) {
    answered(request, result_.served);
    ++residents_.at(key).leases;
    at(now_ + request.duration, [this, key] {
      const auto found = residents_.find(key);
      if (found == residents_.end()) return;  // its model was ended under it
      if (--found->second.leases == 0) found->second.idle_since = now_;
    });
  }

  // --- the policy, followed ---

  void look() {
    do {
      for (auto& [key, resident] : residents_) {
        if (!resident.open || resident.ending) continue;
        if (resident.draining && resident.leases == 0) end(key);
        if (resident.draining) continue;
        std::erase_if(waiting_, [&](const Request& request) {
          if (request.model != resident.model) return false;
          serve(key, request);
          return true;
        });
      }
    } while (act());
  }

  // In the order of the oldest requests. True: look again.
  bool act() {
    std::vector<std::size_t> asked;
    for (const auto& request : waiting_) {
      if (std::ranges::contains(asked, request.model) || find(request.model)) continue;
      asked.push_back(request.model);
      auto answer = make_room(question(request));
      if (canary_ == RoomCanary::loads_anyway && answer.kind == RoomAnswer::Kind::wait)
        answer.kind = RoomAnswer::Kind::now;
      if (answer.kind != RoomAnswer::Kind::wait) return follow(request.model, answer);
      if (answer.ask_again) at(*answer.ask_again, [] {});
      return false;  // nobody overtakes
    }
    return false;
  }

  bool follow(std::size_t model, const RoomAnswer& answer) {
    switch (answer.kind) {
      case RoomAnswer::Kind::now:
        load(model);
        break;
      case RoomAnswer::Kind::never:
        std::erase_if(waiting_, [&](const Request& request) {
          if (request.model != model) return false;
          answered(request, result_.refused);
          return true;
        });
        break;
      case RoomAnswer::Kind::evict:
        for (const auto& victim : answer.victims) {
          ++result_.evictions;
          end(asked_[victim.holder]);
        }
        break;
      case RoomAnswer::Kind::drain:
        if (canary_ == RoomCanary::never_drains) return false;
        for (const auto& victim : answer.victims) {
          ++result_.drains;
          residents_.at(asked_[victim.holder]).draining = true;
        }
        break;
      case RoomAnswer::Kind::wait:
        break;
    }
    return true;
  }

  resources::RoomQuestion question(const Request& request) {
    const Model& model = models_[request.model];
    resources::RoomQuestion out{.now = now_,
                                .waiting_since = request.since,
                                .load_time = model.load_time,
                                .policy = policy_};
    for (std::size_t device = 0; device < devices_; ++device) {
      out.needed_bytes.push_back(model.predicted_bytes[device]);
      out.available_bytes.push_back(ledger_.balance(device));
    }
    asked_.clear();
    for (const auto& [key, resident] : residents_) {
      asked_.push_back(key);
      Holder holder{.model = "m",
                    .leases = canary_ == RoomCanary::forgets_leases ? 0 : resident.leases,
                    .pinned = models_[resident.model].pinned,
                    .open = resident.open && !resident.draining && !resident.ending,
                    .ending = resident.draining || resident.ending,
                    .opened_at = resident.opened_at,
                    .idle_since = resident.idle_since,
                    .reload_time = models_[resident.model].load_time,
                    .request_time = kRequestMax / 2};
      for (std::size_t device = 0; device < devices_; ++device)
        holder.held_bytes.push_back(ledger_.held(resident.id, device));
      out.holders.push_back(std::move(holder));
    }
    return out;
  }

  // --- invariants ---

  void violation(std::string what) {
    if (result_.violations.size() < 20)
      result_.violations.push_back(std::format(
          "{:.3f} s: {}", std::chrono::duration<double>(now_.time_since_epoch()).count(), what));
  }

  // The longest wait, then for each model ahead: its requests end, it ends, the next one loads.
  // When others take memory meanwhile, that begins anew.
  Micros wait_max() const {
    const auto turns = static_cast<std::int64_t>(models_.size()) + (others_steady_ ? 0 : 6);
    return policy_.longest_wait + turns * (kRequestMax + kEndMax + kLoadMax + kReadingPause);
  }

  void check() {
    for (std::size_t device = 0; device < devices_; ++device) {
      if (ledger_.committed(device) > ledger_.budget(device))
        violation(std::format("device {}: more is committed than the budget", device));
      std::uint64_t used = others_bytes_[device];
      for (const auto& [key, resident] : residents_) used += usage(resident, device).resident_bytes;
      if (others_steady_ && used > total_bytes_[device])
        violation(std::format("device {}: more is needed than there is", device));
    }
    if (!waiting_.empty() && now_ - waiting_.front().since > wait_max())
      violation("a request starves");
  }

  void finish() {
    if (unanswered_ != 0) violation(std::format("{} requests without an answer", unanswered_));
    for (const auto& [key, resident] : residents_) {
      if (resident.leases > 0 || !resident.open || resident.ending)
        violation("a model did not come to rest");
      ledger_.release(resident.id);
    }
    if (!ledger_.empty()) violation("a reservation is left");
  }

  std::mt19937_64 random_;
  const RoomCanary canary_;
  std::size_t devices_ = 1;
  std::uint64_t total_bytes_[kDevicesMax]{};
  std::uint64_t others_bytes_[kDevicesMax]{};
  bool others_steady_ = true;
  bool hot_ = false;
  std::vector<Model> models_;
  resources::QueuePolicy policy_;
  resources::Ledger ledger_{{.ram_margin_bytes = 100 * kMiB, .vram_margin_bytes = 50 * kMiB}};
  std::multimap<MonoTime, std::function<void()>> events_;
  MonoTime now_{};
  std::vector<Request> waiting_;  // in the order of asking
  std::map<std::size_t, Resident> residents_;
  std::size_t next_key_ = 0;
  std::vector<std::size_t> asked_;  // keys of the holders of the last question
  int unanswered_ = 0;
  RoomResult result_;
};

}  // namespace

RoomResult run_room_sim(std::uint64_t seed, RoomCanary canary) {
  return RoomSim(seed, canary).run();
}

}  // namespace ingle::sim
