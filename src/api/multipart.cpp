#include "api/multipart.h"

#include <algorithm>
#include <format>

namespace ingle::api {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046
constexpr std::size_t kPartHeadBytesMax = 4096;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// The value of `name="..."` or `name=...` in a header; empty: it is not there.
std::string parameter(std::string_view header, std::string_view name) {
  const auto folded = lower(header);
  std::size_t at = 0;
  const std::string mark = std::string(name) + "=";
  while ((at = folded.find(mark, at)) != std::string::npos) {
    const bool begins = at == 0 || folded[at - 1] == ' ' || folded[at - 1] == ';';
    at += mark.size();
    if (!begins) continue;
    auto value = header.substr(at);
    if (value.starts_with('"')) {
      value.remove_prefix(1);
      return std::string(value.substr(0, value.find('"')));
    }
    return std::string(value.substr(0, value.find_first_of("; \t")));
  }
  return {};
}

std::unexpected<base::Error> broken(std::string_view why) {
  return fail(ErrorCode::malformed, std::format("the form is not valid: {}", why));
}

base::Result<FormPart> parse_part(std::string_view part) {
  const auto end = part.find("\r\n\r\n");
  if (end == std::string_view::npos || end > kPartHeadBytesMax)
    return broken("a part has no end of its head");
  FormPart out{.content = part.substr(end + 4)};
  auto head = part.substr(0, end);
  while (!head.empty()) {
    const auto line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    if (!lower(line.substr(0, 20)).starts_with("content-disposition:")) continue;
    out.name = parameter(line, "name");
    out.file_name = parameter(line, "filename");
  }
  if (out.name.empty()) return broken("a part has no name");
  return out;
}

}  // namespace

bool is_multipart(const http::Request& request) {
  const auto type = request.headers.get("Content-Type");
  return type && lower(type->substr(0, 19)) == "multipart/form-data";
}

base::Result<std::vector<FormPart>> parse_multipart(const http::Request& request) {
  const auto type = request.headers.get("Content-Type").value_or("");
  const auto boundary = parameter(type, "boundary");
  if (boundary.empty() || boundary.size() > kBoundaryBytesMax)
    return broken("its Content-Type names no boundary");
  const std::string mark = "\r\n--" + boundary;
  std::string_view rest = request.body;
  if (!rest.starts_with(std::string_view(mark).substr(2)))
    return broken("it does not begin with its boundary");
  rest.remove_prefix(mark.size() - 2);
  std::vector<FormPart> out;
  while (!rest.starts_with("--")) {
    if (!rest.starts_with("\r\n")) return broken("a boundary has no end of its line");
    rest.remove_prefix(2);
    const auto end = rest.find(mark);
    if (end == std::string_view::npos) return broken("its last part is cut");
    if (out.size() == kFormPartsMax)
      return fail(ErrorCode::limit_exceeded,
                  std::format("the form has more than {} parts", kFormPartsMax));
    TRY_ASSIGN(auto part, parse_part(rest.substr(0, end)));
    out.push_back(std::move(part));
    rest.remove_prefix(end + mark.size());
  }
  return out;
}

}  // namespace ingle::api
