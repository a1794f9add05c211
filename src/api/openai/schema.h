// Checks a JSON Schema before the worker turns it into a grammar. What the grammar would not
// enforce is refused, so that an answer to a schema always follows it (fail closed). Pure.
#pragma once

#include "base/error.h"
#include "protocol/json.h"

namespace ingle::api::openai {

// Errors: unsupported (a keyword that would not be enforced, with its place), invalid_argument (a
// schema that is no schema: unknown type, reference to nothing), limit_exceeded.
base::Status check_schema(const protocol::Json& schema);

}  // namespace ingle::api::openai
