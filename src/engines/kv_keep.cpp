#include "engines/kv_keep.h"

#include <algorithm>
#include <format>
#include <functional>
#include <map>

#include "base/bytes.h"
#include "engines/kv_records.h"
#include "engines/kv_slots.h"
#include "resources/estimate.h"

namespace ingle::engines {
namespace {

using base::CancelToken;
using base::ErrorCode;
using base::fail;

// Fewer are computed again sooner than they are read.
constexpr std::int64_t kTokensMin = 65;
// Left free on the disk, whatever bytes_max allows.
constexpr std::uint64_t kDiskReserveBytes = 1ull << 30;

struct Slot {
  std::int64_t id = 0;
  std::int64_t tokens = 0;
  std::uint64_t bytes_expected = 0;
};

// What a slot's cache will take on disk, about. The engine adds checkpoints of models with a
// sliding window or a recurrent state, a few MB each, so the true size is looked at afterwards.
std::uint64_t expected_bytes(const LaunchPlan& plan, std::int64_t tokens) {
  auto use = plan.settings.use;
  use.context_tokens = tokens;
  return resources::slot_cache_bytes(plan.model.facts, use);
}

class KvKeeper final : public KvKeep {
 public:
  KvKeeper(KvKeepOptions options, http::Client& client, base::Loop& loop, base::Lanes& lanes,
           platform::Files& files, base::Logger log)
      : options_(std::move(options)),
        loop_(loop),
        lanes_(lanes),
        files_(files),
        log_(std::move(log)),
        records_(options_.folder, files),
        slots_(client),
        free_(loop) {}

  base::Task<base::Status> open() override;
  base::Task<base::Result<std::filesystem::path>> folder_for(const LaunchPlan& plan) override;
  base::Task<base::Result<KvAmount>> save(const LaunchPlan& plan, CancelToken cancel) override;
  base::Task<base::Result<KvAmount>> restore(const LaunchPlan& plan, CancelToken cancel) override;
  base::Task<void> forget(std::string model) override;
  std::uint64_t bytes_on_disk() const override;

 private:
  // One call works at a time: they share one disk and one bound on it.
  class Turn {
   public:
    explicit Turn(KvKeeper& keeper) : keeper_(keeper) { keeper_.busy_ = true; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      keeper_.busy_ = false;
      keeper_.free_.wake();
    }

   private:
    KvKeeper& keeper_;
  };
  base::Task<base::Status> wait_for_turn(CancelToken cancel);

  base::Task<base::Result<std::vector<Slot>>> slots_worth_saving(const LaunchPlan& plan,
                                                                 const Deadline& deadline);
  base::Task<KeptModel> describe(const LaunchPlan& plan);
  base::Task<std::vector<Slot>> make_room(const LaunchPlan& plan, std::vector<Slot> slots);
  base::Task<bool> shed_others(std::string model, std::uint64_t bytes, std::uint64_t bytes_max);
  base::Task<base::Result<KeptSlot>> save_slot(const LaunchPlan& plan, Slot slot,
                                               std::uint64_t bytes_before,
                                               const Deadline& deadline);
  base::Task<base::Status> check(const LaunchPlan& plan, const KeptModel& record);
  base::Task<base::Result<KvAmount>> restore_slots(const LaunchPlan& plan, KeptModel record,
                                                   const Deadline& deadline);
  base::Task<void> clear(std::string model);
  bool keeps(const LaunchPlan& plan) const {
    return options_.bytes_max > 0 && plan.model.info.kind == protocol::ModelKind::text;
  }
  // Runs blocking work on the normal lane.
  template <class F>
  auto on_lane(F work) {
    return base::run_on(lanes_, loop_, base::Lane::normal, "conversations on disk",
                        std::move(work));
  }

