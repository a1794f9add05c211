// Bodies of type multipart/form-data (RFC 7578): fields and files. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/message.h"

namespace ingle::api {

struct FormPart {
  std::string name{};
  std::string file_name{};     // empty: a field
  std::string_view content{};  // not owned: in the body
};

inline constexpr std::size_t kFormPartsMax = 64;

bool is_multipart(const http::Request& request);
// The parts in order. Errors: malformed, limit_exceeded.
base::Result<std::vector<FormPart>> parse_multipart(const http::Request& request);

}  // namespace ingle::api
