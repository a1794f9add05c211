#include "protocol/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <glaze/json/write.hpp>

namespace ingle::protocol {
namespace {

// Without this glaze writes control characters as they are, which no reader accepts.
struct WriteOptions : glz::opts {
  bool escape_control_characters = true;
};
constexpr WriteOptions kWriteOptions{};

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_utf8(std::string_view text) { return glz::validate_utf8(text.data(), text.size()); }

// Each byte that starts no valid sequence becomes one replacement character.
std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    std::size_t length = 1;
    while (length <= 4 && length <= text.size() && !is_utf8(text.substr(0, length))) ++length;
    if (length > 4 || length > text.size()) {
      out += kReplacement;
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

template <class Number>
std::string_view digits(std::array<char, 32>& buffer, Number value) {
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end};
}

}  // namespace

void JsonWriter::raw(std::string_view text) {
  if (size_ + text.size() > buffer_.size()) buffer_.resize(2 * (size_ + text.size()) + 64);
  text.copy(buffer_.data() + size_, text.size());
  size_ += text.size();
}

void JsonWriter::quoted(std::string_view value) {
  if (!is_utf8(value)) return quoted(repair_utf8(value));
  glz::context context;
  if (buffer_.empty()) buffer_.resize(64);
  glz::serialize<glz::JSON>::op<kWriteOptions>(value, context, buffer_, size_);
}

void JsonWriter::line_break() {
  if (style_ == Style::compact) return;
  raw("\n");
  for (std::size_t i = 0; i < depth_; ++i) raw("  ");
}

void JsonWriter::begin_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (depth_ == 0) return;
  if (!first_) raw(",");
  first_ = false;
  line_break();
}

void JsonWriter::open(char bracket) {
  begin_value();
  raw({&bracket, 1});
  ++depth_;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  --depth_;
  if (!first_) line_break();
  raw({&bracket, 1});
  first_ = false;
}

void JsonWriter::key(std::string_view name) {
  begin_value();
  quoted(name);
  raw(style_ == Style::compact ? ":" : ": ");
  after_key_ = true;
}

void JsonWriter::null() {
  begin_value();
  raw("null");
}

void JsonWriter::boolean(bool value) {
  begin_value();
  raw(value ? "true" : "false");
}

void JsonWriter::integer(std::int64_t value) {
  begin_value();
  std::array<char, 32> buffer;
  raw(digits(buffer, value));
}

void JsonWriter::integer(std::uint64_t value) {
  begin_value();
  std::array<char, 32> buffer;
  raw(digits(buffer, value));
}

void JsonWriter::number(double value) {
  if (!std::isfinite(value)) return null();
  begin_value();
  std::array<char, 32> buffer;
  raw(digits(buffer, value));
}

void JsonWriter::string(std::string_view value) {
  begin_value();
  quoted(value);
}

std::string JsonWriter::take() {
  buffer_.resize(size_);
  std::string out = std::move(buffer_);
  *this = JsonWriter(style_);
  return out;
}

}  // namespace ingle::protocol
