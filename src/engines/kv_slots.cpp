#include "engines/kv_slots.h"

#include <algorithm>
#include <format>
#include <set>

#include "base/bytes.h"
#include "engines/kv_records.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

// The list tells the last request of each slot, with its grammar.
constexpr std::uint64_t kAnswerBytesMax = 16ull << 20;

std::optional<std::int64_t> int_of(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  return member ? member->as_int() : std::nullopt;
}

bool is_true(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  const bool* value = member ? member->as_bool() : nullptr;
  return value != nullptr && *value;
}

}  // namespace

Deadline::Deadline(base::Loop& loop, const base::CancelToken& cancel)
    : loop_(loop),
      caller_(cancel),
      timer_(loop.after(kKvTimeMax,
                        [this] {
                          over_ = true;
                          source_.cancel();
                        })),
      heard_(cancel.on_cancel([this] { source_.cancel(); })) {}

base::Task<base::Result<KvSlots::Answer>> KvSlots::ask(const LaunchPlan& plan, http::Method method,
                                                       std::string target, std::string body,
                                                       const Deadline& deadline) {
  http::Request request{.method = method, .target = target, .body = std::move(body)};
  request.headers.add("Authorization", "Bearer " + plan.api_key);
  if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
  auto answer =
      co_await client_.fetch(http::UnixEndpoint{plan.socket}, std::move(request), deadline.token());
  if (!answer && deadline.over())
    co_return fail(ErrorCode::timeout,
                   std::format("the worker of '{}' did not answer {} in time: saving and restoring "
                               "conversations may take {} in all",
                               plan.model.info.id, target, base::format_duration(kKvTimeMax)));
  if (!answer) co_return fail(std::move(answer).error());
  if (answer->status != 200) co_return Answer{.status = answer->status};
  CO_TRY_ASSIGN(auto json, protocol::parse_json(answer->body, {.bytes_max = kAnswerBytesMax}));
  co_return Answer{200, std::move(json)};
}

base::Task<base::Result<std::vector<SlotState>>> KvSlots::idle(const LaunchPlan& plan,
                                                               const Deadline& deadline) {
  CO_TRY_ASSIGN(const auto answer, co_await ask(plan, http::Method::get, "/slots", "", deadline));
  const Json::Array* list = answer.json.as_array();
  if (list == nullptr || list->size() > kKeptSlotsMax)
    co_return fail(ErrorCode::upstream_error,
                   std::format("llama-server answered /slots with status {} and no list of slots",
                               answer.status));
  std::vector<SlotState> out;
  std::set<std::int64_t> seen;
  for (const Json& entry : *list) {
    const auto id = int_of(entry, "id").value_or(-1);
    // The engine would take a number that is too large for another slot's.
    if (id < 0 || id >= kKeptSlotsMax || !seen.insert(id).second) continue;
    if (is_true(entry, "is_processing")) continue;
    out.push_back({.id = id, .tokens = int_of(entry, "n_prompt_tokens")});
  }
  co_return out;
}

base::Task<base::Result<Json>> KvSlots::act(const LaunchPlan& plan, std::int64_t slot,
                                            std::string_view action, const Deadline& deadline) {
  CO_TRY_ASSIGN(
      auto answer,
      co_await ask(plan, http::Method::post, std::format("/slots/{}?action={}", slot, action),
                   std::format(R"({{"filename":"{}"}})", kv_file_name(slot)), deadline));
  if (answer.status != 200)
    co_return fail(ErrorCode::conflict,
                   std::format("llama-server could not {} slot {} of '{}' (status {})", action,
                               slot, plan.model.info.id, answer.status));
  co_return std::move(answer.json);
}

base::Task<base::Result<std::int64_t>> KvSlots::save(const LaunchPlan& plan, std::int64_t slot,
                                                     const Deadline& deadline) {
  CO_TRY_ASSIGN(const auto json, co_await act(plan, slot, "save", deadline));
  co_return int_of(json, "n_saved").value_or(0);
}

base::Task<base::Status> KvSlots::restore(const LaunchPlan& plan, std::int64_t slot,
                                          const Deadline& deadline) {
  CO_TRY(co_await act(plan, slot, "restore", deadline));
  co_return base::Status{};
}

}  // namespace ingle::engines
