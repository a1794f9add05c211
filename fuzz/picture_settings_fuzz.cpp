// Feeds any bytes to the readers of a picture's sides and of the settings in it, as they are, as
// each of the inner forms (EXIF, XMP, A1111's text), and holds what the headers promise: texts are
// valid UTF-8 without NULs and within their limit, what is taken over is in the range of a request,
// and what cannot be read is an error with words.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/utf8.h"
#include "media/a1111.h"
#include "pixels/metadata.h"
#include "pixels/sides.h"
#include "pixels/texts.h"

namespace {

using namespace ingle;

void require(bool holds) {
  if (!holds) std::abort();
}

void hold_text(std::string_view text) {
  require(text.size() <= 3 * pixels::kTextBytesMax);  // Latin-1 and UTF-16 grow
  while (!text.empty()) {
    const auto next = base::first_char(text);
    require(next.valid && next.code != 0);
    text.remove_prefix(next.length);
  }
}

void hold(const base::Result<std::string>& text) {
  if (text)
    hold_text(*text);
  else
    require(!text.error().message.empty());
}

// Whether the order of bytes can be seen in the text as UTF-16, as in all that has a line of
// settings.
bool tells_its_order(std::string_view text) {
  if (text.starts_with("\uFEFF") || text.starts_with("\uFFFE")) return false;
  std::size_t latin = 0, others = 0;
  while (!text.empty()) {
    const auto next = base::first_char(text);
    latin += next.code < 0x100;
    others += next.code >= 0x100;
    text.remove_prefix(next.length);
  }
  return latin >= 2 * others;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto sides = pixels::sides_of(bytes))
    require(sides->width >= 0 && sides->height >= 0 && sides->width < 1LL << 32 &&
            sides->height < 1LL << 32);
  if (const auto texts = pixels::read_texts(bytes)) {
    hold_text(texts->parameters);
    hold_text(texts->ingle);
  } else {
    require(!texts.error().message.empty());
  }
  hold(pixels::comment_of_exif(bytes));
  hold(pixels::json_of_xmp(bytes));
  const auto text = pixels::as_utf8(bytes);
  hold_text(text);
  // What is written is read back.
  if (text.size() < pixels::kTextBytesMax / 8) {
    require(pixels::json_of_xmp(pixels::xmp_of(text)) == text);
    if (tells_its_order(text)) require(pixels::comment_of_exif(pixels::exif_of(text)) == text);
  }
  const auto found = media::read_a1111(bytes);
  if (!found) return 0;
  const auto& request = found->request;
  require(found->left_out.size() <= 64 && request.adapters.size() <= media::kPromptAdaptersMax);
  require(!request.steps || (*request.steps >= 1 && *request.steps <= 1000));
  require(!request.seed || *request.seed >= 0);
  require(!request.guidance || (*request.guidance >= 0 && *request.guidance <= 100));
  return 0;
}
