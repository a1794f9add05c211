// Feeds any bytes to the tokenizers as a file: the first byte says which (spiece.model, T5's,
// CLIP's or Qwen's tokenizer.json), the rest is the file. What is accepted encodes hostile texts:
// nothing outside tables is read (the sanitizers see it), and ids stay within the vocabulary's
// bounds.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/pair_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"

namespace {

using namespace ingle;

void require(bool holds) {
  if (!holds) std::abort();
}

base::Result<std::unique_ptr<text::Tokenizer>> made(std::uint8_t form, std::string_view file) {
  if (form == 's') return text::make_sentencepiece_tokenizer(file);
  TRY_ASSIGN(const auto json, text::parse_tokenizer_file(file, "tokenizer.json"));
  if (form == 'u') return text::make_unigram_json_tokenizer(json);
  const auto kind = form == 'c' ? text::TokenizerKind::clip : text::TokenizerKind::qwen;
  TRY_ASSIGN(auto parts, text::pair_parts_from_json(json, kind));
  text::add_specials(parts, json);
  return text::make_pair_tokenizer(std::move(parts));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto tokenizer = made(data[0], file);
  if (!tokenizer) {
    require(!tokenizer.error().message.empty());
    return 0;
  }
  using namespace std::string_view_literals;
  for (const auto text : {""sv, "a photo of  a cat\r\n"sv, "\0\xFF\xEF\xAC\x81<|im_start|>"sv,
                          "e\xCC\x81 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 \xC4\xB0"sv,
                          file.substr(0, std::min<std::size_t>(file.size(), 512))}) {
    const auto ids = (*tokenizer)->encode(text);
    if (!ids) continue;
    for (const auto id : *ids)
      require(id >= 0 && static_cast<std::size_t>(id) < 2 * text::kVocabularyMax);
  }
  return 0;
}
