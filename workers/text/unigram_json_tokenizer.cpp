// A T5's tokenizer.json: its normaliser and its cutting into words are lists of steps, which differ
// from file to file.
#include <algorithm>
#include <array>
#include <format>
#include <optional>

#include "base/utf8.h"
#include "text/charsmap.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "text/unigram.h"

namespace ingle::text {
namespace {

using base::ErrorCode;
using protocol::Json;

constexpr std::size_t kStepsMax = 16;

struct Normaliser {
  enum class Kind : std::uint8_t {
    charsmap,
    strip,
    replace,
    replace_spaces,
    lower,
    compose
  } kind{};
  Charsmap charsmap{};
  bool left = false, right = false;  // strip
  std::string from{}, to{};          // replace; replace_spaces: runs of two and more
};

struct Cutter {
  enum class Kind : std::uint8_t { white_space, metaspace } kind{};
  enum class Prefix : std::uint8_t { always, first, never } prefix{};
  std::string space{};  // what stands for a space
  bool split = true;
};

std::unexpected<base::Error> unsupported(std::string_view what, std::string_view name) {
  return base::fail(ErrorCode::unsupported,
                    std::format("tokenizer.json has the {} '{}', which is not known here; try the "
                                "model's spiece.model instead",
                                what, name));
}

// Calls read(step) -> Status for every step of a description that may be a Sequence of steps.
template <class Read>
base::Status for_each_step(const Json* description, std::string_view members, Read&& read) {
  if (description == nullptr || description->is_null()) return {};
  if (text_member(*description, "type") != "Sequence") return read(*description);
  const auto* steps = description->find(members);
  if (steps == nullptr || steps->as_array() == nullptr || steps->as_array()->size() > kStepsMax)
    return base::fail(
        ErrorCode::malformed,
        std::format("tokenizer.json: '{}' is no list of at most {} steps", members, kStepsMax));
  for (const auto& step : *steps->as_array()) TRY(read(step));
  return {};
}

base::Result<std::string> base64_decoded(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char letter : text) {
    std::uint32_t value = 0;
    if (letter >= 'A' && letter <= 'Z')
      value = static_cast<std::uint32_t>(letter - 'A');
    else if (letter >= 'a' && letter <= 'z')
      value = static_cast<std::uint32_t>(letter - 'a') + 26;
    else if (letter >= '0' && letter <= '9')
      value = static_cast<std::uint32_t>(letter - '0') + 52;
    else if (letter == '+')
      value = 62;
    else if (letter == '/')
      value = 63;
    else
      return base::fail(ErrorCode::malformed,
                        "tokenizer.json: 'precompiled_charsmap' is not base64");
    bits = bits << 6 | value;
    if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return out;
}

base::Result<Normaliser> read_normaliser(const Json& json) {
  using Kind = Normaliser::Kind;
  const auto type = text_member(json, "type");
  Normaliser out;
  if (type == "Precompiled") {
    TRY_ASSIGN(const auto bytes, base64_decoded(text_member(json, "precompiled_charsmap")));
    TRY_ASSIGN(out.charsmap, Charsmap::parse(bytes));
  } else if (type == "Strip") {
    out.kind = Kind::strip;
    out.left = flag_member(json, "strip_left", true);
    out.right = flag_member(json, "strip_right", true);
  } else if (type == "Replace") {
    const auto* pattern = json.find("pattern");
    if (pattern == nullptr) return unsupported("normaliser", type);
    out.to = text_member(json, "content");
    out.from = text_member(*pattern, "String");
    out.kind = Kind::replace;
    if (const auto regex = text_member(*pattern, "Regex"); !regex.empty()) {
      if (regex != " {2,}") return unsupported("pattern", regex);
      out.kind = Kind::replace_spaces;
    } else if (out.from.empty()) {
      return unsupported("normaliser", type);
    }
    if (out.to.size() > kPieceBytesMax) return unsupported("replacement", out.to.substr(0, 40));
  } else if (type == "Lowercase") {
    out.kind = Kind::lower;
  } else if (type == "NFC") {
    out.kind = Kind::compose;
  } else {
    return unsupported("normaliser", type);
  }
  return out;
}

base::Result<Cutter> read_cutter(const Json& json) {
  const auto type = text_member(json, "type");
  if (type == "WhitespaceSplit") return Cutter{.kind = Cutter::Kind::white_space};
  if (type != "Metaspace") return unsupported("pre-tokenizer", type);
  Cutter out{.kind = Cutter::Kind::metaspace};
  out.space = text_member(json, "replacement");
  out.split = flag_member(json, "split", true);
  if (out.space.empty() || out.space.size() > 4 || out.space.contains(' '))
    return unsupported("replacement", out.space);
  const auto scheme = text_member(json, "prepend_scheme");
  if (scheme == "first")
    out.prefix = Cutter::Prefix::first;
  else if (scheme == "never" || !flag_member(json, "add_prefix_space", true))
    out.prefix = Cutter::Prefix::never;
  return out;
}

std::string stripped(std::string_view text, const Normaliser& how) {
  if (how.right) text = without_trailing_space(text);
  while (how.left && !text.empty()) {
    const auto next = base::first_char(text);
    if (!is_space(next.code)) break;
    text.remove_prefix(next.length);
  }
  return std::string(text);
}

base::Result<std::string> replaced(std::string_view text, const Normaliser& how) {
  const bool runs = how.kind == Normaliser::Kind::replace_spaces;
  const std::string_view from = runs ? std::string_view("  ") : std::string_view(how.from);
  std::string out;
  while (true) {
    const auto found = text.find(from);
    out += text.substr(0, found);
    TRY(check_grown(out));
    if (found == text.npos) return out;
    text.remove_prefix(found + from.size());
    while (runs && text.starts_with(' ')) text.remove_prefix(1);
    out += how.to;
  }
}

// A word of the text; only the first may get a prefix of its own.
struct Word {
  std::string text{};
  bool first = false;
};

std::vector<Word> cut(const Word& word, const Cutter& how) {
  std::vector<Word> out;
  if (how.kind == Cutter::Kind::white_space) {
    std::string part;
    bool first = word.first;
    const auto flush = [&] {
      if (!part.empty()) out.push_back({.text = std::move(part), .first = first});
      part.clear();
      first = false;
    };
    for (std::string_view rest = word.text; !rest.empty();) {
      const auto next = base::first_char(rest);
      if (is_space(next.code))
        flush();
      else
        part += rest.substr(0, next.length);
      rest.remove_prefix(next.length);
    }
    flush();
    return out;
  }
  std::string text;
  for (const char byte : word.text)
    if (byte == ' ')
      text += how.space;
    else
      text += byte;
  const bool prefix =
      how.prefix == Cutter::Prefix::always || (how.prefix == Cutter::Prefix::first && word.first);
  if (prefix && !text.starts_with(how.space)) text.insert(0, how.space);
  if (!how.split) return {{.text = std::move(text), .first = word.first}};
  // Every space begins a new word.
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(how.space, begin + 1), text.size());
    out.push_back({.text = text.substr(begin, end - begin), .first = word.first && begin == 0});
    begin = end;
  }
  return out;
}

