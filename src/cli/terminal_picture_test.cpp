// Goal: pictures go only to terminals that show them, in the form that these read, and fit there.
// Method: the environments of terminals; what is printed is decoded again, as the terminal would.
#include "cli/terminal_picture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <format>
#include <map>
#include <vector>

#include "cli/sixel.h"
#include "pixels/decode.h"
#include "pixels/encode.h"

namespace ingle::cli {
namespace {

using pixels::Format;
using Environment = std::map<std::string, std::string>;

platform::Environment reader(Environment variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

PictureProtocol of(Environment variables, bool sixels = false) {
  return picture_protocol(reader(std::move(variables)), true, [&] { return sixels; });
}

// Soft colours, so that the mean of a few pixels says whether they are right.
std::string soft(std::uint32_t width, std::uint32_t height) {
  std::string out;
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x)
      for (const std::uint32_t value :
           {x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)})
        out += static_cast<char>(value);
  return out;
}

int number_at(std::string_view& text) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  EXPECT_EQ(error, std::errc{}) << text.substr(0, 20);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return out;
}

struct Shown {
  int width = 0;
  int height = 0;
  std::vector<std::array<int, 3>> pixels{};  // of those that were never set -1
};

// What a terminal makes of sixels.
Shown decode_sixels(std::string_view text) {
  Shown out;
  EXPECT_TRUE(text.starts_with("\x1bP0;1;0q\"1;1;"));
  text.remove_prefix(13);
  out.width = number_at(text);
  text.remove_prefix(1);
  out.height = number_at(text);
  out.pixels.resize(static_cast<std::size_t>(out.width * out.height), {-1, -1, -1});
  std::map<int, std::array<int, 3>> palette;
  int colour = 0, x = 0, band = 0;
  while (!text.empty() && text.front() != '\x1b') {
    int count = 1;
    if (text.front() == '!') {
      text.remove_prefix(1);
      count = number_at(text);
    }
    const char sign = text.front();
    text.remove_prefix(1);
    if (sign == '#') {
      colour = number_at(text);
      if (!text.starts_with(';')) continue;
      EXPECT_TRUE(text.starts_with(";2;"));
      text.remove_prefix(2);
      for (auto& part : palette[colour]) {
        text.remove_prefix(1);
        part = number_at(text) * 255 / 100;
      }
    } else if (sign == '$') {
      x = 0;
    } else if (sign == '-') {
      x = 0;
      ++band;
    } else {
      EXPECT_TRUE(sign >= '?' && sign <= '~');
      for (; count > 0; --count, ++x)
        for (int row = 0; row < 6; ++row)
          if (((sign - '?') >> row & 1) != 0) {
            const auto at = static_cast<std::size_t>((band * 6 + row) * out.width + x);
            EXPECT_TRUE(x < out.width && at < out.pixels.size());
            if (at < out.pixels.size()) out.pixels[at] = palette.at(colour);
          }
    }
  }
  EXPECT_EQ(text, "\x1b\\");
  return out;
}

TEST(TerminalPicture, TerminalsAreKnownByWhatTheySay) {
  EXPECT_EQ(of({{"TERM", "xterm-kitty"}}), PictureProtocol::kitty);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "WezTerm"}}), PictureProtocol::kitty);
  EXPECT_EQ(of({{"TERM_PROGRAM", "iTerm.app"}}), PictureProtocol::iterm);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}}, true), PictureProtocol::sixel);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}, {"LANG", "de_DE.UTF-8"}}), PictureProtocol::blocks);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}, {"LANG", "C"}}), PictureProtocol::none);
  EXPECT_EQ(of({{"TERM", "xterm"}, {"LC_ALL", "C"}, {"LANG", "C.UTF-8"}}), PictureProtocol::none);
  EXPECT_EQ(of({{"TERM", "dumb"}, {"LANG", "C.UTF-8"}}, true), PictureProtocol::none);
  EXPECT_EQ(of({{"TERM", "screen"}, {"KITTY_WINDOW_ID", "1"}}), PictureProtocol::none);
  EXPECT_EQ(of({{"TMUX", "x"}, {"KITTY_WINDOW_ID", "1"}}, true), PictureProtocol::sixel);
  EXPECT_EQ(picture_protocol(reader({{"LANG", "C.UTF-8"}}), false, [] { return false; }),
            PictureProtocol::none);
  EXPECT_EQ(colour_depth(reader({{"COLORTERM", "truecolor"}})), ColourDepth::true_colour);
  EXPECT_EQ(colour_depth(reader({{"TERM", "xterm-256color"}})), ColourDepth::palette_256);
}

