// Plan: a validated request for text, ready to be run: one generation a choice. Pure. What the
// worker would take wrongly (unknown roles, broken tool arguments, schemas that it would silently
// not enforce, several choices with the usage of one) is refused or taken apart here.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "protocol/json.h"

namespace ingle::api::openai {

enum class PlanKind { chat, completion };

struct Generation {
  protocol::Json body;                      // for the worker: streamed, with usage
  std::string echo{};                       // text to put before the answer
  std::vector<std::int64_t> echo_tokens{};  // the same as tokens, to be turned into text
};

struct Plan {
  PlanKind kind = PlanKind::chat;
  std::string model;
  bool stream = false;
  bool include_usage = false;           // in a stream; a whole answer always has it
  bool show_progress = false;           // the client wants the worker's prompt_progress
  bool needs_tools = false;             // the chat template must know tools
  bool must_call_tool = false;          // tool_choice required or named
  bool must_be_json = false;            // response_format other than text
  std::vector<Generation> generations;  // choice i is generation i
  std::size_t prompts = 1;              // generations = prompts * n, prompt by prompt
};

inline constexpr std::int64_t kChoicesMax = 16;
inline constexpr std::size_t kGenerationsMax = 64;
inline constexpr std::size_t kMessagesMax = 4096;
inline constexpr std::size_t kToolsMax = 128;

// Errors: invalid_argument (names the member, as "messages[2].role"), unsupported, limit_exceeded.
base::Result<Plan> plan_chat(protocol::Json body);
base::Result<Plan> plan_completion(protocol::Json body);

}  // namespace ingle::api::openai
