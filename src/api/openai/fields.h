// The scalar members of text requests as a table: type, range, and whether the worker gets them.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "protocol/json.h"

namespace ingle::api::openai {

enum class FieldKind { boolean, integer, number, string, any };
enum class FieldUse {
  forward,  // checked and given to the worker
  ignore,   // means nothing here and does no harm (accounting, storage at the provider)
  own,      // handled by the planner
};

struct Field {
  std::string_view name;
  FieldKind kind;
  FieldUse use;
  double min = 0;
  double max = 0;  // min == max: no range
};

// Checks every member of `body` against the table (null counts as absent) and removes what the
// worker does not get. Errors: invalid_argument; an unknown member is one, with near names.
base::Status check_fields(protocol::Json& body, std::span<const Field> table);

std::span<const Field> chat_fields();
std::span<const Field> completion_fields();
std::span<const Field> embedding_fields();
std::span<const Field> image_fields();

}  // namespace ingle::api::openai
