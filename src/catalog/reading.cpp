#include "catalog/reading.h"

#include <algorithm>
#include <array>
#include <limits>

#include "catalog/text.h"
#include "catalog/tokenizers.h"
#include "gguf/reader.h"
#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using protocol::Json;

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kWordBytesMax = 64;
constexpr std::size_t kProblemBytesMax = 1024;
constexpr std::size_t kFactCount = 39;

// Every fact by its name.
template <class Facts, class Visit>
void each_fact(Facts& facts, Visit&& visit) {
  [[maybe_unused]] auto& [... all] = facts;
  static_assert(sizeof...(all) == kFactCount,
                "a new fact must be kept in the database: name it below, raise kReadingVersion");
  visit("architecture", facts.architecture);
  visit("name", facts.name);
  visit("quantization", facts.quantization);
  visit("parameters", facts.parameters);
  visit("weight_bytes", facts.weight_bytes);
  visit("expert_bytes", facts.expert_bytes);
  visit("embedding_table_bytes", facts.embedding_table_bytes);
  visit("layers", facts.layers);
  visit("embedding_length", facts.embedding_length);
  visit("feed_forward_length", facts.feed_forward_length);
  visit("heads", facts.heads);
  visit("kv_heads", facts.kv_heads);
  visit("key_length", facts.key_length);
  visit("value_length", facts.value_length);
  visit("context_tokens_max", facts.context_tokens_max);
  visit("sliding_window", facts.sliding_window);
  visit("expert_count", facts.expert_count);
  visit("vocabulary_size", facts.vocabulary_size);
  visit("tokenizer", facts.tokenizer);
  visit("chat_template", facts.chat_template);
  visit("pooling_type", facts.pooling_type);
  visit("causal", facts.causal);
  visit("has_classifier", facts.has_classifier);
  visit("split_count", facts.split_count);
  visit("split_index", facts.split_index);
  visit("token_embedding_bytes", facts.token_embedding_bytes);
  visit("output_bytes", facts.output_bytes);
  visit("repacked_bytes", facts.repacked_bytes);
  visit("mapped_bytes", facts.mapped_bytes);
  visit("layer_bytes", facts.layer_bytes);
  visit("layer_expert_bytes", facts.layer_expert_bytes);
  visit("layer_windows", facts.layer_windows);
  visit("layer_state_bytes", facts.layer_state_bytes);
  visit("state_width", facts.state_width);
  visit("experts_used", facts.experts_used);
  visit("expert_feed_forward_length", facts.expert_feed_forward_length);
  visit("key_length_windowed", facts.key_length_windowed);
  visit("value_length_windowed", facts.value_length_windowed);
  visit("caches_values", facts.caches_values);
}

bool take(const Json& json, std::string& out) {
  const auto* text = json.as_string();
  if (text) out = *text;
  return text != nullptr;
}

bool take(const Json& json, bool& out) {
  const auto* value = json.as_bool();
  if (value) out = *value;
  return value != nullptr;
}

template <std::unsigned_integral T>
bool take(const Json& json, T& out) {
  std::uint64_t value = 0;
  if (const auto* large = std::get_if<std::uint64_t>(&json.value))
    value = *large;
  else if (const auto* small = std::get_if<std::int64_t>(&json.value); small && *small >= 0)
    value = static_cast<std::uint64_t>(*small);
  else
    return false;
  if (value > std::numeric_limits<T>::max()) return false;
  out = static_cast<T>(value);
  return true;
}

template <std::unsigned_integral T>
bool take(const Json& json, std::vector<T>& out) {
  const auto* array = json.as_array();
  if (!array) return false;
  for (const Json& element : *array)
    if (!take(element, out.emplace_back())) return false;
  return true;
}

template <std::unsigned_integral T>
Json give(const std::vector<T>& values) {
  Json::Array array;
  for (const auto value : values) array.emplace_back(value);
  return Json(std::move(array));
}
template <class T>
Json give(const T& value) {
  return Json(value);
}

// Takes a member of `object` into `out`; notes in `whole` when it is not there or of another type.
void take_member(const Json& object, std::string_view name, auto& out, bool& whole) {
  const Json* member = object.find(name);
  whole = whole && member != nullptr && take(*member, out);
}

// Whether a file with this error will be the same next time, unless it changes.
bool is_lasting(ErrorCode code) {
  constexpr std::array kLasting{ErrorCode::malformed, ErrorCode::limit_exceeded,
                                ErrorCode::unsupported, ErrorCode::model_broken};
  return std::ranges::contains(kLasting, code);
}

Json give(const PicturePart& part) {
  return Json::Array{
      part.role,   part.elements, part.file_bytes, std::string(part_kind_name(part.kind)),
      part.width,  part.pooled,   part.channels,   part.words,
      part.latents};
}

