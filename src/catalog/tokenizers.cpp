#include "catalog/tokenizers.h"

#include <algorithm>
#include <format>
#include <optional>
#include <system_error>

#include "platform/files.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;

// Goes over JSON text without keeping any of it. Wrong text ends it early: `whole` is false then.
class JsonSkim {
 public:
  explicit JsonSkim(std::string_view text) : text_(text) {}

  bool whole() const { return whole_; }

  // The text as it is written, without quotes; empty when there is none.
  std::string_view take_string() {
    if (next() != '"') return wrong();
    const auto begin = ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return wrong();
    return text_.substr(begin, at_++ - begin);
  }

  // Calls visit(name) at each member's value, which visit takes or skips.
  template <class Visit>
  void members(Visit&& visit) {
    if (!enter('{')) return;
    while (more('}')) {
      const auto name = take_string();
      if (next() != ':') (void)wrong();
      ++at_;
      if (whole_) visit(name);
    }
  }

  // Skips a list, and counts its elements.
  std::uint64_t count_elements() {
    std::uint64_t out = 0;
    if (!enter('[')) return 0;
    for (; more(']'); ++out) skip();
    return out;
  }

  char next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void skip() {
    std::size_t depth = 0;
    do {
      const char c = next();
      if (c == '"') {
        (void)take_string();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '\0' || (depth == 0 && std::string_view("}],:").contains(c))) {
        (void)wrong();  // there is no value
      } else if (c == '}' || c == ']') {
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        ++at_;
      } else {
        while (at_ < text_.size() && !std::string_view(",:{}[] \t\r\n\"").contains(text_[at_]))
          ++at_;
      }
    } while (whole_ && depth > 0);
  }

 private:
  std::string_view wrong() {
    whole_ = false;
    at_ = text_.size();
    return {};
  }
  bool enter(char open) {
    if (next() != open) {
      (void)wrong();
      return false;
    }
    ++at_;
    return true;
  }
  // Whether another member or element follows; takes what stands before it.
  bool more(char close) {
    if (next() == ',') ++at_;
    if (!whole_ || next() == '\0') {
      (void)wrong();
      return false;
    }
    if (next() != close) return true;
    ++at_;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool whole_ = true;
};

constexpr std::string_view kWordEnd = "</w>";

PicturePart of_model(JsonSkim& in) {
  PicturePart out;
  bool word_ends = false;
  in.members([&](std::string_view name) {
    if (name == "vocab" && in.next() == '[') {
      out.kind = PartKind::unigram_words;
      out.words = in.count_elements();
    } else if (name == "vocab" && in.next() == '{') {
      out.kind = PartKind::pair_words;
      in.members([&](std::string_view) {
        ++out.words;
        in.skip();
      });
    } else if (name == "end_of_word_suffix" && in.next() == '"') {
      word_ends = in.take_string() == kWordEnd;
    } else {
      in.skip();
    }
  });
  if (word_ends && out.kind == PartKind::pair_words) out.kind = PartKind::clip_words;
  return out;
}

PicturePart of_tokenizer_json(std::string_view text) {
  JsonSkim in(text);
  PicturePart out;
  in.members([&](std::string_view name) {
    if (name == "model" && in.next() == '{')
      out = of_model(in);
    else
      in.skip();
  });
  return in.whole() ? out : PicturePart{};
}

PicturePart of_vocabulary(std::string_view text) {
  JsonSkim in(text);
  PicturePart out{.kind = PartKind::pair_words};
  in.members([&](std::string_view word) {
    ++out.words;
    if (word.ends_with(kWordEnd)) out.kind = PartKind::clip_words;
    in.skip();
  });
  return in.whole() ? out : PicturePart{};
}

// A message of Protocol Buffers: its pieces are field 1.
PicturePart of_pieces(std::string_view bytes) {
  constexpr unsigned kPieces = 1, kBytes = 2;
  std::size_t at = 0;
  const auto number = [&]() -> std::optional<std::uint64_t> {
    std::uint64_t out = 0;
    for (unsigned shift = 0; at < bytes.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return out;
    }
    return std::nullopt;
  };
  PicturePart out{.kind = PartKind::unigram_words};
  while (at < bytes.size()) {
    const auto key = number();
    if (!key || (*key & 7) != kBytes) return {};  // everything on the outside is of this kind
    const auto length = number();
    if (!length || *length > bytes.size() - at) return {};
    at += *length;
    out.words += *key >> 3 == kPieces;
  }
  return out;
}

}  // namespace

bool is_tokenizer_file(std::string_view name) {
  return std::ranges::contains(kTokenizerFiles, name);
}

base::Result<PicturePart> tokenizer_in(std::string_view name, std::string_view text) {
  auto out = name == "tokenizer.json" ? of_tokenizer_json(text)
             : name == "spiece.model" ? of_pieces(text)
                                      : of_vocabulary(text);
  if (out.kind == PartKind::unknown || out.words == 0)
    return fail(ErrorCode::malformed,
                std::format("{} is no tokenizer that picture models have", name));
  out.role = "tokenizer";
  out.file_bytes = text.size();
  return out;
}

base::Result<PicturePart> read_tokenizer(const std::filesystem::path& file) {
  TRY_ASSIGN(const auto mapped, platform::MappedFile::open(file, kTokenizerBytesMax));
  if (mapped.file_size_bytes() > kTokenizerBytesMax)
    return fail(ErrorCode::limit_exceeded,
                std::format("{} is over {} bytes long", file.native(), kTokenizerBytesMax));
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                              mapped.bytes().size());
  auto out = tokenizer_in(file.filename().native(), text);
  if (!out) return fail(std::move(out).error().with_context("reading " + file.native()));
  return out;
}

base::Result<PicturePart> read_tokenizer_folder(const std::filesystem::path& folder) {
  for (const auto name : kTokenizerFiles) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(folder / name, ignored))
      return read_tokenizer(folder / name);
  }
  return fail(ErrorCode::not_found, std::format("there is no tokenizer in {}", folder.native()));
}

}  // namespace ingle::catalog
