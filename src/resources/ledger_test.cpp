// Goal: the ledger counts every byte once: what workers hold, what is still to come, what others
// use. Method: single situations with round figures; then random sequences of reservations, loads,
// measurements and releases on a machine whose free memory follows them, against the rules.
#include "resources/ledger.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace ingle::resources {
namespace {

using protocol::DeviceKind;
using protocol::ReservationState;
using enum protocol::MemoryKind;

constexpr std::size_t kGpu = 1;
constexpr LedgerLimits kLimits{.ram_margin_bytes = 10, .vram_margin_bytes = 5};

Readings machine(std::uint64_t host_free, std::uint64_t gpu_free = 500) {
  return {
      .devices = {
          {.id = "host", .kind = DeviceKind::host, .total_bytes = 1000, .free_bytes = host_free},
          {.id = "gpu0",
           .engine_name = "CUDA0",
           .kind = DeviceKind::gpu,
           .total_bytes = 500,
           .free_bytes = gpu_free}}};
}

Footprint on_host(std::uint64_t bytes) { return {{{kHost, weights, bytes}}}; }

Ledger ledger_with(Readings readings, LedgerLimits limits = kLimits) {
  Ledger ledger(limits);
  ledger.read(std::move(readings));
  return ledger;
}

TEST(Ledger, BeforeTheFirstReadingThereIsNothing) {
  const Ledger ledger(kLimits);
  EXPECT_EQ(ledger.device_count(), 0u);
  EXPECT_EQ(ledger.available(kHost), 0u);
  EXPECT_FALSE(ledger.fits(on_host(1)));
  EXPECT_TRUE(ledger.fits({}));
}

TEST(Ledger, TheBudgetIsTheMachineLessItsMarginUnlessSetLower) {
  EXPECT_EQ(ledger_with(machine(1000)).budget(kHost), 990u);
  EXPECT_EQ(ledger_with(machine(1000)).budget(kGpu), 495u);
  const LedgerLimits lower{.ram_budget_bytes = 300,
                           .vram_budget_bytes = 9999,
                           .ram_margin_bytes = 10,
                           .vram_margin_bytes = 5};
  EXPECT_EQ(ledger_with(machine(1000), lower).budget(kHost), 300u);
  EXPECT_EQ(ledger_with(machine(1000), lower).budget(kGpu), 495u);
  EXPECT_EQ(ledger_with(machine(1000), {.ram_margin_bytes = 5000}).budget(kHost), 0u);
}

TEST(Ledger, OthersUseLowersWhatIsAvailable) {
  EXPECT_EQ(ledger_with(machine(1000)).available(kHost), 990u);
  EXPECT_EQ(ledger_with(machine(400)).available(kHost), 390u);
  EXPECT_EQ(ledger_with(machine(4)).available(kHost), 0u);
}

TEST(Ledger, AReservationIsHeldBeforeAnythingIsResident) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", {{{kHost, weights, 300}, {kGpu, kv, 100}}});
  EXPECT_EQ(ledger.held(id, kHost), 300u);
  EXPECT_EQ(ledger.committed(kGpu), 100u);
  EXPECT_EQ(ledger.available(kHost), 690u);
  EXPECT_EQ(ledger.available(kGpu), 395u);
  EXPECT_TRUE(ledger.fits({{{kHost, weights, 690}, {kGpu, weights, 395}}}));
  EXPECT_FALSE(ledger.fits({{{kHost, weights, 690}, {kGpu, weights, 396}}}));
  EXPECT_FALSE(ledger.fits({{{kHost, weights, 600}, {kHost, kv, 91}}}));
}

TEST(Ledger, WhileAWorkerLoadsPartIsResidentAndPartIsToCome) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", on_host(300));
  ledger.commit(id);
  // 120 are taken, 40 of them pages of its file, which the kernel still counts as available.
  ledger.measure(id, {{.resident_bytes = 120, .file_bytes = 40}}, false);
  ledger.read(machine(920));
  EXPECT_EQ(ledger.held(id, kHost), 300u);
  EXPECT_EQ(ledger.available(kHost), 690u);
}

