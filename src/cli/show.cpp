#include "cli/show.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <format>
#include <map>

#include "base/bytes.h"
#include "cli/table.h"
#include "gguf/facts.h"
#include "gguf/reader.h"
#include "gguf/tensor_types.h"
#include "insight/escape.h"
#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using protocol::Json;

constexpr std::uint64_t kArrayElementsShown = 8;
constexpr std::size_t kRawTextBytes = 200;
constexpr double kHalfBytes = 2;  // of an f16
constexpr double kShareShown = 0.005;

std::string cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return insight::escape_line(text);
  return std::format("{}... ({} bytes)", insight::escape_line(text.substr(0, bytes_max)),
                     text.size());
}

std::string count_of(std::uint64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return std::format("{:.2f} billion", value / 1e9);
  if (value >= 1e6) return std::format("{:.1f} million", value / 1e6);
  return std::format("{}", count);
}

// "Q4_K 81 %, Q6_K 18 %, F32 1 %", by bytes.
std::string type_mix(const gguf::Header& header) {
  std::map<std::uint32_t, std::uint64_t> bytes;
  std::uint64_t total = 0;
  for (const auto& tensor : header.tensors) {
    bytes[tensor.type] += tensor.size_bytes;
    total += tensor.size_bytes;
  }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  for (const auto& [type, size] : bytes) order.emplace_back(size, type);
  std::ranges::sort(order, std::greater{});
  std::string out;
  for (const auto& [size, type] : order) {
    const double share = static_cast<double>(size) / static_cast<double>(total);
    if (share < kShareShown && !out.empty()) break;
    out += std::format("{}{} {:.0f} %", out.empty() ? "" : ", ", gguf::tensor_type_name(type),
                       share * 100);
  }
  return out;
}

std::string heads_text(const gguf::ModelFacts& facts) {
  if (facts.kv_heads.empty()) return std::format("{}", facts.heads);
  const auto [least, most] = std::ranges::minmax(facts.kv_heads);
  const auto kv = least == most ? std::format("{}", most) : std::format("{} to {}", least, most);
  return std::format("{}, {} for keys and values, {} long", facts.heads, kv, facts.key_length);
}

std::string kv_text(const gguf::ModelFacts& facts) {
  const double per_token = facts.kv_bytes_per_token(kHalfBytes, kHalfBytes);
  const auto rounded = [](double bytes) {
    return base::format_bytes(static_cast<std::uint64_t>(std::llround(std::min(bytes, 0x1p62))));
  };
  if (facts.context_tokens_max == 0) return rounded(per_token) + " per token";
  return std::format("{} per token, {} at {} tokens", rounded(per_token),
                     rounded(per_token * facts.context_tokens_max), facts.context_tokens_max);
}

std::string pooling_text(std::uint32_t type) {
  static constexpr std::array<std::string_view, 5> kNames{"none", "mean", "first token",
                                                          "last token", "rank"};
  return type < kNames.size() ? std::string(kNames[type]) : std::format("type {}", type);
}

