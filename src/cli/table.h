// Table: rows of text in aligned columns that fit the terminal. Pure.
#pragma once

#include <string>
#include <vector>

namespace ingle::cli {

struct Column {
  enum class Align { left, right } align = Align::left;
  std::string title;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell per column; untrusted text is escaped. The last column may be cut first.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The table, at most `columns_max` wide (0: any width) as long as each column keeps 8.
  std::string text(int columns_max) const;

 private:
  std::vector<int> widths(int columns_max) const;
  std::string line(const std::vector<std::string>& cells, const std::vector<int>& widths) const;

  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ingle::cli
