#include "weights/config.h"

#include <cmath>
#include <format>
#include <utility>

#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::weights {

using protocol::Json;

struct Config::Value {
  Json json;
};

namespace {

const Json* present(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  return found != nullptr && !found->is_null() ? found : nullptr;
}

// What `of` makes of every element, or of the single value; empty when one does not fit.
template <class T, class Of>
std::vector<T> elements(const Json* json, Of&& of) {
  std::vector<T> out;
  if (json == nullptr) return out;
  const auto* array = json->as_array();
  const auto* begin = array != nullptr ? array->data() : json;
  const auto* end = array != nullptr ? begin + array->size() : json + 1;
  for (const auto* at = begin; at != end; ++at) {
    auto element = of(*at);
    if (!element) return {};
    out.push_back(*std::move(element));
  }
  return out;
}

// Python's JSON has words for numbers that JSON has not, and published configurations use them
// (such as "lambda_min_clipped": -Infinity). They become null, which counts as absent.
std::string without_infinities(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool quoted = false;
  while (!json.empty()) {
    std::size_t taken = 1;
    if (!quoted)
      for (const std::string_view word : {"-Infinity", "Infinity", "NaN"})
        if (json.starts_with(word)) taken = word.size();
    if (taken > 1)
      out += "null";
    else if (quoted && json.front() == '\\' && json.size() > 1)
      out += json.substr(0, taken = 2);
    else {
      quoted ^= json.front() == '"';
      out += json.front();
    }
    json.remove_prefix(taken);
  }
  return out;
}

}  // namespace

Config::Config() : value_(std::make_shared<const Value>(Json(Json::Object{}))) {}

base::Result<Config> Config::parse(std::string_view json) {
  const protocol::JsonLimits limits{.depth_max = 32, .bytes_max = kBytesMax};
  if (json.size() > kBytesMax) return base::fail(protocol::parse_json(json, limits).error());
  TRY_ASSIGN(auto parsed, protocol::parse_json(without_infinities(json), limits));
  if (parsed.as_object() == nullptr)
    return base::fail(base::ErrorCode::malformed,
                      "not a JSON object, as a configuration has to be");
  Config out;
  out.value_ = std::make_shared<const Value>(std::move(parsed));
  return out;
}

base::Result<Config> Config::load(const std::filesystem::path& file) {
  TRY_ASSIGN(const auto text, platform::create_files()->read(file, kBytesMax));
  auto out = parse(text);
  if (!out)
    return base::fail(
        std::move(out).error().with_context(std::format("reading {}", file.native())));
  return out;
}

bool Config::has(std::string_view key) const { return present(value_->json, key) != nullptr; }

std::int64_t Config::integer(std::string_view key, std::int64_t otherwise) const {
  const Json* found = present(value_->json, key);
  return found != nullptr ? found->as_int().value_or(otherwise) : otherwise;
}

double Config::number(std::string_view key, double otherwise) const {
  const Json* found = present(value_->json, key);
  return found != nullptr ? found->as_double().value_or(otherwise) : otherwise;
}

bool Config::flag(std::string_view key, bool otherwise) const {
  const Json* found = present(value_->json, key);
  const bool* flag = found != nullptr ? found->as_bool() : nullptr;
  return flag != nullptr ? *flag : otherwise;
}

std::string Config::text(std::string_view key, std::string_view otherwise) const {
  const Json* found = present(value_->json, key);
  const std::string* text = found != nullptr ? found->as_string() : nullptr;
  return text != nullptr ? *text : std::string(otherwise);
}

std::vector<std::int64_t> Config::integers(std::string_view key) const {
  return elements<std::int64_t>(present(value_->json, key),
                                [](const Json& json) { return json.as_int(); });
}

std::vector<double> Config::numbers(std::string_view key) const {
  return elements<double>(present(value_->json, key),
                          [](const Json& json) { return json.as_double(); });
}

std::vector<std::string> Config::texts(std::string_view key) const {
  return elements<std::string>(present(value_->json, key), [](const Json& json) {
    const auto* text = json.as_string();
    return text != nullptr ? std::optional(*text) : std::nullopt;
  });
}

Config Config::object(std::string_view key) const {
  Config out;
  const Json* found = present(value_->json, key);
  if (found != nullptr && found->as_object() != nullptr)
    out.value_ = std::make_shared<const Value>(*found);
  return out;
}

std::string Config::print() const { return protocol::print_json(value_->json); }

Config Config::with(std::string_view key, double value) const {
  auto json = value_->json;
  json.set(key, value);
  Config out;
  out.value_ = std::make_shared<const Value>(std::move(json));
  return out;
}

std::vector<std::string> Config::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : *value_->json.as_object()) out.push_back(key);
  return out;
}

}  // namespace ingle::weights
