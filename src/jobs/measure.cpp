#include "jobs/measure.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <random>
#include <vector>

#include "http/sse.h"
#include "protocol/json.h"

namespace ingle::jobs {
namespace {

using base::CancelToken;
using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;
using base::Task;
using protocol::Json;

constexpr base::Millis kDeathTime{200};  // the socket may tell a death before the process table
constexpr std::size_t kErrorBytesMax = 64 * 1024;

// One request to a leased worker. It ends with the worker and with the token.
class WorkerCall {
 public:
  WorkerCall(MeasureSeams seams, engines::Lease& lease, CancelToken cancel)
      : seams_(seams), lease_(lease), asked_(std::move(cancel)) {
    on_asked_ = asked_.on_cancel([this] { cancel_.cancel(); });
    on_gone_ = lease_.worker_gone().on_cancel([this] { cancel_.cancel(); });
  }

  // The whole answer to a small question. Errors: as measure_once().
  Task<Result<Json>> ask(std::string target, Json body) {
    auto answer = co_await seams_.client.fetch(
        lease_.endpoint(), request(std::move(target), std::move(body)), cancel_.token());
    if (!answer) co_return fail(co_await explain(std::move(answer).error()));
    if (answer->status != 200) co_return fail(refusal(answer->status, answer->body));
    auto json = protocol::parse_json(answer->body);
    if (!json) co_return fail(nonsense());
    co_return json;
  }

  // A generation, streamed: a worker notices only while it writes that nobody wants the rest.
  // Returns the last event. Errors: as measure_once().
  Task<Result<Json>> generate(Json body) {
    auto stream = co_await seams_.client.open(
        lease_.endpoint(), request("/completion", std::move(body)), cancel_.token());
    if (!stream) co_return fail(co_await explain(std::move(stream).error()));
    const int status = (*stream)->head().status;
    std::string error_text;
    std::optional<Result<Json>> end;
    http::SseSplitter splitter;
    while (!end) {
      const auto piece = co_await (*stream)->read();
      if (!piece) co_return fail(co_await explain(piece.error()));
      if (piece->empty()) break;
      if (status != 200) {
        error_text +=
            piece->substr(0, kErrorBytesMax - std::min(kErrorBytesMax, error_text.size()));
        continue;
      }
      const bool fits = splitter.feed(*piece, [&](std::string_view event) { take(event, end); });
      if (!fits) co_return fail(nonsense());
    }
    if (status != 200) co_return fail(refusal(status, error_text));
    if (end) co_return *std::move(end);
    co_return fail(co_await explain(
        {ErrorCode::upstream_error, "the text engine ended its answer before its end"}));
  }

 private:
  http::Request request(std::string target, const Json& body) const {
    http::Request out{.method = http::Method::post, .target = std::move(target)};
    out.headers.set("Content-Type", "application/json");
    out.headers.set("Authorization", "Bearer " + lease_.api_key());
    out.body = protocol::print_json(body);
    return out;
  }

  static Error nonsense() {
    return {ErrorCode::upstream_error, "the text engine answered nonsense to a measurement"};
  }

  static Error refusal(int status, std::string_view body) {
    std::string words(body.substr(0, 500));
    if (const auto json = protocol::parse_json(body))
      if (const auto* error = json->find("error"))
        if (const auto* message = error->find("message"); message && message->as_string())
          words = *message->as_string();
    return {ErrorCode::upstream_error,
            std::format("the text engine refused a measurement with status {}: {}", status, words)};
  }

  static void take(std::string_view event, std::optional<Result<Json>>& end) {
    if (end) return;
    auto text = http::sse_data(event);
    if (event.starts_with("error:")) {
      end = fail(refusal(500, event.substr(6)));
      return;
    }
    if (text.empty() || text == "[DONE]") return;
    auto json = protocol::parse_json(text);
    if (!json) {
      end = fail(nonsense());
    } else if (json->find("error") != nullptr) {
      end = fail(refusal(500, text));
    } else if (const auto* stop = json->find("stop");
               stop != nullptr && stop->as_bool() != nullptr && *stop->as_bool()) {
      end = *std::move(json);
    }
  }

  // Whether it failed because somebody wanted it to, because the worker died, or as it says.
  Task<Error> explain(Error error) {
    if (asked_.cancelled()) co_return Error{ErrorCode::cancelled, "the measurement was cancelled"};
    if (!lease_.worker_gone().cancelled()) {
      base::Gate never(seams_.loop);
      std::ignore = co_await never.wait(kDeathTime, lease_.worker_gone());
    }
    if (lease_.worker_gone().cancelled()) co_return co_await lease_.crash();
    co_return error;
  }