TEST(Ledger, MappedWeightsAreNotFreeAlthoughTheKernelSaysSo) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", on_host(300));
  ledger.measure(id, {{.resident_bytes = 300, .file_bytes = 300}}, true);
  ledger.read(machine(1000));
  EXPECT_EQ(ledger.available(kHost), 690u);
}

TEST(Ledger, WhatWasTakenSinceTheLastReadingIsNotFreeTwice) {
  auto ledger = ledger_with(machine(800));  // others have 200
  const auto id = ledger.reserve("a", on_host(300));
  ledger.read(machine(800));
  ledger.measure(id, {{.resident_bytes = 300}}, true);  // the reading is older
  EXPECT_EQ(ledger.available(kHost), 490u);
  ledger.read(machine(500));
  EXPECT_EQ(ledger.available(kHost), 490u);
  // It gave some back, which the old reading does not show yet.
  ledger.measure(id, {{.resident_bytes = 100}}, true);
  EXPECT_EQ(ledger.available(kHost), 290u);
}

TEST(Ledger, OnceSettledTheMeasurementCountsAndGrowsOnly) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", on_host(300));
  ledger.measure(id, {{.resident_bytes = 350}}, false);
  EXPECT_EQ(ledger.held(id, kHost), 350u);
  EXPECT_EQ(ledger.over_prediction(id), 50u);
  ledger.measure(id, {{.resident_bytes = 200}}, true);
  EXPECT_EQ(ledger.held(id, kHost), 200u);
  EXPECT_EQ(ledger.over_prediction(id), 0u);
  ledger.measure(id, {{.resident_bytes = 260}}, true);
  ledger.measure(id, {{.resident_bytes = 150}}, false);  // still settled
  EXPECT_EQ(ledger.held(id, kHost), 260u);
}

TEST(Ledger, WhereNothingCanBeMeasuredThePredictionStands) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", {{{kHost, weights, 300}, {kGpu, weights, 100}}});
  ledger.measure(id, {{.resident_bytes = 250}}, true);
  ledger.read(machine(750, 400));
  EXPECT_EQ(ledger.held(id, kGpu), 100u);
  EXPECT_EQ(ledger.available(kGpu), 395u);
}

TEST(Ledger, AWorkerThatTakesMoreLowersWhatIsLeft) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", on_host(300));
  ledger.measure(id, {{.resident_bytes = 900}}, true);
  ledger.read(machine(100));
  EXPECT_EQ(ledger.available(kHost), 90u);
  EXPECT_EQ(ledger.over_prediction(id), 600u);
  ledger.reserve("b", on_host(500));  // more than there is: negative inside, nothing outside
  EXPECT_EQ(ledger.available(kHost), 0u);
}

TEST(Ledger, AReleasedIdHoldsNothingAndIsNotUsedAgain) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", on_host(300));
  ledger.release(id);
  ledger.release(id);
  ledger.commit(id);
  ledger.measure(id, {{.resident_bytes = 300}}, true);
  EXPECT_TRUE(ledger.empty());
  EXPECT_EQ(ledger.held(id, kHost), 0u);
  EXPECT_EQ(ledger.over_prediction(id), 0u);
  EXPECT_NE(ledger.reserve("b", on_host(1)), id);
}

TEST(Ledger, AbsurdFiguresAreCut) {
  constexpr auto kAbsurd = ~std::uint64_t{0};
  auto ledger = ledger_with({.devices = {{.total_bytes = kAbsurd, .free_bytes = kAbsurd}}});
  EXPECT_FALSE(ledger.fits({{{kHost, weights, kAbsurd}, {kHost, kv, kAbsurd}}}));
  const auto id = ledger.reserve("a", {{{kHost, weights, kAbsurd}, {kHost, kv, kAbsurd}}});
  EXPECT_EQ(ledger.available(kHost), 0u);
  ledger.measure(id, {{.resident_bytes = 100, .file_bytes = kAbsurd}}, true);
  EXPECT_EQ(ledger.committed(kHost), 100u);
  ledger.read({.devices = {{.total_bytes = 100, .free_bytes = kAbsurd}}});  // free beyond all
  EXPECT_EQ(ledger.describe_devices()[0].others_bytes, 0);
}

