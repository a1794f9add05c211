// ConfigReader: takes the numbers of a model's config.json within stated limits and remembers the
// first mistake, so that a family's configuration is read without a test on every line. Plain
// value that refers to the config. One thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "weights/config.h"

namespace ingle::models {

struct Range {
  std::int64_t low = 1;
  std::int64_t high = 1 << 14;
};

class ConfigReader {
 public:
  explicit ConfigReader(const weights::Config& config) : config_(config) {}

  const weights::Config& config() const { return config_; }
  std::int64_t integer(std::string_view key, std::int64_t otherwise, Range range);
  double number(std::string_view key, double otherwise, double low, double high);
  // Of exactly `count` elements; one number in the file stands for that many of it.
  std::vector<std::int64_t> integers(std::string_view key, std::size_t count,
                                     std::int64_t otherwise, Range range);
  // A list of `least` to `most` elements.
  std::vector<std::int64_t> list(std::string_view key, std::size_t least, std::size_t most,
                                 Range range);
  // The value, absent or null, or one of those that are known.
  std::string one_of(std::string_view key, std::initializer_list<std::string_view> known,
                     std::string_view otherwise = {});
  // Something that this family does not do must not be set: absent, null, false, 0 and "" are fine.
  void unset(std::initializer_list<std::string_view> keys);
  void fail(base::ErrorCode code, std::string message);

  // Errors: model_broken (a number outside its limits), unsupported (a value that is not known).
  const base::Status& status() const { return status_; }

 private:
  const weights::Config& config_;
  base::Status status_{};
};

}  // namespace ingle::models
