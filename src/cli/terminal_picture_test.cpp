// Goal: pictures go only to terminals that show them, in the form that these read. Method: the
// environments of terminals, and what is printed for a small file.
#include "cli/terminal_picture.h"

#include <gtest/gtest.h>

#include <map>

namespace ingle::cli {
namespace {

PictureProtocol of(std::map<std::string, std::string> variables) {
  return picture_protocol([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

TEST(TerminalPicture, TerminalsAreKnownByWhatTheySay) {
  EXPECT_EQ(of({{"TERM", "xterm-kitty"}}), PictureProtocol::kitty);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "WezTerm"}}), PictureProtocol::kitty);
  EXPECT_EQ(of({{"TERM_PROGRAM", "iTerm.app"}}), PictureProtocol::iterm);
  EXPECT_EQ(of({{"TERM", "xterm-256color"}}), PictureProtocol::none);
  EXPECT_EQ(of({}), PictureProtocol::none);
  EXPECT_EQ(of({{"TERM", "screen"}, {"KITTY_WINDOW_ID", "1"}}), PictureProtocol::none);
}

TEST(TerminalPicture, KittyGetsItInPieces) {
  EXPECT_EQ(show_png(PictureProtocol::kitty, "hearth"), "\x1b_Ga=T,f=100,q=2,m=0;aGVhcnRo\x1b\\\n");
  const auto large = show_png(PictureProtocol::kitty, std::string(4000, 'x'));
  EXPECT_TRUE(large.contains("m=1;"));
  EXPECT_TRUE(large.contains("\x1b_Gq=2,m=0;"));
  EXPECT_EQ(show_png(PictureProtocol::iterm, "hearth"),
            "\x1b]1337;File=inline=1;size=6:aGVhcnRo\a\n");
  EXPECT_EQ(show_png(PictureProtocol::none, "hearth"), "");
}

}  // namespace
}  // namespace ingle::cli
