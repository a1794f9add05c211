#include "api/openai/choice.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

void append_string(std::string& to, const Json* from) {
  if (from != nullptr && from->as_string() != nullptr) to += *from->as_string();
}

std::int64_t int_member(const Json& object, std::string_view name) {
  const auto* member = object.find(name);
  return member == nullptr ? 0 : member->as_int().value_or(0);
}

}  // namespace

base::Status Choice::take(const Json& chunk) {
  const auto* choices = chunk.find("choices");
  if (choices == nullptr || choices->as_array() == nullptr)
    return fail(ErrorCode::upstream_error, "the text engine sent a chunk without choices");
  if (first_.is_null() && !choices->as_array()->empty()) {
    first_ = chunk;
    first_.erase("choices");
  }
  if (const auto* timings = chunk.find("timings")) timings_ = *timings;
  if (const auto* usage = chunk.find("usage"); usage != nullptr && !usage->is_null())
    take_usage(*usage);
  if (choices->as_array()->empty()) return {};
  const Json& choice = choices->as_array()->front();
  if (const auto* delta = choice.find("delta")) take_delta(*delta);
  append_string(content_, choice.find("text"));
  if (const auto* logprobs = choice.find("logprobs"); logprobs != nullptr && !logprobs->is_null()) {
    has_logprobs_ = true;
    if (const auto* entries = logprobs->find("content");
        entries != nullptr && entries->as_array() != nullptr)
      logprobs_.append_range(*entries->as_array());
  }
  const auto* reason = choice.find("finish_reason");
  if (reason == nullptr || reason->as_string() == nullptr) return {};
  finish_reason_ = *reason->as_string();
  return check_finished();
}

void Choice::take_delta(const Json& delta) {
  append_string(content_, delta.find("content"));
  append_string(reasoning_, delta.find("reasoning_content"));
  const auto* calls = delta.find("tool_calls");
  if (calls == nullptr || calls->as_array() == nullptr) return;
  for (const auto& call : *calls->as_array()) {
    auto& gathered = tool_calls_[int_member(call, "index")];
    append_string(gathered.id, call.find("id"));
    if (const auto* function = call.find("function")) {
      append_string(gathered.name, function->find("name"));
      append_string(gathered.arguments, function->find("arguments"));
    }
  }
}

void Choice::take_usage(const Json& usage) {
  prompt_tokens_ = int_member(usage, "prompt_tokens");
  completion_tokens_ = int_member(usage, "completion_tokens");
  if (const auto* details = usage.find("prompt_tokens_details"))
    cached_tokens_ = int_member(*details, "cached_tokens");
}

// An answer that was cut short by its length is what it is; a finished one keeps its promise.
base::Status Choice::check_finished() const {
  if (finish_reason_ == "length") return {};
  if (plan_.must_call_tool && tool_calls_.empty())
    return fail(ErrorCode::upstream_error,
                "the model answered without the tool call that tool_choice demands; its chat "
                "template may not know tools");
  if (plan_.must_be_json && tool_calls_.empty() && !protocol::parse_json(content_))
    return fail(ErrorCode::upstream_error,
                "the model's answer is not the JSON that response_format demands; its chat "
                "template may add text of its own");
  return {};
}

Json Choice::whole(std::int64_t index, const std::string& echo) const {
  Json out{Json::Object{}};
  out.set("index", index);
  if (plan_.kind == PlanKind::completion) {
    out.set("text", echo + content_);
    out.set("logprobs", has_logprobs_ ? completion_logprobs(logprobs_, echo.size()) : Json{});
  } else {
    Json message{Json::Object{}};
    message.set("role", "assistant");
    message.set("content", tool_calls_.empty() || !content_.empty() ? Json(content_) : Json{});
    message.set("refusal", nullptr);
    if (!reasoning_.empty()) message.set("reasoning_content", reasoning_);
    if (!tool_calls_.empty()) {
      Json::Array calls;
      for (const auto& [number, call] : tool_calls_)
        calls.push_back(Json::Object{
            {"id", call.id},
            {"type", "function"},
            {"function", Json::Object{{"name", call.name}, {"arguments", call.arguments}}}});
      message.set("tool_calls", std::move(calls));
    }
    out.set("message", std::move(message));
    out.set("logprobs", has_logprobs_
                            ? Json(Json::Object{{"content", logprobs_}, {"refusal", nullptr}})
                            : Json{});
  }
  out.set("finish_reason", finish_reason_.empty() ? Json{} : Json(finish_reason_));
  return out;
}

Json usage_of(const std::vector<Choice>& choices, std::size_t choices_per_prompt) {
  std::int64_t prompt = 0, completion = 0, cached = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    completion += choices[i].completion_tokens();
    if (i % choices_per_prompt != 0) continue;
    prompt += choices[i].prompt_tokens();
    cached += choices[i].cached_tokens();
  }
  return Json::Object{{"prompt_tokens", prompt},
                      {"completion_tokens", completion},
                      {"total_tokens", prompt + completion},
                      {"prompt_tokens_details", Json::Object{{"cached_tokens", cached}}}};
}

Json completion_logprobs(const Json::Array& entries, std::size_t text_offset) {
  Json::Array tokens, values, tops, offsets;
  for (const auto& entry : entries) {
    const auto* token = entry.find("token");
    const auto* value = entry.find("logprob");
    const std::string text =
        token != nullptr && token->as_string() != nullptr ? *token->as_string() : std::string{};
    tokens.emplace_back(text);
    values.emplace_back(value == nullptr ? Json{} : *value);
    offsets.emplace_back(text_offset);
    text_offset += text.size();
    Json top{Json::Object{}};
    if (const auto* list = entry.find("top_logprobs"); list != nullptr && list->as_array())
      for (const auto& item : *list->as_array())
        if (const auto* name = item.find("token"); name != nullptr && name->as_string() != nullptr)
          if (const auto* logprob = item.find("logprob")) top.set(*name->as_string(), *logprob);
    tops.push_back(std::move(top));
  }
  return Json::Object{{"tokens", std::move(tokens)},
                      {"token_logprobs", std::move(values)},
                      {"top_logprobs", std::move(tops)},
                      {"text_offset", std::move(offsets)}};
}

}  // namespace ingle::api::openai
