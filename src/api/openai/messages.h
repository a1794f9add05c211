// Checks the structured members of a chat request: the conversation, tools, tool_choice and
// response_format. A malformed history is the caller's error, never the worker's. Pure.
#pragma once

#include "api/openai/plan.h"
#include "base/error.h"
#include "protocol/json.h"

namespace ingle::api::openai {

// Checks `messages`, and makes "developer" a "system" role.
base::Status check_messages(protocol::Json& messages);

// Checks `tools` and `tool_choice`; sets plan.needs_tools and must_call_tool. A named choice
// becomes "required" with only that tool.
base::Status check_tools(protocol::Json& body, Plan& plan);

// Checks `response_format`; sets plan.must_be_json.
base::Status check_response_format(const protocol::Json& body, Plan& plan);

}  // namespace ingle::api::openai
