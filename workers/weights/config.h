// Config: a model's small JSON files (config.json, scheduler_config.json, model_index.json), read
// key by key. Untrusted: bounded in size and depth; a value of another type than asked for counts
// as absent, and the caller bounds every number. Plain value. Any thread; load() blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::weights {

class Config {
 public:
  static constexpr std::uint64_t kBytesMax = 4 << 20;

  Config();  // an empty object
  // Errors: malformed (where), limit_exceeded.
  static base::Result<Config> parse(std::string_view json);
  // Errors: those of parse, not_found, io_error.
  static base::Result<Config> load(const std::filesystem::path& file);

  bool has(std::string_view key) const;  // present and not null
  std::int64_t integer(std::string_view key, std::int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, std::string_view otherwise = {}) const;
  // A single number is a list of one. Empty when absent or when an element is no integer.
  std::vector<std::int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;
  // Empty object when absent.
  Config object(std::string_view key) const;
  std::vector<std::string> keys() const;
  std::string print() const;  // as JSON
  // A copy with one member set.
  Config with(std::string_view key, double value) const;

 private:
  struct Value;
  std::shared_ptr<const Value> value_;  // shared: copies are cheap, and it never changes
};

}  // namespace ingle::weights
