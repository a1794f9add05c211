// Goal: the log is read without a daemon, newest records first found, over rotated files and broken
// lines. Method: log files written here.
#include "cli/log_reader.h"

#include <gtest/gtest.h>

#include "protocol/codec.h"
#include "testing/temp_folder.h"

namespace ingle::cli {
namespace {

std::string line(std::string message, protocol::LogSeverity level = protocol::LogSeverity::info) {
  return protocol::encode(protocol::LogEvent{.level = level, .message = std::move(message)}) + "\n";
}

std::string read(const testing::TempFolder& folder, std::size_t count) {
  const auto records = read_log(folder / "ingle.log", count, [](const protocol::LogEvent& event) {
    return event.level != protocol::LogSeverity::debug;
  });
  if (!records) return records.error().text();
  std::string out;
  for (const auto& record : *records) out += record.message + " ";
  return out;
}

TEST(LogReader, TakesTheNewestOverRotatedFiles) {
  testing::TempFolder folder;
  EXPECT_EQ(read(folder, 9), "") << "no file is fine";
  folder.write("ingle.2.log", line("a") + line("b"));
  folder.write("ingle.1.log", line("c") + line("hidden", protocol::LogSeverity::debug) + line("d"));
  folder.write("ingle.log", line("e") + "half a li\n\n{\"odd\":1,\"message\":3}\n" + line("f"));
  EXPECT_EQ(read(folder, 1), "f ");
  EXPECT_EQ(read(folder, 3), "d e f ");
  EXPECT_EQ(read(folder, 99), "a b c d e f ");
  EXPECT_EQ(read(folder, 0), "");
}

TEST(LogReader, TakesALastLineWithoutItsEnd) {
  testing::TempFolder folder;
  auto text = line("a") + line("b");
  text.pop_back();
  folder.write("ingle.log", text);
  EXPECT_EQ(read(folder, 9), "a b ");
  folder.write("ingle.log", "");
  EXPECT_EQ(read(folder, 9), "");
}

}  // namespace
}  // namespace ingle::cli