class UnigramJsonTokenizer : public Tokenizer {
 public:
  static base::Result<std::unique_ptr<Tokenizer>> create(const Json& json, Unigram unigram) {
    auto out = std::make_unique<UnigramJsonTokenizer>();
    out->unigram_ = std::move(unigram);
    TRY_ASSIGN(auto added, added_tokens_from_json(json));
    for (const auto& token : added)
      if (token.normalized) return unsupported("added token in normalised text", token.content);
    TRY(for_each_step(json.find("normalizer"), "normalizers",
                      [&](const Json& step) -> base::Status {
                        TRY_ASSIGN(auto read, read_normaliser(step));
                        out->normalisers_.push_back(std::move(read));
                        return {};
                      }));
    TRY(for_each_step(json.find("pre_tokenizer"), "pretokenizers",
                      [&](const Json& step) -> base::Status {
                        TRY_ASSIGN(auto read, read_cutter(step));
                        out->cutters_.push_back(std::move(read));
                        return {};
                      }));
    const auto id_of = [&](std::string_view text) {
      const auto found = std::ranges::find(added, text, &AddedToken::content);
      return found != added.end() ? found->id : out->unigram_.find(text);
    };
    out->specials_.eos = id_of("</s>");
    out->specials_.pad = std::max(0, id_of("<pad>"));
    out->added_ = AddedTokens(std::move(added));
    return out;
  }

