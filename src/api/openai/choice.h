// Choice: gathers the chunks of one streamed generation into a whole choice, and checks what the
// request demanded of it (JSON, a tool call). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/plan.h"
#include "base/error.h"
#include "protocol/json.h"

namespace ingle::api::openai {

class Choice {
 public:
  explicit Choice(const Plan& plan) : plan_(plan) {}

  // Takes one chunk (the data of an event). Errors: upstream_error (no chunk at all; the finished
  // text is not the JSON, or lacks the tool call, that was demanded).
  base::Status take(const protocol::Json& chunk);

  // The choice as part of a whole answer, with this index.
  protocol::Json whole(std::int64_t index, const std::string& echo) const;
  // Facts of the answer: id, created, model, system_fingerprint of the first chunk.
  const protocol::Json& first_chunk() const { return first_; }
  const protocol::Json& timings() const { return timings_; }
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  std::int64_t completion_tokens() const { return completion_tokens_; }
  std::int64_t cached_tokens() const { return cached_tokens_; }

 private:
  struct ToolCall {
    std::string id, name, arguments;
  };
  void take_delta(const protocol::Json& delta);
  void take_usage(const protocol::Json& usage);
  base::Status check_finished() const;

  const Plan& plan_;
  protocol::Json first_;
  std::string content_;
  std::string reasoning_;
  std::map<std::int64_t, ToolCall> tool_calls_;
  protocol::Json::Array logprobs_;
  bool has_logprobs_ = false;
  std::string finish_reason_;
  protocol::Json timings_;
  std::int64_t prompt_tokens_ = 0;
  std::int64_t completion_tokens_ = 0;
  std::int64_t cached_tokens_ = 0;
};

// The usage object of an answer made of these choices: a prompt counts once, however many choices
// it has.
protocol::Json usage_of(const std::vector<Choice>& choices, std::size_t choices_per_prompt);

// Log probabilities in the completions' own shape (tokens, token_logprobs, top_logprobs,
// text_offset), from the worker's list.
protocol::Json completion_logprobs(const protocol::Json::Array& entries, std::size_t text_offset);

}  // namespace ingle::api::openai
