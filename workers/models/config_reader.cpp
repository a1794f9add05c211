#include "models/config_reader.h"

#include <algorithm>
#include <cmath>
#include <format>

namespace ingle::models {

using base::ErrorCode;

void ConfigReader::fail(ErrorCode code, std::string message) {
  if (status_) status_ = base::fail(code, std::move(message));
}

std::int64_t ConfigReader::integer(std::string_view key, std::int64_t otherwise, Range range) {
  const auto value = config_.integer(key, otherwise);
  if (value >= range.low && value <= range.high) return value;
  fail(ErrorCode::model_broken,
       std::format("the model's configuration has {} = {}, which must be {} to {}", key, value,
                   range.low, range.high));
  return range.low;
}

double ConfigReader::number(std::string_view key, double otherwise, double low, double high) {
  const auto value = config_.number(key, otherwise);
  if (std::isfinite(value) && value >= low && value <= high) return value;
  fail(ErrorCode::model_broken,
       std::format("the model's configuration has {} = {}, which must be {} to {}", key, value, low,
                   high));
  return low;
}

std::vector<std::int64_t> ConfigReader::list(std::string_view key, std::size_t least,
                                             std::size_t most, Range range) {
  auto out = config_.integers(key);
  if (out.size() < least || out.size() > most)
    fail(ErrorCode::model_broken,
         std::format("the model's configuration has {} values of {}, which must be {} to {}",
                     out.size(), key, least, most));
  for (const auto value : out)
    if (value < range.low || value > range.high)
      fail(ErrorCode::model_broken,
           std::format("the model's configuration has {} among {}, which must be {} to {}", value,
                       key, range.low, range.high));
  if (!status_) out.assign(least, range.low);
  return out;
}

std::vector<std::int64_t> ConfigReader::integers(std::string_view key, std::size_t count,
                                                 std::int64_t otherwise, Range range) {
  if (!config_.has(key)) return std::vector(count, otherwise);
  if (config_.integers(key).size() != 1) return list(key, count, count, range);
  return std::vector(count, list(key, 1, 1, range).front());
}

std::string ConfigReader::one_of(std::string_view key,
                                 std::initializer_list<std::string_view> known,
                                 std::string_view otherwise) {
  auto value = config_.text(key, otherwise);
  if (value == otherwise || std::ranges::contains(known, std::string_view(value))) return value;
  fail(ErrorCode::unsupported,
       std::format("the model's configuration has {} = \"{}\", which is not known here", key,
                   value));
  return std::string(otherwise);
}

void ConfigReader::unset(std::initializer_list<std::string_view> keys) {
  for (const auto key : keys)
    if (config_.has(key) && (config_.flag(key, false) || config_.number(key, 0) != 0 ||
                             !config_.text(key).empty() || !config_.object(key).keys().empty()))
      fail(ErrorCode::unsupported,
           std::format("the model's configuration sets {}, which is not known here", key));
}

}  // namespace ingle::models
