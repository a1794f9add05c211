#include "cli/terminal_picture.h"

#include <algorithm>
#include <format>

#include "base/base64.h"

namespace ingle::cli {
namespace {

constexpr std::size_t kChunkLetters = 4096;  // of one escape sequence, as kitty wants it

std::string kitty(std::string_view png) {
  const auto text = base::encode_base64(png);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += kChunkLetters) {
    const bool more = at + kChunkLetters < text.size();
    out += std::format("\x1b_G{}m={};{}\x1b\\", at == 0 ? "a=T,f=100,q=2," : "q=2,", more ? 1 : 0,
                       text.substr(at, kChunkLetters));
  }
  return out + "\n";
}

std::string iterm(std::string_view png) {
  return std::format("\x1b]1337;File=inline=1;size={}:{}\a\n", png.size(),
                     base::encode_base64(png));
}

}  // namespace

PictureProtocol picture_protocol(const platform::Environment& environment) {
  const auto value = [&](const char* name) { return environment(name).value_or(""); };
  // A multiplexer passes neither on by itself.
  if (!value("TMUX").empty() || value("TERM").starts_with("screen")) return PictureProtocol::none;
  const auto program = value("TERM_PROGRAM");
  if (!value("KITTY_WINDOW_ID").empty() || value("TERM") == "xterm-kitty" ||
      value("TERM") == "xterm-ghostty" || program == "ghostty" || program == "WezTerm" ||
      !value("KONSOLE_VERSION").empty())
    return PictureProtocol::kitty;
  if (program == "iTerm.app" || program == "mintty" || program == "vscode")
    return PictureProtocol::iterm;
  return PictureProtocol::none;
}

std::string show_png(PictureProtocol protocol, std::string_view png) {
  if (protocol == PictureProtocol::kitty) return kitty(png);
  return protocol == PictureProtocol::iterm ? iterm(png) : "";
}

}  // namespace ingle::cli