  const KvKeepOptions options_;
  base::Loop& loop_;
  base::Lanes& lanes_;
  platform::Files& files_;
  const base::Logger log_;
  const KvRecords records_;
  KvSlots slots_;
  bool busy_ = false;
  base::Gate free_;
  std::map<std::string, KeptModel, std::less<>> kept_;
  // Tokens by slot that a worker got back: it counts a slot's tokens only once that was used again.
  std::map<std::string, std::map<std::int64_t, std::int64_t>, std::less<>> restored_;
};

base::Task<base::Status> KvKeeper::wait_for_turn(CancelToken cancel) {
  while (busy_) CO_TRY(co_await free_.wait(cancel));
  co_return base::Status{};
}

std::uint64_t KvKeeper::bytes_on_disk() const {
  std::uint64_t out = 0;
  for (const auto& [model, record] : kept_) out += record.bytes();
  return out;
}

base::Task<base::Status> KvKeeper::open() {
  CO_TRY(co_await wait_for_turn({}));
  const Turn turn(*this);
  if (options_.bytes_max == 0)
    co_return co_await on_lane([&] { return files_.remove_tree(options_.folder); });
  CO_TRY_ASSIGN(auto found, co_await on_lane([&] { return records_.open(); }));
  for (auto& record : found) kept_.insert_or_assign(record.model, std::move(record));
  co_await shed_others("", 0, options_.bytes_max);
  co_return base::Status{};
}

base::Task<base::Result<std::filesystem::path>> KvKeeper::folder_for(const LaunchPlan& plan) {
  if (!keeps(plan)) co_return std::filesystem::path{};
  const auto folder = records_.folder_of(plan.model.info.id);
  CO_TRY(co_await on_lane([&] { return files_.make_folder(folder); }));
  co_return folder;
}

base::Task<void> KvKeeper::forget(std::string model) {
  if (!co_await wait_for_turn({})) co_return;
  const Turn turn(*this);
  restored_.erase(model);
  co_await clear(std::move(model));
}

// Errors of removing are only told: what stays is removed at the next start.
base::Task<void> KvKeeper::clear(std::string model) {
  kept_.erase(model);
  const auto cleared = co_await on_lane([&] { return records_.clear(model); });
  if (!cleared) log_.warning("kv_not_removed", cleared.error());
}

base::Task<base::Result<std::vector<Slot>>> KvKeeper::slots_worth_saving(const LaunchPlan& plan,
                                                                         const Deadline& deadline) {
  CO_TRY_ASSIGN(const auto idle, co_await slots_.idle(plan, deadline));
  const auto of_model = restored_.find(plan.model.info.id);
  const auto restored_tokens = [&](std::int64_t slot) -> std::int64_t {
    if (of_model == restored_.end()) return 0;
    const auto found = of_model->second.find(slot);
    return found == of_model->second.end() ? 0 : found->second;
  };
  std::vector<Slot> out;
  for (const auto& slot : idle) {
    const auto tokens = slot.tokens.value_or(restored_tokens(slot.id));
    if (tokens < kTokensMin || tokens > plan.settings.context_tokens) continue;
    out.push_back(
        {.id = slot.id, .tokens = tokens, .bytes_expected = expected_bytes(plan, tokens)});
  }
  // The longest first: if there is not room for all, that one takes longest to compute again.
  std::ranges::sort(out, std::greater(), &Slot::tokens);
  co_return out;
}

// The record of a worker's model, still without slots.
base::Task<KeptModel> KvKeeper::describe(const LaunchPlan& plan) {
  const auto& settings = plan.settings;
  KeptModel out{.model = plan.model.info.id, .path = plan.model.info.path};
  platform::FileInfo engine;
  const auto looked = co_await on_lane([&]() -> base::Status {
    TRY_ASSIGN(const auto file, files_.info(out.path));
    out.size_bytes = file.size_bytes;
    out.modified_ns = file.modified_ns;
    TRY_ASSIGN(engine, files_.info(plan.executable));
    return {};
  });
  // Then the worker that would have to read it will not start either.
  if (!looked) log_.debug("kv_identity_unknown", looked.error().text());
  // The engine refuses what was saved with another number of slots, other types or the other
  // arrangement of values that flash attention has. The context may differ: slots that are longer
  // are left out when restoring.
  out.settings =
      std::format("engine {} {} {}, parallel {}, kv {} {}, flash attention {}", plan.executable,
                  engine.size_bytes, engine.modified_ns, settings.parallel, settings.kv_type_k,
                  settings.kv_type_v, settings.flash_attention);
  co_return out;
}

// Removes what other models keep, the one saved longest ago first, until `bytes` more would fit.
base::Task<bool> KvKeeper::shed_others(std::string model, std::uint64_t bytes,
                                       std::uint64_t bytes_max) {
  while (bytes_on_disk() + bytes > bytes_max) {
    const KeptModel* oldest = nullptr;
    for (const auto& [id, record] : kept_)
      if (id != model && (!oldest || record.saved_unix_ms < oldest->saved_unix_ms))
        oldest = &record;
    if (oldest == nullptr) co_return false;
    log_.info(
        "kv_dropped",
        std::format("the conversations of '{}' ({} tokens, {}) were dropped to keep within {}",
                    oldest->model, oldest->tokens(), base::format_bytes(oldest->bytes()),
                    base::format_bytes(bytes_max)));
    co_await clear(std::string(oldest->model));
  }
  co_return true;
}

// The slots that can be kept, after room was made for them.
base::Task<std::vector<Slot>> KvKeeper::make_room(const LaunchPlan& plan, std::vector<Slot> slots) {
  const auto free = co_await on_lane([&] { return files_.free_bytes(options_.folder); });
  // When the disk does not say what it has, the write will.
  const std::uint64_t disk = bytes_on_disk() + free.value_or(UINT64_MAX / 2);
  const std::uint64_t bytes_max =
      std::min(options_.bytes_max, disk - std::min(disk, kDiskReserveBytes));
  std::uint64_t sum = 0;
  std::vector<Slot> out;
  for (const auto& slot : slots) {
    if (slot.bytes_expected > bytes_max - sum) {
      log_.warning(
          "kv_no_room",
          std::format("a conversation of {} tokens with '{}' is not kept: it takes about {}"
                      " of disk space and {} are left for it. Raise memory.kv_disk, or "
                      "free space where {} is",
                      slot.tokens, plan.model.info.id, base::format_bytes(slot.bytes_expected),
                      base::format_bytes(bytes_max - sum), options_.folder.native()));
      continue;
    }
    sum += slot.bytes_expected;
    out.push_back(slot);
  }
  if (!out.empty()) co_await shed_others(plan.model.info.id, sum, bytes_max);
  co_return out;
}

// Errors: conflict (the worker refused), limit_exceeded (larger than there is room for), both of
// this slot alone; and those of KvSlots and KvRecords. The file is then removed.
base::Task<base::Result<KeptSlot>> KvKeeper::save_slot(const LaunchPlan& plan, Slot slot,
                                                       std::uint64_t bytes_before,
                                                       const Deadline& deadline) {
  const std::string& model = plan.model.info.id;
  const auto save = [&]() -> base::Task<base::Result<KeptSlot>> {
    CO_TRY_ASSIGN(const auto tokens, co_await slots_.save(plan, slot.id, deadline));
    CO_TRY_ASSIGN(const auto file,
                  co_await on_lane([&] { return records_.look_at(model, slot.id); }));
    if (tokens < kTokensMin || tokens > plan.settings.context_tokens)
      co_return fail(ErrorCode::conflict,
                     std::format("slot {} of '{}' holds {} tokens instead of {}", slot.id, model,
                                 tokens, slot.tokens));
    if (!co_await shed_others(model, bytes_before + file.size_bytes, options_.bytes_max))
      co_return fail(ErrorCode::limit_exceeded,
                     std::format("it took {} of disk space, more than expected ({}): raise "
                                 "memory.kv_disk",
                                 base::format_bytes(file.size_bytes),
                                 base::format_bytes(slot.bytes_expected)));
    co_return KeptSlot{.slot = slot.id,
                       .tokens = tokens,
                       .bytes = file.size_bytes,
                       .modified_ns = file.modified_ns};
  };
  auto saved = co_await save();
  if (!saved) {
    const auto removed = co_await on_lane([&] { return records_.remove_slot(model, slot.id); });
    if (!removed) log_.warning("kv_not_removed", removed.error());
  }
  co_return saved;
}

base::Task<base::Result<KvAmount>> KvKeeper::save(const LaunchPlan& plan, CancelToken cancel) {
  if (!keeps(plan)) co_return KvAmount{};
  CO_TRY(co_await wait_for_turn(cancel));
  const Turn turn(*this);
  const std::string& model = plan.model.info.id;
  const auto started = loop_.clock().mono_now();
  const Deadline deadline(loop_, cancel);
  // Also whatever else is in the folder: a link must not be written through.
  co_await clear(model);
  CO_TRY_ASSIGN(auto slots, co_await slots_worth_saving(plan, deadline));
  slots = co_await make_room(plan, std::move(slots));
  if (slots.empty()) co_return KvAmount{};
  auto record = co_await describe(plan);
  for (const auto& slot : slots) {
    auto saved = co_await save_slot(plan, slot, record.bytes(), deadline);
    if (saved) {
      record.slots.push_back(*saved);
      continue;
    }
    const auto code = saved.error().code;
    const bool of_this_slot = code == ErrorCode::conflict || code == ErrorCode::limit_exceeded;
    if (deadline.cancelled()) {
      co_await clear(model);
      co_return fail(std::move(saved).error());
    }
    log_.warning("kv_not_saved",
                 std::move(saved).error().with_context(std::format(
                     "a conversation of {} tokens with '{}' is not kept{}", slot.tokens, model,
                     code == ErrorCode::conflict ? "; the disk may be full" : "")));
    if (!of_this_slot) break;
  }
  if (record.slots.empty()) co_return KvAmount{};
  record.saved_unix_ms =
      std::chrono::floor<base::Millis>(loop_.clock().wall_now()).time_since_epoch().count();
  const auto written = co_await on_lane([&] { return records_.write(record); });
  // Good until the daemon ends all the same.
  if (!written) log_.warning("kv_not_recorded", written.error());
  const KvAmount out{
      .slots = std::ssize(record.slots), .tokens = record.tokens(), .bytes = record.bytes()};
  log_.info("kv_saved", std::format("{} conversations of '{}' were saved: {} tokens, {}, in {}",
                                    out.slots, model, out.tokens, base::format_bytes(out.bytes),
                                    base::format_duration(std::chrono::floor<base::Micros>(
                                        loop_.clock().mono_now() - started))));
  kept_.insert_or_assign(model, std::move(record));
  co_return out;
}

// Errors: conflict, with the reason why it must not be restored into this worker.
base::Task<base::Status> KvKeeper::check(const LaunchPlan& plan, const KeptModel& record) {
  const auto now = co_await describe(plan);
  if (!now.same_settings(record))
    co_return fail(
        ErrorCode::conflict,
        std::format("they were saved with \"{}\" and the worker has \"{}\", or the model "
                    "has changed",
                    record.settings, now.settings));
  co_return co_await on_lane([&] { return records_.check(record); });
}

base::Task<base::Result<KvAmount>> KvKeeper::restore_slots(const LaunchPlan& plan, KeptModel record,
                                                           const Deadline& deadline) {
  KvAmount out;
  for (const auto& slot : record.slots) {
    if (slot.tokens >= plan.settings.context_tokens) continue;
    if (auto restored = co_await slots_.restore(plan, slot.slot, deadline); !restored) {
      if (restored.error().code != ErrorCode::conflict) co_return fail(std::move(restored).error());
      log_.warning("kv_not_restored",
                   std::format("a conversation of {} tokens is computed again: {}", slot.tokens,
                               restored.error().text()));
      continue;
    }
    restored_[record.model][slot.slot] = slot.tokens;
    out.slots += 1;
    out.tokens += slot.tokens;
    out.bytes += slot.bytes;
  }
  co_return out;
}

base::Task<base::Result<KvAmount>> KvKeeper::restore(const LaunchPlan& plan, CancelToken cancel) {
  const std::string& model = plan.model.info.id;
  if (!keeps(plan)) co_return KvAmount{};
  CO_TRY(co_await wait_for_turn(cancel));
  const Turn turn(*this);
  restored_.erase(model);
  const auto found = kept_.find(model);
  if (found == kept_.end()) co_return KvAmount{};
  const auto record = std::move(found->second);
  kept_.erase(found);
  const auto started = loop_.clock().mono_now();
  const Deadline deadline(loop_, cancel);
  // Without its record nothing is tried a second time, should the worker or the daemon end here.
  const auto removed = co_await on_lane([&] { return records_.remove_record(model); });
  if (!removed) log_.warning("kv_not_removed", removed.error());
  base::Result<KvAmount> out = KvAmount{};
  if (auto usable = co_await check(plan, record); !usable)
    log_.info("kv_not_restored",
              std::format("the conversations of '{}' ({} tokens) are dropped: {}", model,
                          record.tokens(), usable.error().text()));
  else
    out = co_await restore_slots(plan, record, deadline);
  co_await clear(model);
  if (out && out->slots > 0)
    log_.info("kv_restored",
              std::format("{} conversations of '{}' are back: {} tokens, {}, in {}", out->slots,
                          model, out->tokens, base::format_bytes(out->bytes),
                          base::format_duration(std::chrono::floor<base::Micros>(
                              loop_.clock().mono_now() - started))));
  co_return out;
}

}  // namespace

std::unique_ptr<KvKeep> create_kv_keep(KvKeepOptions options, http::Client& client,
                                       base::Loop& loop, base::Lanes& lanes, platform::Files& files,
                                       base::Logger log) {
  return std::make_unique<KvKeeper>(std::move(options), client, loop, lanes, files, std::move(log));
}

}  // namespace ingle::engines
