// The body of every error answer of ingle's own surface. The other surfaces shape the same Error
// their own way (api/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"

namespace ingle::protocol {

struct ErrorInfo {
  DOC("What kind of failure, from a closed list, such as \"model_not_found\".") std::string
      code{};
  DOC("What failed, on what, and what to do about it.") std::string message{};
  DOC("Where it happened, innermost first.") std::vector<std::string> context{};
  DOC("Id of the request, to find it in the log.") std::string request_id{};
  DOC("When to try again, in milliseconds; absent when trying again does not help.")
  std::optional<std::int64_t> retry_after_ms{};
};

struct ErrorBody {
  DOC("The failure.") ErrorInfo error{};
};

}  // namespace ingle::protocol