// One aligned line per fact; a fact that the file does not state has no line.
class Card {
 public:
  void line(std::string_view name, const std::string& value) {
    if (!value.empty()) text_ += std::format("  {:<16}{}\n", name, value);
  }
  void number(std::string_view name, std::uint64_t value) {
    if (value != 0) line(name, std::format("{}", value));
  }
  void title(const std::string& text) { text_ += text + "\n"; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string card(const gguf::Header& header, const gguf::ModelFacts& facts,
                 const std::filesystem::path& path) {
  Card out;
  const auto file = path.filename().string();
  out.title(cut(facts.name.empty() ? file : facts.name, kRawTextBytes));
  out.line("file", std::format("{}, {}, GGUF version {}", cut(file, kRawTextBytes),
                               base::format_bytes(header.file_size_bytes), header.version));
  if (facts.split_count > 1)
    out.line("shard",
             std::format("{} of {}", std::uint64_t{facts.split_index} + 1, facts.split_count));
  out.line("architecture", facts.architecture);
  out.line("parameters", count_of(facts.parameters));
  out.line("quantization", type_mix(header));
  out.number("context", facts.context_tokens_max);
  out.number("layers", facts.layers);
  if (facts.heads != 0) out.line("heads", heads_text(facts));
  out.number("embedding", facts.embedding_length);
  out.number("feed-forward", facts.feed_forward_length);
  out.number("experts", facts.expert_count);
  out.number("sliding window", facts.sliding_window);
  if (facts.kv_bytes_per_token(kHalfBytes, kHalfBytes) > 0 && facts.causal)
    out.line("KV cache (f16)", kv_text(facts));
  if (!facts.tokenizer.empty())
    out.line("tokenizer", std::format("{}, {} tokens", cut(facts.tokenizer, kRawTextBytes),
                                      facts.vocabulary_size));
  out.line("chat template", facts.chat_template.empty() ? "no" : "yes");
  if (facts.pooling_type != 0) out.line("pooling", pooling_text(facts.pooling_type));
  if (facts.has_classifier) out.line("classifier", "yes");
  return out.take();
}

std::string tensor_table(const gguf::Header& header) {
  using enum Column::Align;
  Table table(
      {{left, "TENSOR"}, {left, "TYPE"}, {right, "SHAPE"}, {right, "SIZE"}, {right, "OFFSET"}});
  for (const auto& tensor : header.tensors) {
    std::string shape;
    for (std::uint32_t i = 0; i < tensor.dimension_count; ++i)
      shape += std::format("{}{}", i == 0 ? "" : " x ", tensor.dimensions[i]);
    table.add({std::string(tensor.name), std::string(gguf::tensor_type_name(tensor.type)), shape,
               base::format_bytes(tensor.size_bytes),
               std::format("{}", header.data_offset_bytes + tensor.offset_bytes)});
  }
  return table.text(0);
}

// The first elements, each given to visit as a Value.
template <class Visit>
void for_each_shown(const gguf::ArrayView& array, Visit&& visit) {
  if (array.element == gguf::ValueType::string) {
    std::uint64_t seen = 0;
    array.for_each_string([&](std::string_view text) {
      if (seen++ < kArrayElementsShown) visit(gguf::Value{array.element, text});
    });
    return;
  }
  for (std::uint64_t i = 0; i < std::min(array.count, kArrayElementsShown); ++i) visit(array.at(i));
}

std::string scalar_text(const gguf::Value& value) {
  if (const auto text = value.as_string()) return std::format("\"{}\"", cut(*text, kRawTextBytes));
  if (const auto truth = value.as_bool()) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<std::uint64_t>(&value.data))
    return std::format("{}", *number);
  if (const auto* number = std::get_if<std::int64_t>(&value.data))
    return std::format("{}", *number);
  const double number = value.as_number().value_or(0);
  return value.type == gguf::ValueType::f32 ? std::format("{}", static_cast<float>(number))
                                            : std::format("{}", number);
}

std::string array_text(const gguf::ArrayView& array) {
  std::string out;
  for_each_shown(array, [&out](const gguf::Value& element) {
    out += std::format("{}{}", out.empty() ? "" : ", ", scalar_text(element));
  });
  if (array.count > kArrayElementsShown) out += ", ...";
  return std::format("[{}]", out);
}

std::string raw_text(const gguf::Header& header) {
  Table table({{Column::Align::left, "KEY"},
               {Column::Align::left, "TYPE"},
               {Column::Align::left, "VALUE"}});
  for (const auto& [key, value] : header.metadata) {
    const auto* array = value.as_array();
    const auto type =
        array == nullptr
            ? std::string(gguf::value_type_name(value.type))
            : std::format("{}[{}]", gguf::value_type_name(array->element), array->count);
    table.add({cut(key, kRawTextBytes), type,
               array == nullptr ? scalar_text(value) : array_text(*array)});
  }
  return table.text(0);
}

Json json_of(const gguf::Value& value) {
  if (const auto text = value.as_string()) return Json(std::string(*text));
  if (const auto truth = value.as_bool()) return Json(*truth);
  if (const auto* number = std::get_if<std::uint64_t>(&value.data)) return Json(*number);
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) return Json(*number);
  if (const auto number = value.as_number())
    return std::isfinite(*number) ? Json(*number) : Json(std::format("{}", *number));
  const auto& array = *value.as_array();
  Json::Array first;
  for_each_shown(array,
                 [&first](const gguf::Value& element) { first.push_back(json_of(element)); });
  Json::Object out;
  out.emplace_back("element", Json(gguf::value_type_name(array.element)));
  out.emplace_back("count", Json(array.count));
  out.emplace_back("first", Json(std::move(first)));
  return Json(std::move(out));
}

