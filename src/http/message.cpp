#include "http/message.h"

#include <algorithm>
#include <array>

namespace ingle::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The value of a hexadecimal digit, or -1.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum class Plus { kept, space };

// Decodes %XX once. Nothing when an escape is cut or not hexadecimal, or for a NUL.
std::optional<std::string> decode(std::string_view raw, Plus plus) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      if (raw.size() - i < 3) return std::nullopt;
      const int high = hex_value(raw[i + 1]);
      const int low = hex_value(raw[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus == Plus::space) {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

// "/a/b%20c" to "/a/b c". Decoded by segment, so that an escaped slash cannot make a new one.
std::optional<std::string> decode_path(std::string_view raw) {
  std::string out;
  while (!raw.empty()) {
    raw.remove_prefix(1);  // the slash
    const auto segment = decode(raw.substr(0, raw.find('/')), Plus::kept);
    if (!segment || segment->contains('/') || *segment == "." || *segment == "..")
      return std::nullopt;
    out += '/';
    out += *segment;
    raw.remove_prefix(std::min(raw.find('/'), raw.size()));
  }
  return out;
}

constexpr std::array<std::pair<Method, std::string_view>, 7> kMethods{{
    {Method::get, "GET"},
    {Method::head, "HEAD"},
    {Method::post, "POST"},
    {Method::put, "PUT"},
    {Method::patch, "PATCH"},
    {Method::del, "DELETE"},
    {Method::options, "OPTIONS"},
}};

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view method_name(Method method) {
  const auto found = std::ranges::find(kMethods, method, &decltype(kMethods)::value_type::first);
  return found == kMethods.end() ? "OTHER" : found->second;
}

Method method_from_name(std::string_view name) {
  const auto found = std::ranges::find(kMethods, name, &decltype(kMethods)::value_type::second);
  return found == kMethods.end() ? Method::other : found->first;
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (same_name(key, name)) return value;
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const {
  const auto matches = [&](const auto& field) { return same_name(field.first, name); };
  return static_cast<std::size_t>(std::ranges::count_if(fields_, matches));
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  for (const auto& [key, value] : fields_) {
    if (!same_name(key, name)) continue;
    for (std::string_view rest = value; !rest.empty();) {
      std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (same_name(item, token)) return true;
    }
  }
  return false;
}

void Headers::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
  add(std::move(name), std::move(value));
}

std::optional<std::string_view> Target::query_value(std::string_view key) const {
  for (const auto& [name, value] : query)
    if (name == key) return value;
  return std::nullopt;
}

std::optional<Target> parse_target(std::string_view raw) {
  const auto forbidden = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || c == '#';
  };
  if (!raw.starts_with('/') || std::ranges::any_of(raw, forbidden)) return std::nullopt;
  const auto mark = raw.find('?');
  auto path = decode_path(raw.substr(0, mark));
  if (!path) return std::nullopt;
  Target target{.path = *std::move(path)};
  if (mark == std::string_view::npos) return target;
  for (std::string_view rest = raw.substr(mark + 1); !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    if (item.empty()) continue;
    const auto equals = std::min(item.find('='), item.size());
    auto key = decode(item.substr(0, equals), Plus::space);
    auto value = decode(item.substr(std::min(equals + 1, item.size())), Plus::space);
    if (!key || !value) return std::nullopt;
    target.query.emplace_back(*std::move(key), *std::move(value));
  }
  return target;
}

}  // namespace ingle::http