  base::Result<Ids> encode(std::string_view text) const override {
    TRY(check_length(text));
    const auto valid = valid_utf8(text);
    Ids out;
    for (const auto& part : added_.split(valid)) {
      if (part.id >= 0) {
        out.push_back(part.id);
        continue;
      }
      TRY_ASSIGN(auto normal, normalised(part.text));
      if (normal.empty()) continue;
      std::vector<Word> words{
          {.text = std::move(normal), .first = part.text.data() == valid.data()}};
      for (const auto& cutter : cutters_) {
        std::vector<Word> next;
        std::size_t bytes = 0;
        for (const auto& word : words) {
          auto parts = cut(word, cutter);
          for (const auto& piece : parts) bytes += piece.text.size();
          if (bytes > Charsmap::kOutputBytesMax)
            return base::fail(base::ErrorCode::limit_exceeded,
                              "the text grows too long when the tokenizer cuts it");
          std::ranges::move(parts, std::back_inserter(next));
        }
        words = std::move(next);
      }
      for (const auto& word : words) unigram_.encode(word.text, out);
    }
    return out;
  }
  const Specials& specials() const override { return specials_; }

 private:
  base::Result<std::string> normalised(std::string_view text) const {
    std::string out(text);
    for (const auto& step : normalisers_) {
      switch (step.kind) {
        case Normaliser::Kind::charsmap: {
          TRY_ASSIGN(out, step.charsmap.normalised_by_graphemes(out));
          out = valid_utf8(out);  // a hostile table may hold anything
          break;
        }
        case Normaliser::Kind::strip:
          out = stripped(out, step);
          break;
        case Normaliser::Kind::replace:
        case Normaliser::Kind::replace_spaces: {
          TRY_ASSIGN(out, replaced(out, step));
          break;
        }
        case Normaliser::Kind::lower:
          out = lowered(out);
          break;
        case Normaliser::Kind::compose:
          out = composed(out);
          break;
      }
      TRY(check_grown(out));
    }
    return out;
  }

  AddedTokens added_;
  std::vector<Normaliser> normalisers_;
  std::vector<Cutter> cutters_;
  Unigram unigram_;
  Specials specials_;
};

base::Result<std::vector<Piece>> read_pieces(const Json* vocabulary) {
  if (vocabulary == nullptr || vocabulary->as_array() == nullptr)
    return base::fail(ErrorCode::malformed, "tokenizer.json: 'model' has no list 'vocab'");
  std::vector<Piece> out;
  out.reserve(std::min(vocabulary->as_array()->size(), kVocabularyMax));
  for (const auto& entry : *vocabulary->as_array()) {
    const auto* pair = entry.as_array();
    const auto* text = pair == nullptr || pair->size() != 2 ? nullptr : (*pair)[0].as_string();
    const auto score = text == nullptr ? std::nullopt : (*pair)[1].as_double();
    if (!score)
      return base::fail(
          ErrorCode::malformed,
          std::format("tokenizer.json: piece {} is no text with a score", out.size()));
    out.push_back({.text = *text, .score = *score});
  }
  return out;
}

}  // namespace

base::Result<std::unique_ptr<Tokenizer>> make_unigram_json_tokenizer(const Json& json) {
  const auto* model = json.find("model");
  if (model == nullptr || text_member(*model, "type") != "Unigram")
    return base::fail(ErrorCode::unsupported,
                      "tokenizer.json is not of type 'Unigram', which T5 wants");
  TRY_ASSIGN(auto pieces, read_pieces(model->find("vocab")));
  const auto* unknown = model->find("unk_id");
  const auto id = unknown == nullptr ? std::nullopt : unknown->as_int();
  if (!id || *id < 0 || static_cast<std::size_t>(*id) >= pieces.size())
    return base::fail(ErrorCode::malformed, "tokenizer.json: 'unk_id' is no piece's");
  TRY_ASSIGN(auto unigram,
             Unigram::create(std::move(pieces),
                             {.sums = UnigramOptions::Sums::f64,
                              .unknown = static_cast<std::int32_t>(*id),
                              .byte_fallback = flag_member(*model, "byte_fallback", false)}));
  return UnigramJsonTokenizer::create(json, std::move(unigram));
}

}  // namespace ingle::text