  MeasureSeams seams_;
  engines::Lease& lease_;
  CancelToken asked_;
  base::CancelSource cancel_;
  base::CancelRegistration on_asked_;
  base::CancelRegistration on_gone_;
};

// Words that nobody wrote: each takes a token at least.
std::string made_up_text(const Workload& workload) {
  constexpr std::int64_t kRepeatedWords = 32;
  std::mt19937_64 random(workload.seed);
  const bool repeats = workload.text == Workload::Text::repeating;
  const auto words = workload.prompt_tokens;
  std::string out;
  for (std::int64_t i = 0; i < (repeats ? std::min(words, kRepeatedWords) : words); ++i) {
    for (auto letters = 3 + random() % 5; letters > 0; --letters)
      out += static_cast<char>('a' + random() % 26);
    out += ' ';
  }
  if (!repeats) return out;
  const std::string passage = out;
  for (std::int64_t told = kRepeatedWords; told < words; told += kRepeatedWords) out += passage;
  return out;
}

Task<Result<Json>> make_prompt(WorkerCall& call, const Workload& workload) {
  CO_TRY_ASSIGN(auto answer,
                co_await call.ask("/tokenize", Json::Object{{"content", made_up_text(workload)},
                                                            {"add_special", true}}));
  auto* tokens = answer.find("tokens");
  auto* list = tokens ? tokens->as_array() : nullptr;
  if (list == nullptr || std::ssize(*list) < workload.prompt_tokens)
    co_return fail(ErrorCode::upstream_error,
                   "the text engine did not cut a text into tokens as it should");
  list->resize(static_cast<std::size_t>(workload.prompt_tokens));
  co_return std::move(*tokens);
}

Result<double> per_second(const Json& timings, const char* count_key, const char* ms_key,
                          std::int64_t count_wanted) {
  const auto number = [&](const char* key) {
    const auto* member = timings.find(key);
    return member ? member->as_double().value_or(0) : 0;
  };
  const double count = number(count_key), ms = number(ms_key);
  if (!std::isfinite(count) || !std::isfinite(ms) || ms <= 0 ||
      count < static_cast<double>(count_wanted))
    return fail(ErrorCode::upstream_error,
                std::format("the text engine told of {} {} in {} ms, where {} were asked for",
                            count_key, count, ms, count_wanted));
  return count / ms * 1000;
}

double median_of(std::span<const Speed> speeds, double Speed::* member) {
  if (speeds.empty()) return 0;
  std::vector<double> values;
  for (const auto& speed : speeds) values.push_back(speed.*member);
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

double Speed::time_ms(const Workload& workload) const {
  const auto part = [](std::int64_t tokens, double per_s) {
    return per_s > 0 ? static_cast<double>(tokens) / per_s * 1000 : 0;
  };
  return part(workload.prompt_tokens, prompt_tokens_per_s) +
         part(workload.generated_tokens, generated_tokens_per_s);
}

Task<Result<Speed>> measure_once(MeasureSeams seams, engines::Lease& lease, Workload workload,
                                 CancelToken cancel) {
  if (const auto room = lease.context_tokens();
      room > 0 && workload.prompt_tokens + workload.generated_tokens > room)
    co_return fail(
        ErrorCode::invalid_argument,
        std::format("{} tokens of prompt and {} to generate do not fit the context of "
                    "{} tokens that '{}' runs with; measure with fewer, or set "
                    "context_tokens",
                    workload.prompt_tokens, workload.generated_tokens, room, lease.model().id));
  WorkerCall call(seams, lease, std::move(cancel));
  CO_TRY_ASSIGN(auto prompt, co_await make_prompt(call, workload));
  // At temperature 0 many a model soon says the same again and again.
  const bool fresh = workload.text == Workload::Text::fresh;
  CO_TRY_ASSIGN(const auto end, co_await call.generate(Json::Object{
                                    {"prompt", std::move(prompt)},
                                    {"n_predict", workload.generated_tokens},
                                    {"cache_prompt", false},
                                    {"ignore_eos", true},
                                    {"temperature", fresh ? 1 : 0},
                                    {"seed", static_cast<std::int64_t>(workload.seed % 1'000'000)},
                                    {"stream", true},
                                    {"return_progress", true}}));
  const auto* timings = end.find("timings");
  if (timings == nullptr)
    co_return fail(ErrorCode::upstream_error, "the text engine told no timings");
  Speed out;
  CO_TRY_ASSIGN(out.prompt_tokens_per_s,
                per_second(*timings, "prompt_n", "prompt_ms", workload.prompt_tokens));
  CO_TRY_ASSIGN(out.generated_tokens_per_s,
                per_second(*timings, "predicted_n", "predicted_ms", workload.generated_tokens));
  co_return out;
}

Speed median_speed(std::span<const Speed> speeds) {
  return {.prompt_tokens_per_s = median_of(speeds, &Speed::prompt_tokens_per_s),
          .generated_tokens_per_s = median_of(speeds, &Speed::generated_tokens_per_s)};
}

}  // namespace ingle::jobs
