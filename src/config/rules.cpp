#include "config/rules.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>

#include "base/bytes.h"

namespace ingle::config {
namespace {

enum class Kind {
  number,         // from min to max
  size,           // bytes, from min to max
  duration,       // from min milliseconds
  duration_ever,  // the same, or "-1" for never
  level,
  format,
  text,         // not empty
  socket_path,  // absolute and short enough for a socket, or empty
  program,      // a name, or an absolute path, or empty
  folder,       // an absolute path, or empty
  folders,      // absolute paths
  precision,
  executor,
  image_format,
  texts,  // none of them empty
};

struct Rule {
  std::string_view key;
  Kind kind;
  std::int64_t min = 0;
  std::int64_t max = 0;
};

constexpr std::size_t kSocketPathMax = 107;
constexpr std::int64_t kKiB = 1 << 10, kGiB = 1 << 30, kPiB = std::int64_t{1} << 50;

// Keys that are not here have no rule beyond their type.
constexpr std::array kRules{
    Rule{"server.host", Kind::text},
    Rule{"server.port", Kind::number, 0, 65535},
    Rule{"server.unix_path", Kind::socket_path},
    Rule{"server.allowed_hosts", Kind::texts},
    Rule{"server.allowed_origins", Kind::texts},
    Rule{"server.connections_max", Kind::number, 1, 65536},
    Rule{"server.body_bytes_max", Kind::size, kKiB, 4 * kGiB},
    Rule{"server.drain_timeout", Kind::duration},
    Rule{"models.folders", Kind::folders},
    Rule{"models.keep_alive", Kind::duration_ever},
    Rule{"models.preload", Kind::texts},
    Rule{"memory.ram_budget", Kind::size, 0, kPiB},
    Rule{"memory.vram_budget", Kind::size, 0, kPiB},
    Rule{"memory.ram_margin", Kind::size, 0, kPiB},
    Rule{"memory.vram_margin", Kind::size, 0, kPiB},
    Rule{"memory.kv_disk", Kind::size, 0, kPiB},
    Rule{"queue.longest_wait", Kind::duration},
    Rule{"queue.shortest_residency", Kind::duration},
    Rule{"queue.waiting_max", Kind::number, 1, 100'000},
    Rule{"text.llama_server", Kind::program},
    Rule{"text.context_tokens_min", Kind::number, 0, 1 << 24},
    Rule{"text.context_tokens_max", Kind::number, 0, 1 << 24},
    Rule{"text.threads", Kind::number, 0, 1024},
    Rule{"text.context_tokens", Kind::number, 0, 1 << 24},
    Rule{"text.parallel", Kind::number, 0, 256},
    Rule{"text.load_timeout", Kind::duration, 1000},
    Rule{"images.worker", Kind::program},
    Rule{"images.threads", Kind::number, 0, 1024},
    Rule{"images.precision", Kind::precision},
    Rule{"images.executor", Kind::executor},
    Rule{"images.yield_after", Kind::duration},
    Rule{"images.gallery", Kind::folder},
    Rule{"images.parts", Kind::texts},
    Rule{"images.format", Kind::image_format},
    Rule{"images.quality", Kind::number, 1, 100},
    Rule{"log.level", Kind::level},
    Rule{"log.format", Kind::format},
    Rule{"log.file_bytes_max", Kind::size, 64 * kKiB, kGiB},
    Rule{"log.files_max", Kind::number, 1, 1000},
    Rule{"log.ring_records_max", Kind::number, 16, 1'000'000},
};

const Rule* rule_of(std::string_view key) {
  const auto found = std::ranges::find(kRules, key, &Rule::key);
  return found == kRules.end() ? nullptr : &*found;
}

base::Status refuse(std::string message) {
  return base::fail(base::ErrorCode::invalid_argument, std::move(message));
}

base::Status check_number(const Rule& rule, std::int64_t value) {
  if (value >= rule.min && value <= rule.max) return {};
  return refuse(std::format("must be from {} to {}, got {}", rule.min, rule.max, value));
}

base::Status check_duration(const Rule& rule, const std::string& text) {
  const auto parsed = base::parse_duration(text);
  if (!parsed) return refuse(parsed.error().message);
  if (*parsed == base::Micros::max() && rule.kind != Kind::duration_ever)
    return refuse(std::format("must end some time, got {}", quote_toml(text)));
  if (*parsed < base::Millis(rule.min))
    return refuse(std::format("must be at least {}, got {}",
                              base::format_duration(base::Millis(rule.min)), quote_toml(text)));
  return {};
}

base::Status check_choice(std::initializer_list<std::string_view> choices,
                          const std::string& text) {
  std::string list;
  for (const auto choice : choices) {
    if (choice == text) return {};
    list += (list.empty() ? "" : ", ") + std::string(choice);
  }
  return refuse(std::format("must be one of {}; got {}", list, quote_toml(text)));
}

base::Status check_text(const Rule& rule, const std::string& text) {
  const bool absolute = std::filesystem::path(text).is_absolute();
  switch (rule.kind) {
    case Kind::duration:
    case Kind::duration_ever:
      return check_duration(rule, text);
    case Kind::level:
      return check_choice({"trace", "debug", "info", "warning", "error"}, text);
    case Kind::format:
      return check_choice({"auto", "text", "json"}, text);
    case Kind::precision:
      return check_choice({"f32", "bf16", "int8"}, text);
    case Kind::executor:
      return check_choice({"auto", "onednn", "ggml"}, text);
    case Kind::image_format:
      return check_choice({"png", "jpeg", "webp"}, text);
    case Kind::folder:
      if (!text.empty() && !absolute)
        return refuse(std::format("must be an absolute path, got {}", quote_toml(text)));
      return {};
    case Kind::text:
      return text.empty() ? refuse("must not be empty") : base::Status{};
    case Kind::socket_path:
      if (text.size() > kSocketPathMax)
        return refuse(std::format("must be at most {} bytes long to be a socket, got {} bytes",
                                  kSocketPathMax, text.size()));
      if (!text.empty() && !absolute)
        return refuse(std::format("must be an absolute path, got {}", quote_toml(text)));
      return {};
    case Kind::program:
      if (text.contains('/') && !absolute)
        return refuse(std::format("must be a name or an absolute path, got {}", quote_toml(text)));
      return {};
    default:
      return {};
  }
}

base::Status check_texts(const Rule& rule, const std::vector<std::string>& texts) {
  for (const auto& text : texts) {
    if (text.empty()) return refuse("must not have empty texts in it");
    if (rule.kind == Kind::folders && !std::filesystem::path(text).is_absolute())
      return refuse(std::format("must have absolute paths, got {}", quote_toml(text)));
  }
  return {};
}

}  // namespace

base::Status check_rule(const Key& key) {
  const auto* rule = rule_of(key.name);
  if (rule == nullptr) return {};
  if (const auto* number = std::get_if<std::int64_t*>(&key.target))
    return check_number(*rule, **number);
  if (const auto* text = std::get_if<std::string*>(&key.target)) return check_text(*rule, **text);
  if (const auto* texts = std::get_if<std::vector<std::string>*>(&key.target))
    return check_texts(*rule, **texts);
  return {};
}

base::Result<Value> size_to_bytes(const Key& key, Value value) {
  const auto* rule = rule_of(key.name);
  const auto* text = std::get_if<std::string>(&value.value);
  if (rule == nullptr || rule->kind != Kind::size || text == nullptr) return value;
  TRY_ASSIGN(const auto bytes, base::parse_bytes(*text));
  return Value{static_cast<std::int64_t>(bytes)};
}

}  // namespace ingle::config