TEST(Ledger, DescribesDevicesAndReservations) {
  auto ledger = ledger_with(machine(1000));
  const auto id = ledger.reserve("a", {{{kHost, weights, 200}, {kHost, kv, 100}, {7, kv, 1}}});
  ledger.measure(id, {{.resident_bytes = 150, .file_bytes = 50}, {.resident_bytes = 20}}, true);
  ledger.read(machine(600, 480));

  const auto devices = ledger.describe_devices();
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].id, "host");
  EXPECT_EQ(devices[0].budget_bytes, 990);
  EXPECT_EQ(devices[0].committed_bytes, 150);
  EXPECT_EQ(devices[0].resident_bytes, 150);
  EXPECT_EQ(devices[0].others_bytes, 300);  // 400 are taken, 100 of them by the worker for itself
  EXPECT_EQ(devices[0].available_bytes, 540);
  EXPECT_EQ(devices[1].engine_name, "CUDA0");
  EXPECT_EQ(devices[1].others_bytes, 0);

  const auto reservations = ledger.describe_reservations();
  ASSERT_EQ(reservations.size(), 1u);
  EXPECT_EQ(reservations[0].owner, "a");
  EXPECT_EQ(reservations[0].state, ReservationState::measured);
  EXPECT_EQ(reservations[0].bytes, 170);
  ASSERT_EQ(reservations[0].parts.size(), 3u);
  EXPECT_EQ(reservations[0].parts[0].bytes, 100);
  EXPECT_EQ(reservations[0].parts[2].device, "gpu0");
  EXPECT_EQ(reservations[0].parts[2].kind, other);
}

// --- random sequences ---

struct Worker {
  Ledger::Id id = 0;
  std::vector<Usage> usage{};  // as it is, whatever the ledger knows
  std::uint64_t predicted[2]{};
};

// A machine with workers that really take memory, and others that take the rest.
class LedgerWorld {
 public:
  explicit LedgerWorld(std::uint64_t seed) : random_(seed) { read_all(); }

  void step() {
    switch (pick(6)) {
      case 0:
        return reserve();
      case 1:
        return grow();
      case 2:
        return measure();
      case 3:
        return end();
      case 4:
        others_[pick(1)] = pick(200);
        return read_all();
      default:
        return read_all();
    }
  }

  void check() {
    for (std::size_t device = 0; device < 2; ++device) {
      const auto budget = ledger.budget(device);
      const auto committed = ledger.committed(device);
      const auto available = ledger.available(device);
      ASSERT_LE(available, budget - std::min(committed, budget));
      // The truth: what was available can really be taken, on top of all that is still to come.
      std::uint64_t to_come = 0;
      for (const auto& worker : workers_) {
        const auto held = ledger.held(worker.id, device);
        to_come += held - std::min(held, resident(worker, device));
      }
      if (available > 0) {
        ASSERT_LE(available + to_come + taken(device) + others_[device], total(device))
            << "device " << device;
      }
    }
  }

  // With fresh figures, a release is foreseen exactly by available_without().
  void check_release() {
    if (workers_.empty()) return;
    for (const auto& worker : workers_) ledger.measure(worker.id, worker.usage, settled(worker));
    read_all();
    std::vector<Ledger::Id> ids;
    std::vector<Worker> staying;
    for (const auto& worker : workers_)
      if (pick(1) == 0)
        ids.push_back(worker.id);
      else
        staying.push_back(worker);
    const std::uint64_t foreseen[]{ledger.available_without(0, ids),
                                   ledger.available_without(1, ids)};
    for (const auto id : ids) ledger.release(id);
    workers_ = std::move(staying);
    read_all();
    for (std::size_t device = 0; device < 2; ++device)
      ASSERT_EQ(ledger.available(device), foreseen[device]);
  }

  void empty_all() {
    for (const auto& worker : workers_) ledger.release(worker.id);
    workers_.clear();
    read_all();
    ASSERT_TRUE(ledger.empty());
    for (std::size_t device = 0; device < 2; ++device) ASSERT_EQ(ledger.committed(device), 0u);
  }

  Ledger ledger{
      LedgerLimits{.vram_budget_bytes = 400, .ram_margin_bytes = 10, .vram_margin_bytes = 5}};

