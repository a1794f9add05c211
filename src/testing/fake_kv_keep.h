// A KvKeep that keeps nothing and counts what it is asked; with an amount to say. One thread only.
#pragma once

#include <string>
#include <vector>

#include "engines/kv_keep.h"

namespace ingle::testing {

class FakeKvKeep final : public engines::KvKeep {
 public:
  explicit FakeKvKeep(base::Loop& loop) : loop_(loop) {}

  base::Task<base::Status> open() override { co_return base::Status{}; }
  base::Task<base::Result<std::filesystem::path>> folder_for(const engines::LaunchPlan&) override {
    co_return std::filesystem::path{};
  }
  base::Task<base::Result<engines::KvAmount>> save(const engines::LaunchPlan& plan,
                                                   base::CancelToken cancel) override {
    CO_TRY(co_await base::sleep_for(loop_, time, cancel));
    saved.push_back(plan.model.info.id);
    co_return amount;
  }
  base::Task<base::Result<engines::KvAmount>> restore(const engines::LaunchPlan& plan,
                                                      base::CancelToken cancel) override {
    if (std::erase(saved, plan.model.info.id) == 0) co_return engines::KvAmount{};
    CO_TRY(co_await base::sleep_for(loop_, time, cancel));
    restored.push_back(plan.model.info.id);
    co_return amount;
  }
  base::Task<void> forget(std::string model) override {
    std::erase(saved, model);
    co_return;
  }
  std::uint64_t bytes_on_disk() const override { return saved.size() * amount.bytes; }

  base::Micros time{base::Millis(1)};  // of a save and of a restore
  engines::KvAmount amount{.slots = 1, .tokens = 100, .bytes = 1000};
  std::vector<std::string> saved{};  // models whose conversations are kept
  std::vector<std::string> restored{};

 private:
  base::Loop& loop_;
};

}  // namespace ingle::testing
