#include "api/openai/plan.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "api/openai/fields.h"
#include "api/openai/messages.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::size_t kStopsMax = 16;
constexpr std::size_t kBiasesMax = 1024;

auto bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

// Takes a member out of the body; null when it is absent.
Json take(Json& body, std::string_view name) {
  auto* member = body.find(name);
  if (member == nullptr) return {};
  Json out = std::move(*member);
  body.erase(name);
  return out;
}

base::Status check_stop(const Json& body) {
  const auto* stop = body.find("stop");
  if (stop == nullptr || stop->as_string() != nullptr) return {};
  const auto* list = stop->as_array();
  if (list == nullptr || list->size() > kStopsMax ||
      !std::ranges::all_of(*list, [](const Json& item) { return item.as_string() != nullptr; }))
    return bad(std::format("'stop' must be a string or a list of at most {} strings", kStopsMax));
  return {};
}

base::Status check_logit_bias(const Json& body) {
  const auto* bias = body.find("logit_bias");
  if (bias == nullptr) return {};
  const auto* members = bias->as_object();
  if (members == nullptr || members->size() > kBiasesMax)
    return bad(std::format("'logit_bias' must be an object of at most {} tokens", kBiasesMax));
  for (const auto& [token, value] : *members) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), id);
    if (error != std::errc{} || end != token.data() + token.size() || id < 0)
      return bad(std::format("'logit_bias' has the key '{}'; keys are token ids", token));
    const auto amount = value.as_double();
    if (!amount || *amount < -100 || *amount > 100)
      return bad(std::format("'logit_bias' of token {} must be a number from -100 to 100", token));
  }
  return {};
}

// The members that chat and completion share. Returns the number of choices.
base::Result<std::int64_t> plan_common(Json& body, Plan& plan) {
  const Json model = take(body, "model");
  if (model.as_string() == nullptr || model.as_string()->empty())
    return bad("'model' must name a model; GET /v1/models lists them");
  plan.model = *model.as_string();
  const Json stream = take(body, "stream");
  plan.stream = stream.as_bool() != nullptr && *stream.as_bool();
  const Json options = take(body, "stream_options");
  if (!options.is_null()) {
    if (!plan.stream) return bad("'stream_options' is only for streams ('stream': true)");
    if (options.as_object() == nullptr) return bad("'stream_options' must be an object");
    const auto* usage = options.find("include_usage");
    if (usage != nullptr && usage->as_bool() == nullptr)
      return bad("'stream_options.include_usage' must be true or false");
    plan.include_usage = usage != nullptr && *usage->as_bool();
  }
  const Json progress = take(body, "return_progress");
  plan.show_progress = progress.as_bool() != nullptr && *progress.as_bool() && plan.stream;
  const Json choices = take(body, "n");
  const std::int64_t n = choices.as_int().value_or(1);
  if (n < 1 || n > kChoicesMax)
    return bad(std::format("'n' is {}; it must be from 1 to {}", n, kChoicesMax));
  TRY(check_stop(body));
  TRY(check_logit_bias(body));
  // The worker always streams: it hears that a client is gone only when it writes.
  body.set("stream", true);
  body.set("stream_options", Json::Object{{"include_usage", true}});
  return n;
}

// Copies of `body` for `n` choices: the same seed would make them all alike.
void add_generations(const Generation& first, std::int64_t n, Plan& plan) {
  const auto* seed = first.body.find("seed");
  const auto base_seed = seed == nullptr ? std::nullopt : seed->as_int();
  for (std::int64_t i = 0; i < n; ++i) {
    plan.generations.push_back(first);
    if (base_seed && i > 0) plan.generations.back().body.set("seed", *base_seed + i);
  }
}

base::Status check_modalities(Json& body) {
  const Json modalities = take(body, "modalities");
  if (modalities.is_null()) return {};
  const auto* list = modalities.as_array();
  if (list == nullptr || list->size() != 1 || (*list)[0].as_string() == nullptr ||
      *(*list)[0].as_string() != "text")
    return fail(ErrorCode::unsupported, "'modalities' can only be [\"text\"]");
  return {};
}

bool is_token_list(const Json& value) {
  const auto* list = value.as_array();
  return list != nullptr && !list->empty() && std::ranges::all_of(*list, [](const Json& item) {
           return item.as_int() && *item.as_int() >= 0;
         });
}

// The prompts of a completion: one or several, each text or tokens.
base::Result<std::vector<Json>> split_prompts(Json prompt) {
  if (prompt.is_null()) return bad("'prompt' is missing");
  if (prompt.as_string() != nullptr || is_token_list(prompt)) return std::vector{std::move(prompt)};
  auto* list = prompt.as_array();
  if (list == nullptr || list->empty())
    return bad(
        "'prompt' must be a string, a list of strings, a list of tokens or a list of lists "
        "of tokens");
  for (const auto& item : *list)
    if (item.as_string() == nullptr && !is_token_list(item))
      return bad("'prompt' must hold strings or lists of tokens only");
  return std::move(*list);
}

}  // namespace

base::Result<Plan> plan_chat(Json body) {
  Plan plan{.kind = PlanKind::chat};
  TRY(check_fields(body, chat_fields()));
  TRY_ASSIGN(const std::int64_t n, plan_common(body, plan));
  auto* messages = body.find("messages");
  if (messages == nullptr) return bad("'messages' is missing");
  TRY(check_messages(*messages));
  TRY(check_tools(body, plan));
  TRY(check_response_format(body, plan));
  TRY(check_modalities(body));
  const Json limit = take(body, "max_completion_tokens");
  if (!limit.is_null()) body.set("max_tokens", limit);
  if (body.find("top_logprobs") != nullptr) {
    const auto* logprobs = body.find("logprobs");
    if (logprobs == nullptr || !*logprobs->as_bool())
      return bad("'top_logprobs' needs 'logprobs': true");
  }
  add_generations({.body = std::move(body)}, n, plan);
  return plan;
}

base::Result<Plan> plan_completion(Json body) {
  Plan plan{.kind = PlanKind::completion};
  TRY(check_fields(body, completion_fields()));
  TRY_ASSIGN(const std::int64_t n, plan_common(body, plan));
  if (const Json suffix = take(body, "suffix"); !suffix.is_null() && !suffix.as_string()->empty())
    return fail(ErrorCode::unsupported, "'suffix' is not supported");
  if (const Json best = take(body, "best_of"); !best.is_null() && *best.as_int() != n)
    return fail(ErrorCode::unsupported, "'best_of' other than 'n' is not supported");
  const Json echo = take(body, "echo");
  const bool echoes = echo.as_bool() != nullptr && *echo.as_bool();
  if (echoes && body.find("logprobs") != nullptr)
    return fail(ErrorCode::unsupported, "'echo' with 'logprobs' is not supported");
  TRY_ASSIGN(auto prompts, split_prompts(take(body, "prompt")));
  plan.prompts = prompts.size();
  if (prompts.size() * static_cast<std::size_t>(n) > kGenerationsMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("{} prompts with n = {} are over the limit of {} answers",
                            prompts.size(), n, kGenerationsMax));
  for (auto& prompt : prompts) {
    Generation generation{.body = body};
    if (echoes && prompt.as_string() != nullptr) generation.echo = *prompt.as_string();
    if (echoes && prompt.as_array() != nullptr)
      for (const auto& token : *prompt.as_array())
        generation.echo_tokens.push_back(*token.as_int());
    generation.body.set("prompt", std::move(prompt));
    add_generations(generation, n, plan);
  }
  return plan;
}

}  // namespace ingle::api::openai
