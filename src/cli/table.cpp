#include "cli/table.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "cli/terminal.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

constexpr int kGap = 2;
constexpr int kWidthMin = 8;

}  // namespace

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size(), "a row has one cell per column");
  for (auto& cell : cells) cell = insight::escape_line(cell);
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::widths(int columns_max) const {
  std::vector<int> out;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    out.push_back(display_width(columns_[i].title));
    for (const auto& row : rows_) out.back() = std::max(out.back(), display_width(row[i]));
  }
  const int gaps = kGap * (static_cast<int>(columns_.size()) - 1);
  int over = columns_max == 0 ? 0 : std::accumulate(out.begin(), out.end(), gaps) - columns_max;
  // The widest gives way first, down to the next widest; of equals the last.
  while (over > 0) {
    const auto widest = std::max_element(out.rbegin(), out.rend());
    if (*widest <= kWidthMin) break;
    --*widest;
    --over;
  }
  return out;
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<int>& widths) const {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto cell = cut_to_width(cells[i], widths[i]);
    const std::string padding(static_cast<std::size_t>(widths[i] - display_width(cell)), ' ');
    if (i > 0) out.append(kGap, ' ');
    out += columns_[i].align == Column::Align::right ? padding + cell : cell + padding;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out + "\n";
}

std::string Table::text(int columns_max) const {
  const auto fitted = widths(columns_max);
  std::vector<std::string> titles;
  for (const auto& column : columns_) titles.push_back(column.title);
  std::string out = line(titles, fitted);
  for (const auto& row : rows_) out += line(row, fitted);
  return out;
}

}  // namespace ingle::cli
