#include "config/value.h"

#include <charconv>
#include <format>

namespace ingle::config {
namespace {

constexpr std::size_t kShownMax = 60;

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

const char* expected(const Target& target) {
  return std::visit(
      Match{[](std::string*) { return "text"; }, [](std::int64_t*) { return "a whole number"; },
            [](bool*) { return "true or false"; },
            [](std::vector<std::string>*) { return "a list of texts"; }},
      target);
}

std::string shown(std::string_view text) {
  return quote_toml(text.size() > kShownMax ? std::string(text.substr(0, kShownMax)) + "..."
                                            : std::string(text));
}

std::string describe(const Value& value) {
  return std::visit(Match{[](bool v) { return std::string(v ? "true" : "false"); },
                          [](std::int64_t v) { return std::format("the number {}", v); },
                          [](double v) { return std::format("the number {}", v); },
                          [](const std::string& v) { return "the text " + shown(v); },
                          [](const std::vector<std::string>&) { return std::string("a list"); },
                          [](const Value::Other& v) { return v.what; }},
                    value.value);
}

base::Status mismatch(const Target& target, std::string_view got) {
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("must be {}, got {}", expected(target), got));
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    auto item = text.substr(0, comma);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
  }
  return out;
}

}  // namespace

base::Status assign(const Target& target, const Value& value) {
  return std::visit(
      [&]<class T>(T* place) -> base::Status {
        const auto* held = std::get_if<T>(&value.value);
        if (held == nullptr) return mismatch(target, describe(value));
        *place = *held;
        return {};
      },
      target);
}

base::Status assign_bare(const Target& target, std::string_view text) {
  const auto number = [&](std::int64_t* place) -> base::Status {
    const char* end = text.data() + text.size();
    std::int64_t parsed = 0;
    const auto [stopped, error] = std::from_chars(text.data(), end, parsed);
    if (error != std::errc{} || stopped != end) return mismatch(target, shown(text));
    *place = parsed;
    return {};
  };
  const auto truth = [&](bool* place) -> base::Status {
    if (text != "true" && text != "false" && text != "1" && text != "0")
      return mismatch(target, shown(text));
    *place = text == "true" || text == "1";
    return {};
  };
  return std::visit(Match{[&](std::string* place) -> base::Status {
                            *place = text;
                            return {};
                          },
                          number, truth,
                          [&](std::vector<std::string>* place) -> base::Status {
                            *place = split_list(text);
                            return {};
                          }},
                    target);
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f)
      out += std::format("\\u{:04x}", byte);
    else
      out += c;
  }
  return out + '"';
}

std::string to_toml(const Target& target) {
  return std::visit(Match{[](const std::string* v) { return quote_toml(*v); },
                          [](const std::int64_t* v) { return std::to_string(*v); },
                          [](const bool* v) { return std::string(*v ? "true" : "false"); },
                          [](const std::vector<std::string>* v) {
                            std::string out = "[";
                            for (const auto& item : *v)
                              out += (out.size() > 1 ? ", " : "") + quote_toml(item);
                            return out + "]";
                          }},
                    target);
}

}  // namespace ingle::config
