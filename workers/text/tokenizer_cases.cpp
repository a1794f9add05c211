// Golden cases of tokenizers: cases.json has texts and, by column, the ids that they have.
#include <format>

#include "platform/files.h"
#include "text/text_cases.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace ingle::text {
namespace {

using base::Result;
using models::Comparison;
using protocol::Json;

enum class Form : std::uint8_t { bare, framed, fitted };

struct Column {
  std::string_view name{};
  TokenizerKind kind{};
  PreferredFile file{};
  std::string_view needs{};  // the file that it was made from
  Form form{};
};

constexpr auto kJson = PreferredFile::tokenizer_json;
constexpr auto kModel = PreferredFile::model;
constexpr Column kColumns[] = {
    {"ids_full", TokenizerKind::clip, kJson, "tokenizer.json", Form::framed},
    {"ids_77", TokenizerKind::clip, kJson, "tokenizer.json", Form::fitted},
    {"ids_full", TokenizerKind::clip, kModel, "merges.txt", Form::framed},
    {"ids_77", TokenizerKind::clip, kModel, "merges.txt", Form::fitted},
    {"ids", TokenizerKind::unigram, kModel, "spiece.model", Form::framed},
    {"ids_64", TokenizerKind::unigram, kModel, "spiece.model", Form::fitted},
    {"ids_spm_plain", TokenizerKind::unigram, kModel, "spiece.model", Form::bare},
    {"ids_hf_fast", TokenizerKind::unigram, kJson, "tokenizer.json", Form::framed},
};

Result<Ids> ids_of(const Json& list) {
  if (list.as_array() == nullptr)
    return base::fail(base::ErrorCode::malformed, "cases.json: ids are no list");
  Ids out;
  for (const auto& id : *list.as_array()) {
    const auto number = id.as_int();
    if (!number)
      return base::fail(base::ErrorCode::malformed, "cases.json: an id is no whole number");
    out.push_back(static_cast<std::int32_t>(*number));
  }
  return out;
}

// Nothing when no text has the column.
Result<std::optional<Comparison>> compare_column(const Json::Array& cases, const Column& column,
                                                 const Tokenizer& tokenizer) {
  std::size_t compared = 0, wrong = 0;
  std::string first;
  for (const auto& entry : cases) {
    const auto* list = entry.find(column.name);
    if (list == nullptr) continue;
    TRY_ASSIGN(const auto expected, ids_of(*list));
    TRY_ASSIGN(const auto ids, tokenizer.encode(text_member(entry, "text")));
    const auto got =
        column.form == Form::bare ? ids
        : column.form == Form::framed
            ? framed(tokenizer.specials(), ids)
            : fitted(tokenizer.specials(), ids, std::max<std::size_t>(expected.size(), 2));
    ++compared;
    if (got == expected) continue;
    if (wrong++ == 0) first = text_member(entry, "text").substr(0, 40);
  }
  if (compared == 0) return std::nullopt;
  auto name = std::format("{} by {}, {} texts", column.name, column.needs, compared);
  if (wrong > 0) name += std::format(", wrong first: '{}'", first);
  return Comparison{.name = std::move(name),
                    .largest = static_cast<double>(wrong),
                    .relative = static_cast<double>(wrong) / static_cast<double>(compared)};
}

}  // namespace

Result<std::vector<Comparison>> run_tokenizer_case(const models::GoldenCase& golden) {
  const auto files = platform::create_files();
  TRY_ASSIGN(const auto text, files->read(golden.folder / "cases.json", kTokenizerFileBytesMax));
  TRY_ASSIGN(const auto json, parse_tokenizer_file(text, "cases.json"));
  const auto* cases = json.find("cases");
  if (cases == nullptr || cases->as_array() == nullptr)
    return base::fail(base::ErrorCode::malformed, "cases.json has no list 'cases'");
  // Both kinds have a tokenizer.json; only CLIP's case has a merges.txt beside it.
  const auto has = [&](std::string_view name) {
    return files->info(golden.folder / name).has_value();
  };
  const auto kind = has("merges.txt") ? TokenizerKind::clip : TokenizerKind::unigram;
  std::vector<Comparison> out;
  for (const auto& column : kColumns) {
    if (column.kind != kind || !has(column.needs)) continue;
    TRY_ASSIGN(const auto tokenizer, open_tokenizer(golden.folder, kind, column.file));
    TRY_ASSIGN(auto comparison, compare_column(*cases->as_array(), column, *tokenizer));
    if (comparison) out.push_back(*std::move(comparison));
  }
  return out;
}

}  // namespace ingle::text
