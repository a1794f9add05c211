#include "weights/layouts.h"

#include <algorithm>

#include "base/check.h"

namespace ingle::weights {
namespace {

constexpr std::int64_t kBlocksMax = 1024;

}  // namespace

std::int64_t axis_of(const NamedWeights& weights, std::string_view name, std::size_t axis) {
  const auto info = weights.find(name);
  return info && axis < info->shape.rank() ? info->shape[axis] : 0;
}

std::int64_t count_of(const NamedWeights& weights, std::string_view pattern) {
  const auto place = pattern.find('#');
  CHECK(place != std::string_view::npos, "a pattern with a number");
  std::int64_t count = 0;
  while (count < kBlocksMax) {
    std::string name(pattern);
    name.replace(place, 1, std::to_string(count));
    if (!weights.find(name)) break;
    ++count;
  }
  return count;
}

protocol::Json json_list(const std::vector<std::int64_t>& values) {
  protocol::Json::Array out(values.begin(), values.end());
  return out;
}

Config config_of(protocol::Json::Object members) {
  auto config = Config::parse(protocol::print_json(protocol::Json(std::move(members))));
  CHECK(config.has_value(), "a printed object is read again");
  return *std::move(config);
}

}  // namespace ingle::weights
