// glaze reads and writes the leaves (strings with their escapes, numbers, white space, UTF-8); the
// descent through arrays and objects is here, because glaze's own generic value can neither refuse
// duplicate keys nor keep a limit on depth and count below its fixed one, nor say where it was.
#include "protocol/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <format>
#include <glaze/json/read.hpp>
#include <system_error>
#include <unordered_set>

#include "base/check.h"
#include "protocol/json_locate.h"
#include "protocol/json_writer.h"

namespace ingle::protocol {
namespace {

using base::ErrorCode;

constexpr glz::opts kReadOptions{.null_terminated = false};

// Recursion on the stack; whatever a caller asks for, it ends here.
constexpr std::size_t kDepthCeiling = 512;
// Objects up to this size are searched for duplicate keys member by member.
constexpr std::size_t kSmallObject = 16;

std::string position_in(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::ranges::count(before, '\n') + 1;
  const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return std::format("line {}, column {}", line, before.size() - line_start + 1);
}

// What glaze says about a string, in words.
std::string_view string_fault(glz::error_code code) {
  switch (code) {
    case glz::error_code::invalid_utf8:
      return "a string that is not valid UTF-8";
    case glz::error_code::invalid_escape:
      return "an unknown escape in a string";
    case glz::error_code::unicode_escape_conversion_failure:
      return "a \\u escape that is no character (a lone surrogate, or not four hex digits)";
    case glz::error_code::unexpected_end:
      return "a string without an end";
    default:
      return "a control character in a string";
  }
}

class Parser {
 public:
  Parser(std::string_view text, JsonLimits limits, std::optional<std::string_view> target = {})
      : text_(text),
        it_(text.data()),
        end_(text.data() + text.size()),
        limits_(limits),
        target_(target) {}

  base::Result<Json> run() {
    Json out;
    skip_space();
    if (it_ == end_) return fault(it_, "the text is empty");
    TRY(value(out, 0));
    skip_space();
    if (it_ != end_) return fault(it_, "expected the end of the text after the value");
    return out;
  }

  std::size_t found() const { return found_; }

 private:
  std::unexpected<base::Error> fault(const char* at, std::string_view what) const {
    return base::fail(ErrorCode::malformed,
                      std::format("not valid JSON at {}: {}", position(at), what));
  }
  std::unexpected<base::Error> beyond(const char* at, std::string what) const {
    return base::fail(ErrorCode::limit_exceeded,
                      std::format("JSON at {}: {}", position(at), std::move(what)));
  }
  std::string position(const char* at) const {
    return position_in(text_, static_cast<std::size_t>(at - text_.data()));
  }

  // glaze calls the end of the buffer an error of its own kind; here the caller looks at it_.
  void skip_space() {
    glz::context context;
    glz::skip_ws<kReadOptions>(context, it_, end_);
  }

  // Skips white space; the text may not end here.
  base::Status expect_more() {
    skip_space();
    if (it_ == end_) return fault(it_, "the text ends too early");
    return {};
  }

  base::Status value(Json& out, std::size_t depth) {
    if (++values_ > limits_.values_max)
      return beyond(it_, std::format("more than {} values; send less at once", limits_.values_max));
    if (target_ && path_ == *target_) found_ = static_cast<std::size_t>(it_ - text_.data());
    switch (*it_) {
      case '{':
      case '[':
        if (depth >= std::min(limits_.depth_max, kDepthCeiling))
          return beyond(it_, std::format("nested deeper than {} levels",
                                         std::min(limits_.depth_max, kDepthCeiling)));
        return *it_ == '{' ? object(out, depth + 1) : array(out, depth + 1);
      case '"':
        return string(out.value.emplace<std::string>());
      case 't':
        return word("true", out, true);
      case 'f':
        return word("false", out, false);
      case 'n':
        return word("null", out, nullptr);
      default:
        return number(out);
    }
  }

