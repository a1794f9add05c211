// Goal: tables are aligned, fit the terminal, and no cell can break them. Method: exact texts.
#include "cli/table.h"

#include <gtest/gtest.h>

#include "cli/terminal.h"

namespace ingle::cli {
namespace {

Table sample() {
  Table table({{.title = "NAME"}, {Column::Align::right, "SIZE"}, {.title = "STATE"}});
  table.add({"tiny", "1.5 GiB", "usable"});
  table.add({"世界", "12 B", "broken: the file ends after 12 of 300 bytes"});
  return table;
}

TEST(Table, AlignsItsColumns) {
  EXPECT_EQ(sample().text(0),
            "NAME     SIZE  STATE\n"
            "tiny  1.5 GiB  usable\n"
            "世界     12 B  broken: the file ends after 12 of 300 bytes\n");
}

TEST(Table, FitsTheTerminal) {
  EXPECT_EQ(sample().text(40),
            "NAME     SIZE  STATE\n"
            "tiny  1.5 GiB  usable\n"
            "世界     12 B  broken: the file ends af…\n");
  for (int columns = 24; columns < 90; ++columns) {
    const auto text = sample().text(columns);
    for (std::size_t begin = 0; begin < text.size();) {
      const auto end = text.find('\n', begin);
      EXPECT_LE(display_width(std::string_view(text).substr(begin, end - begin)), columns);
      begin = end + 1;
    }
  }
}

TEST(Table, NoCellBreaksIt) {
  Table table({{.title = "A"}, {.title = "B"}});
  table.add({"x\ny", "\x1b[31m"});
  EXPECT_EQ(table.text(0), "A       B\nx\\x0ay  \\x1b[31m\n");
}

}  // namespace
}  // namespace ingle::cli