 private:
  std::uint64_t pick(std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(0, most)(random_);
  }
  static std::uint64_t total(std::size_t device) { return device == 0 ? 1000 : 500; }
  static std::uint64_t resident(const Worker& worker, std::size_t device) {
    return worker.usage[device].resident_bytes;
  }
  bool settled(const Worker& worker) const {
    return resident(worker, 0) >= worker.predicted[0] && resident(worker, 1) >= worker.predicted[1];
  }
  // All that workers have, mapped pages too: they are needed.
  std::uint64_t taken(std::size_t device) const {
    std::uint64_t out = 0;
    for (const auto& worker : workers_) out += resident(worker, device);
    return out;
  }

  void read_all() {
    std::uint64_t free[2]{};
    for (std::size_t device = 0; device < 2; ++device) {
      std::uint64_t used = others_[device];
      for (const auto& worker : workers_)
        used += resident(worker, device) - worker.usage[device].file_bytes;
      free[device] = total(device) - std::min(total(device), used);
    }
    ledger.read(machine(free[0], free[1]));
  }
  void reserve() {
    Worker worker{.usage = std::vector<Usage>(2), .predicted = {pick(300), pick(150)}};
    const Footprint footprint{
        {{kHost, weights, worker.predicted[0]}, {kGpu, weights, worker.predicted[1]}}};
    if (!ledger.fits(footprint)) return;
    worker.id = ledger.reserve("w", footprint);
    ledger.commit(worker.id);
    workers_.push_back(worker);
  }
  // A load goes on, up to what was predicted; part of it is mapped.
  void grow() {
    if (workers_.empty()) return;
    auto& worker = workers_[pick(workers_.size() - 1)];
    for (std::size_t device = 0; device < 2; ++device) {
      auto& usage = worker.usage[device];
      const auto more = pick(worker.predicted[device] - usage.resident_bytes);
      usage.resident_bytes += more;
      if (device == 0) usage.file_bytes += pick(more);
    }
  }
  void measure() {
    if (workers_.empty()) return;
    const auto& worker = workers_[pick(workers_.size() - 1)];
    ledger.measure(worker.id, worker.usage, settled(worker));
  }
  void end() {
    if (workers_.empty()) return;
    const auto at = pick(workers_.size() - 1);
    ledger.release(workers_[at].id);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::mt19937_64 random_;
  std::vector<Worker> workers_;
  std::uint64_t others_[2]{};
};

TEST(Ledger, HoldsItsRulesInAnyOrderOfEvents) {
  const char* const given = std::getenv("INGLE_TEST_SEED");
  const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : 0;
  for (std::uint64_t seed = first; seed < first + (given ? 1 : 500); ++seed) {
    SCOPED_TRACE("INGLE_TEST_SEED=" + std::to_string(seed));
    LedgerWorld world(seed);
    for (int i = 0; i < 100 && !testing::Test::HasFatalFailure(); ++i) {
      world.step();
      world.check();
      if (i % 10 == 0) world.check_release();
    }
    world.empty_all();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Ledger, WhatAWorkerMayGrowByIsHeldAllTheTime) {
  Ledger ledger({.ram_budget_bytes = 1000, .ram_margin_bytes = 0});
  ledger.read({.devices = {{.id = "host", .total_bytes = 2000, .free_bytes = 2000}}});
  const auto id = ledger.reserve("m", {{{kHost, protocol::MemoryKind::weights, 500}}}, 100);
  EXPECT_EQ(ledger.held(id, kHost), 600u);
  ledger.measure(id, {{.resident_bytes = 480}}, true);
  EXPECT_EQ(ledger.held(id, kHost), 580u) << "the cache is still empty";
  ledger.measure(id, {{.resident_bytes = 570}}, true);
  EXPECT_EQ(ledger.held(id, kHost), 580u) << "it has filled";
  EXPECT_EQ(ledger.over_prediction(id), 0u);
  ledger.measure(id, {{.resident_bytes = 650}}, true);
  EXPECT_EQ(ledger.held(id, kHost), 650u);
  EXPECT_EQ(ledger.over_prediction(id), 50u);
}

}  // namespace
}  // namespace ingle::resources
