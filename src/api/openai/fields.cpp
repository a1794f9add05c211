#include "api/openai/fields.h"

#include <array>
#include <cmath>
#include <format>
#include <vector>

#include "base/near_names.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;
using enum FieldKind;
using enum FieldUse;

constexpr double kInt32Max = 2147483647.0;
constexpr double kInt64Max = 9007199254740991.0;

// What chat and completion have in common.
constexpr std::array kSampling{
    Field{"model", string, own},
    Field{"stream", boolean, own},
    Field{"stream_options", any, own},
    Field{"n", integer, own},
    Field{"return_progress", boolean, own},
    Field{"temperature", number, forward, 0, 100},
    Field{"top_p", number, forward, 0, 1},
    Field{"top_k", integer, forward, 0, kInt32Max},
    Field{"min_p", number, forward, 0, 1},
    Field{"typical_p", number, forward, 0, 1},
    Field{"frequency_penalty", number, forward, -2, 2},
    Field{"presence_penalty", number, forward, -2, 2},
    Field{"repeat_penalty", number, forward, 0, 10},
    Field{"repeat_last_n", integer, forward, -1, kInt32Max},
    Field{"seed", integer, forward, -kInt64Max, kInt64Max},
    Field{"max_tokens", integer, forward, 1, kInt32Max},
    Field{"stop", any, own},
    Field{"logit_bias", any, own},
    Field{"ignore_eos", boolean, forward},
    Field{"timings_per_token", boolean, forward},
    Field{"user", string, ignore},
    Field{"metadata", any, ignore},
    Field{"store", boolean, ignore},
    Field{"service_tier", string, ignore},
    Field{"safety_identifier", string, ignore},
    Field{"prompt_cache_key", string, ignore},
    Field{"prompt_cache_retention", string, ignore},
    Field{"keep_alive", any, ignore},
};

constexpr std::array kChatOnly{
    Field{"messages", any, own},
    Field{"max_completion_tokens", integer, own, 1, kInt32Max},
    Field{"logprobs", boolean, forward},
    Field{"top_logprobs", integer, forward, 0, 20},
    Field{"tools", any, own},
    Field{"tool_choice", any, own},
    Field{"parallel_tool_calls", boolean, forward},
    Field{"response_format", any, own},
    Field{"reasoning_effort", string, forward},
    Field{"chat_template_kwargs", any, forward},
    Field{"verbosity", string, ignore},
    Field{"modalities", any, own},
};

constexpr std::array kCompletionOnly{
    Field{"prompt", any, own},
    Field{"logprobs", integer, own, 0, 20},
    Field{"echo", boolean, own},
    Field{"suffix", string, own},
    Field{"best_of", integer, own, 1, 20},
};

constexpr std::array kEmbedding{
    Field{"model", string, own},           Field{"input", any, own},
    Field{"encoding_format", string, own}, Field{"dimensions", integer, own, 1, 1 << 20},
    Field{"user", string, ignore},         Field{"keep_alive", any, ignore},
};

// Those of OpenAI, and ours at the end.
constexpr std::array kImage{
    Field{"model", string, own},
    Field{"prompt", string, own},
    Field{"n", integer, own, 1, 10},
    Field{"size", string, own},
    Field{"response_format", string, own},
    Field{"output_format", string, own},
    Field{"output_compression", integer, own, 0, 100},
    Field{"stream", boolean, own},
    Field{"partial_images", integer, own, 0, 3},
    Field{"quality", any, ignore},
    Field{"style", any, ignore},
    Field{"background", any, ignore},
    Field{"moderation", any, ignore},
    Field{"input_fidelity", any, ignore},
    Field{"user", any, ignore},
    Field{"negative_prompt", string, own},
    Field{"seed", integer, own, 0, kInt64Max - 64},
    Field{"steps", integer, own, 1, 1000},
    Field{"guidance", number, own, 0, 100},
    Field{"strength", number, own, 0, 1},
    Field{"sampler", string, own},
};

template <std::size_t A, std::size_t B>
constexpr std::array<Field, A + B> join(const std::array<Field, A>& a,
                                        const std::array<Field, B>& b) {
  std::array<Field, A + B> out{};
  for (std::size_t i = 0; i < A; ++i) out[i] = a[i];
  for (std::size_t i = 0; i < B; ++i) out[A + i] = b[i];
  return out;
}

constexpr auto kChat = join(kSampling, kChatOnly);
constexpr auto kCompletion = join(kSampling, kCompletionOnly);

std::string_view kind_words(FieldKind kind) {
  switch (kind) {
    case boolean:
      return "true or false";
    case integer:
      return "a whole number";
    case number:
      return "a number";
    case FieldKind::string:
      return "a string";
    case any:
      break;
  }
  return "a value";
}

bool is_kind(const Json& value, FieldKind kind) {
  switch (kind) {
    case boolean:
      return value.as_bool() != nullptr;
    case integer:
      return value.as_int().has_value();
    case number:
      return value.is_number() && std::isfinite(*value.as_double());
    case FieldKind::string:
      return value.as_string() != nullptr;
    case any:
      break;
  }
  return true;
}

base::Status check_field(const Field& field, const Json& value) {
  if (!is_kind(value, field.kind))
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' must be {}", field.name, kind_words(field.kind)));
  if (field.min == field.max) return {};
  const double given = *value.as_double();
  if (given < field.min || given > field.max)
    return fail(ErrorCode::invalid_argument, std::format("'{}' is {}; it must be from {} to {}",
                                                         field.name, given, field.min, field.max));
  return {};
}

}  // namespace

base::Status check_fields(Json& body, std::span<const Field> table) {
  auto* members = body.as_object();
  if (members == nullptr)
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object");
  Json::Object kept;
  for (auto& [name, value] : *members) {
    const Field* field = nullptr;
    for (const auto& known : table)
      if (known.name == name) field = &known;
    if (field == nullptr) {
      std::vector<std::string> names;
      for (const auto& known : table) names.emplace_back(known.name);
      return fail(ErrorCode::invalid_argument, std::format("'{}' is no parameter of this request{}",
                                                           name, base::did_you_mean(name, names)));
    }
    if (value.is_null() || field->use == ignore) continue;
    TRY(check_field(*field, value));
    kept.emplace_back(name, std::move(value));
  }
  *members = std::move(kept);
  return {};
}

std::span<const Field> chat_fields() { return kChat; }
std::span<const Field> completion_fields() { return kCompletion; }
std::span<const Field> embedding_fields() { return kEmbedding; }
std::span<const Field> image_fields() { return kImage; }

}  // namespace ingle::api::openai
