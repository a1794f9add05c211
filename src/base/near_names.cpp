#include "base/near_names.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace ingle::base {
namespace {

constexpr std::size_t kWordMax = 64;
constexpr std::size_t kNamesMax = 3;

char folded(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Letters to change, add or drop; a swap of neighbours counts one.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), 0u);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (same ? 0u : 1u)});
      if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
          folded(a[i - 2]) == folded(b[j - 1]))
        next[j] = std::min(next[j], before[j - 2] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> near_names(std::string_view word, std::span<const std::string> names) {
  if (word.empty() || word.size() > kWordMax) return {};
  struct Near {
    std::size_t distance;
    std::string name;
  };
  std::vector<Near> near;
  const std::size_t distance_max = std::max<std::size_t>(1, word.size() / 4);
  for (const auto& name : names) {
    if (name.size() > 2 * kWordMax) continue;
    const auto distance = edit_distance(word, name);
    if (distance <= distance_max)
      near.push_back({distance, name});
    else if (word.size() >= 3 && name.find(word) != std::string::npos)
      near.push_back({distance_max + 1, name});
  }
  std::ranges::stable_sort(near, {}, &Near::distance);
  std::vector<std::string> out;
  for (auto& entry : near)
    if (out.size() < kNamesMax && entry.distance <= near.front().distance + 1)
      out.push_back(std::move(entry.name));
  return out;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> names) {
  const auto near = near_names(word, names);
  std::string out;
  for (std::size_t i = 0; i < near.size(); ++i) {
    out += i == 0 ? "; did you mean '" : i + 1 == near.size() ? " or '" : ", '";
    out += near[i] + "'";
  }
  return out.empty() ? out : out + "?";
}

}  // namespace ingle::base