Json json_of(const gguf::ModelFacts& facts) {
  Json::Array kv_heads;
  for (const auto count : facts.kv_heads) kv_heads.emplace_back(count);
  Json::Object out;
  const auto add = [&out](std::string_view name, auto&& value) {
    out.emplace_back(name, Json(std::forward<decltype(value)>(value)));
  };
  add("architecture", facts.architecture);
  add("name", facts.name);
  add("quantization", facts.quantization);
  add("parameters", facts.parameters);
  add("weight_bytes", facts.weight_bytes);
  add("expert_bytes", facts.expert_bytes);
  add("embedding_table_bytes", facts.embedding_table_bytes);
  add("layers", facts.layers);
  add("embedding_length", facts.embedding_length);
  add("feed_forward_length", facts.feed_forward_length);
  add("heads", facts.heads);
  add("kv_heads", std::move(kv_heads));
  add("key_length", facts.key_length);
  add("value_length", facts.value_length);
  add("kv_bytes_per_token_f16", facts.kv_bytes_per_token(kHalfBytes, kHalfBytes));
  add("context_tokens_max", facts.context_tokens_max);
  add("sliding_window", facts.sliding_window);
  add("expert_count", facts.expert_count);
  add("vocabulary_size", facts.vocabulary_size);
  add("tokenizer", facts.tokenizer);
  add("has_chat_template", !facts.chat_template.empty());
  add("pooling_type", facts.pooling_type);
  add("causal", facts.causal);
  add("has_classifier", facts.has_classifier);
  add("split_count", facts.split_count);
  add("split_index", facts.split_index);
  return Json(std::move(out));
}

std::string json_text(const gguf::Header& header, const gguf::ModelFacts& facts,
                      const std::filesystem::path& path) {
  Json::Object metadata;
  for (const auto& [key, value] : header.metadata) metadata.emplace_back(key, json_of(value));
  Json::Object out;
  out.emplace_back("path", Json(path.native()));
  out.emplace_back("size_bytes", Json(header.file_size_bytes));
  out.emplace_back("version", Json(header.version));
  out.emplace_back("alignment", Json(header.alignment));
  out.emplace_back("tensor_count", Json(header.tensors.size()));
  out.emplace_back("facts", json_of(facts));
  out.emplace_back("metadata", Json(std::move(metadata)));
  return protocol::print_json_pretty(Json(std::move(out)));
}

base::Result<std::string> show_header(const gguf::Header& header, ShowForm form,
                                      const std::filesystem::path& path) {
  if (form == ShowForm::tensors) return tensor_table(header);
  if (form == ShowForm::raw) return raw_text(header);
  TRY_ASSIGN(const auto facts, gguf::facts_of(header));
  return form == ShowForm::json ? json_text(header, facts, path) : card(header, facts, path);
}

}  // namespace

base::Result<std::string> show_file(const std::filesystem::path& path, ShowForm form) {
  const gguf::Limits limits;
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, limits.header_bytes_max));
  auto text =
      gguf::parse(file.bytes(), file.file_size_bytes(), limits)
          .and_then([&](const gguf::Header& header) { return show_header(header, form, path); });
  if (text) return text;
  auto error = std::move(text).error();
  error.message = std::format("{}: {}", path.native(), error.message);
  return base::fail(std::move(error));
}

}  // namespace ingle::cli