  base::Status word(std::string_view text, Json& out, Json meaning) {
    if (!std::string_view(it_, end_).starts_with(text))
      return fault(it_, std::format("expected a value, such as {}", text));
    it_ += text.size();
    out = std::move(meaning);
    return {};
  }

  base::Status string(std::string& out) {
    const char* start = it_;
    glz::context context;
    glz::parse<glz::JSON>::op<kReadOptions>(out, context, it_, end_);
    if (glz::parse_failed(context.error)) return fault(start, string_fault(context.error));
    return {};
  }

  base::Status number(Json& out) {
    const char* start = it_;
    if (*it_ != '-' && (*it_ < '0' || *it_ > '9')) return fault(start, "expected a value");
    glz::context context;
    glz::skip_number_with_validation(context, it_, end_);
    if (glz::parse_failed(context.error)) return fault(start, "a number that is cut off");
    const std::string_view digits(start, it_);
    if (digits.find_first_of(".eE") == digits.npos && digits != "-0") {
      if (read_integer<std::int64_t>(digits, out)) return {};
      if (read_integer<std::uint64_t>(digits, out)) return {};
    }
    double real = 0;
    const auto [rest, error] = std::from_chars(start, it_, real);
    // Too small to tell from zero is zero; too large has no value at all.
    if (error == std::errc::result_out_of_range && is_small(digits))
      real = 0;
    else if (error != std::errc() || !std::isfinite(real))
      return fault(start, "a number too large for a double");
    out.value = real;
    return {};
  }

  template <class Integer>
  static bool read_integer(std::string_view digits, Json& out) {
    Integer number = 0;
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || rest != end) return false;
    out.value = number;
    return true;
  }

  // Whether a number that no double can hold is below the range rather than above it: only then
  // its exponent is negative, or it is zero to the left of the point.
  static bool is_small(std::string_view digits) {
    const auto exponent = digits.find_first_of("eE");
    if (exponent != digits.npos) return digits.substr(exponent + 1).starts_with('-');
    return digits.starts_with("0.") || digits.starts_with("-0.");
  }

  base::Status array(Json& out, std::size_t depth) {
    auto& items = out.value.emplace<Json::Array>();
    ++it_;
    TRY(expect_more());
    if (*it_ == ']') return ++it_, base::Status{};
    while (true) {
      const auto mark = enter(items.size());
      TRY(value(items.emplace_back(), depth));
      leave(mark);
      TRY(expect_more());
      if (*it_ == ']') return ++it_, base::Status{};
      if (*it_ != ',') return fault(it_, "expected ',' or ']'");
      ++it_;
      TRY(expect_more());
    }
  }

  base::Status object(Json& out, std::size_t depth) {
    auto& members = out.value.emplace<Json::Object>();
    std::unordered_set<std::string> seen;  // filled only once the object is not small any more
    ++it_;
    TRY(expect_more());
    if (*it_ == '}') return ++it_, base::Status{};
    while (true) {
      const char* key_start = it_;
      if (*it_ != '"') return fault(it_, "expected a member's name in quotes");
      std::string key;
      TRY(string(key));
      if (is_duplicate(key, members, seen))
        return fault(key_start, std::format("the member \"{}\" is there twice", key));
      TRY(expect_more());
      if (*it_ != ':') return fault(it_, "expected ':' after a member's name");
      ++it_;
      TRY(expect_more());
      const auto mark = enter(key);
      TRY(value(members.emplace_back(std::move(key), Json{}).second, depth));
      leave(mark);
      TRY(expect_more());
      if (*it_ == '}') return ++it_, base::Status{};
      if (*it_ != ',') return fault(it_, "expected ',' or '}'");
      ++it_;
      TRY(expect_more());
    }
  }

  static bool is_duplicate(const std::string& key, const Json::Object& members,
                           std::unordered_set<std::string>& seen) {
    if (members.size() < kSmallObject)
      return std::ranges::contains(members, key, &Json::Object::value_type::first);
    if (seen.empty())
      for (const auto& member : members) seen.insert(member.first);
    return !seen.insert(key).second;
  }

