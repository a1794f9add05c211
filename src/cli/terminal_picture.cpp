#include "cli/terminal_picture.h"

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "base/base64.h"
#include "base/check.h"
#include "cli/sixel.h"
#include "pixels/decode.h"
#include "pixels/encode.h"
#include "pixels/shrink.h"

namespace ingle::cli {
namespace {

constexpr std::size_t kChunkLetters = 4096;  // of one escape sequence, as kitty wants it
constexpr int kLinesLeft = 2;                // for the prompt and the picture's name
// Pixels of a letter where the terminal does not tell.
constexpr int kLetterWidth = 10, kLetterHeight = 20;

struct Sides {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};

// The largest of the same shape within `most`, and not over its own.
Sides fit(Sides own, Sides most) {
  const auto scaled = [](std::uint32_t side, std::uint32_t by, std::uint32_t over) {
    return std::max<std::uint32_t>(
        1, static_cast<std::uint32_t>(std::uint64_t{side} * by / std::max(over, 1u)));
  };
  if (own.width > most.width) own = {most.width, scaled(own.height, most.width, own.width)};
  if (own.height > most.height) own = {scaled(own.width, most.height, own.height), most.height};
  return own;
}

Sides letter(const TerminalSize& size) {
  if (size.width < size.columns || size.height < size.rows) return {kLetterWidth, kLetterHeight};
  return {static_cast<std::uint32_t>(size.width / size.columns),
          static_cast<std::uint32_t>(size.height / size.rows)};
}

// Room for a picture, in letters.
Sides room(const TerminalSize& size) {
  return {static_cast<std::uint32_t>(std::max(size.columns, 1)),
          static_cast<std::uint32_t>(std::max(size.rows - kLinesLeft, 1))};
}

// Columns that a picture of these sides is to take; 0: its own, since it fits.
std::uint32_t columns_for(Sides own, const TerminalSize& size) {
  const auto one = letter(size);
  const auto letters = room(size);
  const auto shown = fit(own, {letters.width * one.width, letters.height * one.height});
  return shown.width == own.width ? 0 : std::max(1u, shown.width / one.width);
}

std::string kitty(std::string_view png, std::uint32_t columns) {
  const auto text = base::encode_base64(png);
  const auto wide = columns > 0 ? std::format("c={},", columns) : "";
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += kChunkLetters) {
    const bool more = at + kChunkLetters < text.size();
    out += std::format("\x1b_G{}{}m={};{}\x1b\\", at == 0 ? "a=T,f=100,q=2," : "q=2,",
                       at == 0 ? wide : "", more ? 1 : 0, text.substr(at, kChunkLetters));
  }
  return out + "\n";
}

std::string iterm(std::string_view file, std::uint32_t columns) {
  const auto wide = columns > 0 ? std::format(";width={}", columns) : "";
  return std::format("\x1b]1337;File=inline=1;size={}{}:{}\a\n", file.size(), wide,
                     base::encode_base64(file));
}

}  // namespace

PictureProtocol picture_protocol(const platform::Environment& environment, bool colour,
                                 const std::function<bool()>& asks_sixels) {
  const auto value = [&](const char* name) { return environment(name).value_or(""); };
  if (value("TERM") == "dumb") return PictureProtocol::none;
  const auto program = value("TERM_PROGRAM");
  // A multiplexer passes neither on by itself.
  const bool inside = !value("TMUX").empty() || value("TERM").starts_with("screen");
  if (!inside) {
    if (!value("KITTY_WINDOW_ID").empty() || value("TERM") == "xterm-kitty" ||
        value("TERM") == "xterm-ghostty" || program == "ghostty" || program == "WezTerm" ||
        !value("KONSOLE_VERSION").empty())
      return PictureProtocol::kitty;
    if (program == "iTerm.app" || program == "mintty" || program == "vscode")
      return PictureProtocol::iterm;
  }
  if (asks_sixels()) return PictureProtocol::sixel;
  // The first that is set decides.
  std::string letters;
  for (const auto* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (letters.empty()) letters = value(name);
  std::ranges::transform(letters, letters.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool utf8 = letters.contains("utf-8") || letters.contains("utf8");
  return colour && utf8 ? PictureProtocol::blocks : PictureProtocol::none;
}

PictureProtocol picture_protocol_of(std::string_view name) {
  using enum PictureProtocol;
  constexpr std::array<std::pair<std::string_view, PictureProtocol>, 5> kNames{
      {{"never", none}, {"kitty", kitty}, {"iterm", iterm}, {"sixel", sixel}, {"blocks", blocks}}};
  const auto* const found =
      std::ranges::find(kNames, name, &std::pair<std::string_view, PictureProtocol>::first);
  CHECK(found != kNames.end(), "a way to show pictures of an unknown name");
  return found->second;
}

ColourDepth colour_depth(const platform::Environment& environment) {
  const auto colours = environment("COLORTERM").value_or("");
  const bool all = colours == "truecolor" || colours == "24bit" ||
                   environment("TERM").value_or("").ends_with("-direct");
  return all ? ColourDepth::true_colour : ColourDepth::palette_256;
}

base::Result<std::string> show_picture(PictureProtocol protocol, std::string_view file,
                                       const Screen& screen) {
  if (protocol == PictureProtocol::none) return std::string();
  TRY_ASSIGN(const auto picture, pixels::decode(file, pixels::Colours::rgb));
  const Sides own{static_cast<std::uint32_t>(picture.width),
                  static_cast<std::uint32_t>(picture.height)};
  const pixels::Pixels all{
      own.width, own.height,
      std::string_view(reinterpret_cast<const char*>(picture.data.data()), picture.data.size())};
  const auto letters = room(screen.size);
  const auto shrunk = [&all](Sides sides) {
    return pixels::resize(all, sides.width, sides.height);
  };
  switch (protocol) {
    case PictureProtocol::none:
      break;
    case PictureProtocol::kitty: {
      const auto columns = columns_for(own, screen.size);
      TRY_ASSIGN(const auto format, pixels::format_of(file));
      if (format == pixels::Format::png) return kitty(file, columns);
      // It reads no other kind.
      TRY_ASSIGN(const auto png, pixels::encode(pixels::Format::png, all, pixels::kQualityMax));
      return kitty(png, columns);
    }
    case PictureProtocol::iterm:
      return iterm(file, columns_for(own, screen.size));
    case PictureProtocol::sixel: {
      const auto one = letter(screen.size);
      const auto shown = shrunk(fit(own, {letters.width * one.width, letters.height * one.height}));
      return sixels(shown.pixels()) + "\n";
    }
    case PictureProtocol::blocks: {
      const auto shown = shrunk(fit(own, {letters.width, letters.height * 2}));
      return half_blocks(shown.pixels(), screen.depth);
    }
  }
  std::unreachable();
}

}  // namespace ingle::cli