Json give(const PictureFacts& facts) {
  Json::Array parts;
  for (const auto& part : facts.parts) parts.push_back(give(part));
  return Json::Object{{"side", facts.side}, {"parts", std::move(parts)}};
}

bool take(const Json& json, PicturePart& out) {
  const auto* values = json.as_array();
  if (!values || values->size() != 9) return false;
  std::string kind;
  const bool whole = take((*values)[0], out.role) && take((*values)[1], out.elements) &&
                     take((*values)[2], out.file_bytes) && take((*values)[3], kind) &&
                     take((*values)[4], out.width) && take((*values)[5], out.pooled) &&
                     take((*values)[6], out.channels) && take((*values)[7], out.words) &&
                     take((*values)[8], out.latents);
  out.kind = part_kind_from_name(kind);
  return whole;
}

bool take(const Json& json, std::optional<PictureFacts>& out) {
  const Json* side = json.find("side");
  const Json* parts = json.find("parts");
  if (!side || !side->as_int() || !parts || !parts->as_array()) return false;
  auto& facts = out.emplace();
  facts.side = *side->as_int();
  for (const Json& entry : *parts->as_array())
    if (!take(entry, facts.parts.emplace_back())) return false;
  return true;
}

Result<FileReading> read_header(const std::filesystem::path& path) {
  const gguf::Limits limits;
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, limits.header_bytes_max));
  if (file.file_size_bytes() == 0) return fail(ErrorCode::malformed, "the file is empty");
  return reading_of(file.bytes(), file.file_size_bytes());
}

}  // namespace

Result<FileReading> reading_of(std::span<const std::byte> bytes, std::uint64_t file_size_bytes) {
  TRY_ASSIGN(const auto header, gguf::parse(bytes, file_size_bytes));
  FileReading out;
  TRY_ASSIGN(out.facts, gguf::facts_of(header));
  if (const auto* type = header.find("general.type"))
    if (const auto* text = std::get_if<std::string_view>(&type->data))
      out.type = printable(*text, kWordBytesMax);
  gguf::ModelFacts& facts = out.facts;
  facts.name = printable(facts.name, kNameBytesMax);
  facts.architecture = printable(facts.architecture, kWordBytesMax);
  facts.quantization = printable(facts.quantization, kWordBytesMax);
  facts.tokenizer = printable(facts.tokenizer, kWordBytesMax);
  take_picture(header, out);
  facts.chat_template =
      facts.chat_template.size() > kTemplateBytesMax ? "" : valid_utf8(facts.chat_template);
  return out;
}

Result<FileReading> read_model_file(const std::filesystem::path& path) {
  const auto name = path.filename().native();
  if (name == kModelIndex) return read_diffusers_folder(path);
  if (is_tokenizer_file(name)) return read_tokenizer_file(path);
  if (lower(name).ends_with(".safetensors")) return read_safetensors_file(path);
  auto reading = read_header(path);
  if (reading) return reading;
  if (reading.error().code == ErrorCode::not_found) return fail(std::move(reading).error());
  return FileReading{.problem = printable(reading.error().text(), kProblemBytesMax),
                     .lasting = is_lasting(reading.error().code)};
}

std::string encode_reading(const FileReading& reading) {
  Json::Object facts;
  each_fact(reading.facts, [&](std::string_view name, const auto& value) {
    facts.emplace_back(std::string(name), give(value));
  });
  Json::Object out;
  out.emplace_back("version", Json(kReadingVersion));
  out.emplace_back("problem", Json(reading.problem));
  out.emplace_back("type", Json(reading.type));
  out.emplace_back("facts", Json(std::move(facts)));
  if (reading.picture) out.emplace_back("picture", give(*reading.picture));
  if (reading.component) out.emplace_back("component", give(*reading.component));
  return protocol::print_json(Json(std::move(out)));
}

Result<FileReading> decode_reading(std::string_view json) {
  TRY_ASSIGN(const Json object, protocol::parse_json(json));
  const Json* version = object.find("version");
  if (!version || version->as_int() != kReadingVersion)
    return fail(ErrorCode::version_mismatch,
                "the kept reading of a model file is of another version");
  FileReading out;
  const Json* facts = object.find("facts");
  bool whole = facts != nullptr;
  take_member(object, "problem", out.problem, whole);
  take_member(object, "type", out.type, whole);
  if (whole)
    each_fact(out.facts,
              [&](std::string_view name, auto& value) { take_member(*facts, name, value, whole); });
  if (const Json* picture = object.find("picture")) whole = whole && take(*picture, out.picture);
  if (const Json* part = object.find("component"))
    whole = whole && take(*part, out.component.emplace());
  if (!whole) return fail(ErrorCode::malformed, "the kept reading of a model file is not whole");
  return out;
}

}  // namespace ingle::catalog
