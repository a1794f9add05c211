// JsonWriter: JSON text from a run of calls, with commas, escapes and indentation put right. It
// checks nothing of the order of the calls: keys only inside objects, every open() closed.
// What comes out is valid JSON whatever bytes go in (see print_json). Confined to its caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ingle::protocol {

class JsonWriter {
 public:
  enum class Style { compact, pretty };

  explicit JsonWriter(Style style = Style::compact) : style_(style) {}

  void open_object() { open('{'); }
  void close_object() { close('}'); }
  void open_array() { open('['); }
  void close_array() { close(']'); }
  void key(std::string_view name);
  void null();
  void boolean(bool value);
  void integer(std::int64_t value);
  void integer(std::uint64_t value);
  void number(double value);
  void string(std::string_view value);

  // The text so far; the writer is empty afterwards.
  std::string take();

 private:
  void open(char bracket);
  void close(char bracket);
  void begin_value();
  void line_break();
  void raw(std::string_view text);
  void quoted(std::string_view value);

  Style style_;
  std::string buffer_;    // longer than what is written: glaze grows it by doubling
  std::size_t size_ = 0;  // bytes of it that are written
  std::size_t depth_ = 0;
  bool first_ = true;       // no member of the innermost container is written yet
  bool after_key_ = false;  // the next value belongs to the key just written
};

}  // namespace ingle::protocol