  // The path of the current value; kept only when something is looked for.
  std::size_t enter(std::size_t index) {
    const auto mark = path_.size();
    if (target_) path_ += std::format("[{}]", index);
    return mark;
  }
  std::size_t enter(const std::string& key) {
    const auto mark = path_.size();
    if (target_) path_ += (mark == 0 ? "" : ".") + key;
    return mark;
  }
  void leave(std::size_t mark) { path_.resize(mark); }

  std::string_view text_;
  const char* it_;
  const char* end_;
  JsonLimits limits_;
  std::size_t values_ = 0;
  std::optional<std::string_view> target_;
  std::string path_;
  std::size_t found_ = 0;
};

void write(JsonWriter& writer, const Json& json) {
  std::visit(
      [&writer](const auto& value) {
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::nullptr_t>) {
          writer.null();
        } else if constexpr (std::is_same_v<T, bool>) {
          writer.boolean(value);
        } else if constexpr (std::is_same_v<T, double>) {
          writer.number(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          writer.string(value);
        } else if constexpr (std::is_same_v<T, Json::Array>) {
          writer.open_array();
          for (const auto& item : value) write(writer, item);
          writer.close_array();
        } else if constexpr (std::is_same_v<T, Json::Object>) {
          writer.open_object();
          for (const auto& [key, member] : value) {
            writer.key(key);
            write(writer, member);
          }
          writer.close_object();
        } else {
          writer.integer(value);
        }
      },
      json.value);
}

}  // namespace

bool Json::is_number() const {
  return std::holds_alternative<std::int64_t>(value) ||
         std::holds_alternative<std::uint64_t>(value) || std::holds_alternative<double>(value);
}

std::optional<double> Json::as_double() const {
  if (const auto* v = std::get_if<double>(&value)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(&value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*v);
  return std::nullopt;
}

std::optional<std::int64_t> Json::as_int() const {
  if (const auto* v = std::get_if<std::int64_t>(&value)) return *v;
  const auto* real = std::get_if<double>(&value);
  // 2^63 itself is a double; INT64_MAX is not.
  if (real == nullptr || std::trunc(*real) != *real || *real < -0x1p63 || *real >= 0x1p63)
    return std::nullopt;
  return static_cast<std::int64_t>(*real);
}

const Json* Json::find(std::string_view key) const {
  const auto* members = as_object();
  if (members == nullptr) return nullptr;
  for (const auto& member : *members)
    if (member.first == key) return &member.second;
  return nullptr;
}

Json* Json::find(std::string_view key) {
  return const_cast<Json*>(static_cast<const Json&>(*this).find(key));
}

void Json::set(std::string_view key, Json v) {
  auto* members = as_object();
  CHECK(members != nullptr, "only an object has members");
  if (Json* old = find(key))
    *old = std::move(v);
  else
    members->emplace_back(std::string(key), std::move(v));
}

void Json::erase(std::string_view key) {
  if (auto* members = as_object())
    std::erase_if(*members, [key](const auto& member) { return member.first == key; });
}

bool Json::operator==(const Json& other) const { return value == other.value; }

base::Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.bytes_max)
    return base::fail(
        ErrorCode::limit_exceeded,
        std::format("the JSON text has {} bytes; the limit is {}", text.size(), limits.bytes_max));
  return Parser(text, limits).run();
}

std::string locate_json(std::string_view text, std::string_view path) {
  const JsonLimits limits{.depth_max = kDepthCeiling, .values_max = text.size()};
  Parser parser(text, limits, path);
  CHECK(parser.run(), "a text is parsed before something is looked for in it");
  return position_in(text, parser.found());
}

std::string print_json(const Json& value) {
  JsonWriter writer;
  write(writer, value);
  return writer.take();
}

std::string print_json_pretty(const Json& value) {
  JsonWriter writer(JsonWriter::Style::pretty);
  write(writer, value);
  return writer.take();
}

}  // namespace ingle::protocol