TEST(TerminalPicture, AnswersTellOfSixels) {
  EXPECT_TRUE(has_sixels("\x1b[?62;4;22c"));
  EXPECT_TRUE(has_sixels("\x1b[?4c"));
  EXPECT_TRUE(has_sixels("typed\x1b[?64;1;4c"));
  EXPECT_FALSE(has_sixels("\x1b[?62;22;44c"));
  EXPECT_FALSE(has_sixels("\x1b[?62;4"));
  EXPECT_FALSE(has_sixels(""));
  EXPECT_FALSE(terminal_has_sixels()) << "nobody is asked where there is no terminal";
}

// The exit code of a process on a terminal of its own that asks it: 1 when it has sixels. `answer`
// is what that terminal says to the question; empty: nothing, ever.
int ask(std::string_view answer) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_TRUE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  const std::string name = ptsname(master);
  const auto child = fork();
  if (child == 0) {
    setsid();
    const int slave = open(name.c_str(), O_RDWR);
    dup2(slave, STDIN_FILENO);
    dup2(slave, STDOUT_FILENO);
    _exit(terminal_has_sixels() ? 1 : 0);
  }
  std::string question(3, ' ');
  EXPECT_EQ(read(master, question.data(), question.size()), 3);
  EXPECT_EQ(question, "\x1b[c");
  EXPECT_EQ(write(master, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  close(master);
  return WEXITSTATUS(status);
}

TEST(TerminalPicture, TerminalsAreAsked) {
  EXPECT_EQ(ask("\x1b[?62;4;22c"), 1);
  EXPECT_EQ(ask("\x1b[?62;22c"), 0);
  EXPECT_EQ(ask(""), 0) << "one that says nothing is not waited for";
}

TEST(TerminalPicture, KittyGetsPngsInPieces) {
  const auto data = soft(64, 64);
  const auto png = pixels::encode(Format::png, {64, 64, data}, 90).value();
  const auto shown = show_picture(PictureProtocol::kitty, png, {}).value();
  EXPECT_TRUE(shown.starts_with("\x1b_Ga=T,f=100,q=2,m=")) << "it fits: no columns";
  // Too large for 20 by 10 letters of 10 by 20 pixels.
  const auto large = soft(400, 400);
  const auto webp = pixels::encode(Format::webp, {400, 400, large}, 100).value();
  const auto narrow =
      show_picture(PictureProtocol::kitty, webp, {.size = {.columns = 20, .rows = 10}}).value();
  EXPECT_TRUE(narrow.starts_with("\x1b_Ga=T,f=100,q=2,c=16,m=1;iVBORw0KGgo")) << "a PNG";
  EXPECT_TRUE(narrow.contains("\x1b_Gq=2,m=0;"));
  EXPECT_FALSE(narrow.contains("\x1b_Gq=2,c="));
}

TEST(TerminalPicture, ItermGetsTheFileAsItIs) {
  const auto data = soft(8, 8);
  const auto jpeg = pixels::encode(Format::jpeg, {8, 8, data}, 90).value();
  const auto shown = show_picture(PictureProtocol::iterm, jpeg, {}).value();
  EXPECT_TRUE(shown.starts_with(std::format("\x1b]1337;File=inline=1;size={}:/9j/", jpeg.size())));
  EXPECT_TRUE(shown.ends_with("\a\n"));
  EXPECT_EQ(show_picture(PictureProtocol::none, "anything", {}).value(), "");
  EXPECT_FALSE(show_picture(PictureProtocol::sixel, "anything", {}));
}

TEST(TerminalPicture, SixelsOfThePaletteAreExact) {
  // Two of the palette's colours, in a shape whose last band is not full.
  std::string data;
  for (int i = 0; i < 9 * 8; ++i)
    data += i % 3 == 0 ? std::string("\xff\0\x33", 3) : "\x66\x99\xcc";
  const auto shown = decode_sixels(sixels({9, 8, data}));
  ASSERT_EQ(shown.width, 9);
  ASSERT_EQ(shown.height, 8);
  for (std::size_t i = 0; i < shown.pixels.size(); ++i)
    EXPECT_EQ(shown.pixels[i], (i % 3 == 0 ? std::array{255, 0, 51} : std::array{0x66, 0x99, 0xcc}))
        << i;
}

TEST(TerminalPicture, SixelsKeepTheMeanOfSoftColours) {
  const auto data = soft(96, 60);
  const auto shown = decode_sixels(sixels({96, 60, data}));
  for (int y = 0; y < 60; y += 12)
    for (int x = 0; x < 96; x += 12)
      for (std::size_t c = 0; c < 3; ++c) {
        int asked = 0, got = 0;
        for (int i = 0; i < 144; ++i) {
          const auto at = static_cast<std::size_t>((y + i / 12) * 96 + x + i % 12);
          asked += static_cast<unsigned char>(data[at * 3 + c]);
          got += shown.pixels[at][c];
        }
        EXPECT_LE(std::abs(asked - got), 144 * 6) << x << " " << y << " " << c;
      }
}

TEST(TerminalPicture, SixelsFitTheTerminal) {
  const auto data = soft(800, 400);
  const auto png = pixels::encode(Format::png, {800, 400, data}, 90).value();
  const Screen screen{.size = {.columns = 40, .rows = 12, .width = 320, .height = 192}};
  auto text = show_picture(PictureProtocol::sixel, png, screen).value();
  ASSERT_TRUE(text.ends_with("\n"));
  text.pop_back();
  const auto shown = decode_sixels(text);
  EXPECT_EQ(shown.width, 320);
  EXPECT_EQ(shown.height, 160);
}

// Each letter's upper and lower colour, line by line.
using Halves = std::vector<std::vector<std::array<std::string, 2>>>;
Halves decode_blocks(std::string_view text) {
  Halves out(1);
  std::array<std::string, 2> now;
  while (!text.empty()) {
    if (text.starts_with("\x1b[")) {
      text.remove_prefix(2);
      const auto end = text.find('m');
      const std::string colours(text.substr(0, end));
      text.remove_prefix(end + 1);
      const auto below = colours.find("48;");
      now = {colours.substr(0, below), below == std::string::npos ? "" : colours.substr(below)};
      if (now[0].ends_with(';')) now[0].pop_back();
    } else if (text.starts_with("▀")) {
      text.remove_prefix(3);
      out.back().push_back(now);
    } else {
      EXPECT_EQ(text.front(), '\n');
      EXPECT_EQ(now[0], "0") << "colours are set back before the end of a line";
      text.remove_prefix(1);
      out.emplace_back();
    }
  }
  EXPECT_TRUE(out.back().empty());
  out.pop_back();
  return out;
}

TEST(TerminalPicture, BlocksAreTwoPixelsEach) {
  const std::string data("\xff\0\0\xff\0\0\0\xff\0\0\0\xff\x08\x08\x08\1\2\3", 18);
  const auto lines = decode_blocks(half_blocks({2, 3, data}, ColourDepth::true_colour));
  ASSERT_EQ(lines.size(), 2u);
  ASSERT_EQ(lines[0].size(), 2u);
  EXPECT_EQ(lines[0][0], (std::array<std::string, 2>{"38;2;255;0;0", "48;2;0;255;0"}));
  EXPECT_EQ(lines[0][1], (std::array<std::string, 2>{"38;2;255;0;0", "48;2;0;0;255"}));
  EXPECT_EQ(lines[1][1], (std::array<std::string, 2>{"38;2;1;2;3", ""}));
  const auto few = decode_blocks(half_blocks({2, 3, data}, ColourDepth::palette_256));
  EXPECT_EQ(few[0][0], (std::array<std::string, 2>{"38;5;196", "48;5;46"}));
  EXPECT_EQ(few[1][0][0], "38;5;232");
  EXPECT_EQ(few[1][1][0], "38;5;16");
}

TEST(TerminalPicture, BlocksFitTheTerminal) {
  const auto data = soft(512, 512);
  const auto png = pixels::encode(Format::png, {512, 512, data}, 90).value();
  const auto text =
      show_picture(PictureProtocol::blocks, png, {.size = {.columns = 80, .rows = 24}}).value();
  const auto lines = decode_blocks(text);
  EXPECT_EQ(lines.size(), 22u);
  for (const auto& line : lines) EXPECT_EQ(line.size(), 44u);
}

}  // namespace
}  // namespace ingle::cli
