// Goal: untrusted text cannot steer a terminal, however it is cut, and widths are counted as a
// terminal does. Method: escape sequences of each kind, whole and cut at every byte.
#include "cli/terminal.h"

#include <gtest/gtest.h>

#include <map>

namespace ingle::cli {
namespace {

std::string filtered(std::string_view text, std::size_t cut) {
  TextFilter filter;
  auto out = filter.pass(text.substr(0, cut));
  out += filter.pass(text.substr(cut));
  return out + filter.finish();
}

TEST(TextFilter, LeavesOutWhatSteersATerminal) {
  struct Case {
    std::string_view in, out;
  };
  for (const auto& [in, out] : {
           Case{"plain\ttext\nGrüße 世界 🙂", "plain\ttext\nGrüße 世界 🙂"},
           Case{"a\x1b[31mred\x1b[0mb", "aredb"},
           Case{"a\x1b[2J\x1b[1;1Hb", "ab"},
           Case{"a\x1b]0;title\x07"
                "b",
                "ab"},
           Case{"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"},
           Case{"a\x1bP1$r\x1b\\b", "ab"},
           Case{"a\x1b_secret\x1b\\b", "ab"},
           Case{"a\x1b(0b", "ab"},
           Case{"a\x1b"
                "cb",
                "ab"},
           Case{"a\xc2\x9b"
                "31mb",
                "ab"},
           Case{"a\xc2\x9d"
                "0;t\xc2\x9c"
                "b",
                "ab"},
           Case{"a\x08\x7f\r\x0b\x05"
                "b",
                "ab"},
           Case{"a\x1b]forgotten end\nb", "a\nb"},
           Case{"a\x1b\x1b[31mb", "ab"},
           Case{"a\xe2\x80\xae"
                "b",
                "ab"},
           Case{"a\xff"
                "b\xe2\x82",
                "a\xEF\xBF\xBD"
                "b\xEF\xBF\xBD"},
           Case{"end\x1b", "end"},
       })
    for (std::size_t cut = 0; cut <= in.size(); ++cut)
      EXPECT_EQ(filtered(in, cut), out) << in << " cut at " << cut;
}

TEST(Width, CountsColumns) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("Grüße"), 5);
  EXPECT_EQ(display_width("世界"), 4);
  EXPECT_EQ(display_width("e\xcc\x81"), 1);  // e and a combining accent
  EXPECT_EQ(cut_to_width("abcdef", 6), "abcdef");
  EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
  EXPECT_EQ(cut_to_width("世界人", 4), "世…");
}

TEST(Terminal, ColoursNeedATerminal) {
  const auto terminal = look_at_terminal([](const char*) { return std::nullopt; });
  EXPECT_EQ(terminal.out_colour, terminal.out);
  const auto quiet = look_at_terminal([](const char* name) {
    return std::string_view(name) == "NO_COLOR" ? std::optional<std::string>("1") : std::nullopt;
  });
  EXPECT_FALSE(quiet.out_colour);
  EXPECT_FALSE(quiet.err_colour);
  EXPECT_EQ(styled("x", Style::dim, false), "x");
  EXPECT_EQ(styled("x", Style::dim, true), "\x1b[2mx\x1b[0m");
}

TEST(Terminal, ErrorsAreEscaped) {
  ::testing::internal::CaptureStderr();
  const int code =
      print_error({base::ErrorCode::not_found, "no \x1b[2J\nmodel", {"while\nloading"}});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "ingle: no \\x1b[2J\\x0amodel\n  (while\\x0aloading)\n");
  EXPECT_EQ(code, 1);
}

}  // namespace
}  // namespace ingle::cli
