// Goal: what is written reaches file, ring and follower; a file that cannot be written stops
// nothing, is told once and mends; many threads may write at once (run under TSan, too).
// Method: real files in a temporary folder; failures by a file in the folder's place and by the
// process's own limit on file sizes.
#include "insight/log_hub.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "protocol/codec.h"
#include "testing/temp_folder.h"

namespace ingle::insight {
namespace {

base::LogRecord record(std::string message, base::LogLevel level = base::LogLevel::info) {
  return {.time = base::WallTime(base::Seconds(1'767'225'600)),
          .level = level,
          .logger = "test",
          .event = "said",
          .message = std::move(message)};
}

LogHubOptions options(const std::filesystem::path& file) {
  return {.terminal = false, .file = file, .file_retry = base::Micros(0)};
}

std::vector<std::string> messages_of(const std::filesystem::path& file) {
  std::vector<std::string> out;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.empty()) continue;
    const auto event = protocol::decode<protocol::LogEvent>(line);
    out.push_back(event ? event->message : "not JSON: " + line);
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(LogHub, WritesWhatIsAtOrAboveTheLevelAsJsonLines) {
  testing::TempFolder folder;
  const auto file = folder / "logs/ingle.log";
  auto hub = LogHub::create(options(file));
  EXPECT_EQ(hub->threshold(), base::LogLevel::info);
  hub->write(record("hidden", base::LogLevel::debug));
  hub->write(record("one"));
  hub->write(record("two\n{\"message\":\"fake\"}", base::LogLevel::error));
  hub->flush();
  EXPECT_EQ(messages_of(file), (Texts{"one", "two\n{\"message\":\"fake\"}"}));
  struct stat status{};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  const auto page = hub->newest(10, base::LogLevel::error, "");
  ASSERT_EQ(page.records.size(), 1u);
  EXPECT_EQ(page.dropped, 0);
}

TEST(LogHub, LinesAreInTheFileWithoutAFlush) {
  testing::TempFolder folder;
  auto hub = LogHub::create(options(folder / "a.log"));
  hub->write(record("one"));
  while (messages_of(folder / "a.log").empty()) std::this_thread::yield();
  EXPECT_EQ(messages_of(folder / "a.log"), (Texts{"one"}));
}

TEST(LogHub, WritesEverythingOutAtItsEnd) {
  testing::TempFolder folder;
  auto hub = LogHub::create(options(folder / "a.log"));
  for (int i = 0; i < 100; ++i) hub->write(record(std::to_string(i)));
  hub.reset();
  EXPECT_EQ(messages_of(folder / "a.log").size(), 100u);
}

TEST(LogHub, RotatesAndKeepsSoManyFiles) {
  testing::TempFolder folder;
  const auto file = folder / "a.log";
  auto with = options(file);
  with.file_bytes_max = 4096;
  with.files_max = 2;
  auto hub = LogHub::create(with);
  for (int i = 0; i < 200; ++i) hub->write(record(std::string(100, 'x') + std::to_string(i)));
  hub->flush();
  for (const char* name : {"a.log", "a.1.log", "a.2.log"}) {
    EXPECT_LE(std::filesystem::file_size(folder / name), 4096u) << name;
    EXPECT_FALSE(messages_of(folder / name).empty()) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.3.log"));
  EXPECT_EQ(messages_of(file).back(), std::string(100, 'x') + "199");
}

TEST(LogHub, AFileThatCannotBeOpenedIsToldOnceAndMends) {
  testing::TempFolder folder;
  folder.write("logs", "a file where the folder should be");
  const auto file = folder / "logs/a.log";
  auto hub = LogHub::create(options(file));
  for (const char* text : {"one", "two", "three"}) hub->write(record(text));
  hub->flush();
  hub->flush();  // what the failure itself wrote
  EXPECT_EQ(hub->newest(99, base::LogLevel::trace, "log_file_failed").records.size(), 1u);
  EXPECT_EQ(hub->newest(99, base::LogLevel::trace, "said").records.size(), 3u);
  std::filesystem::remove(folder / "logs");
  hub->write(record("four"));
  hub->flush();
  hub->flush();
  const auto mended = hub->newest(99, base::LogLevel::trace, "log_file_mended");
  ASSERT_EQ(mended.records.size(), 1u);
  EXPECT_EQ(mended.records[0].fields.at("records_lost"), "4") << "three and the failure's own";
  EXPECT_EQ(messages_of(file), (Texts{"four", "the log file can be written again"}));
}

TEST(LogHub, AFullDiskStopsNothing) {
  testing::TempFolder folder;
  const auto file = folder / "a.log";
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto hub = LogHub::create(options(file));
  hub->write(record("one"));
  hub->flush();
  rlimit small = before;
  small.rlim_cur = 300;  // the log thread has every signal blocked, so writes fail with EFBIG
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  hub->write(record(std::string(500, 'x')));
  hub->flush();
  hub->flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(hub->newest(99, base::LogLevel::trace, "log_file_failed").records.size(), 1u);
  hub->write(record("after"));
  hub->flush();
  hub->flush();
  const auto messages = messages_of(file);
  EXPECT_EQ(messages.front(), "one");
  EXPECT_EQ(std::ranges::count(messages, std::string("after")), 1)
      << "a line of its own, not after half a line";
}

TEST(LogHub, ManyThreadsWriteAtOnceInOneOrder) {
  constexpr int kThreads = 4, kEach = 200;
  testing::TempFolder folder;
  const auto file = folder / "a.log";
  auto hub = LogHub::create(options(file));
  Texts followed;
  hub->set_follower([&](const base::LogRecord& one) { followed.push_back(one.message); });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          hub->write(record(std::to_string(t) + "/" + std::to_string(i)));
          if (i % 50 == 0) hub->newest(10, base::LogLevel::trace, "1/");
        }
      });
  }
  hub->set_follower({});
  hub->flush();
  ASSERT_EQ(hub->dropped(), 0u);
  Texts ring;
  for (const auto& one : hub->newest(5000, base::LogLevel::trace, "").records)
    ring.push_back(one.message);
  EXPECT_EQ(ring.size(), std::size_t{kThreads * kEach});
  EXPECT_EQ(followed, ring);
  EXPECT_EQ(messages_of(file), ring);
}

// A terminal that takes nothing: the log thread hangs in it, callers never do.
TEST(LogHub, DropsTheOldestWhenTheTerminalHangs) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int kept = dup(STDERR_FILENO);
  ASSERT_GE(dup2(ends[1], STDERR_FILENO), 0);
  close(ends[1]);
  {
    auto hub = LogHub::create({.ring_records_max = 16});
    for (int i = 0; i < 5000; ++i) hub->write(record(std::string(100, 'x') + std::to_string(i)));
    EXPECT_GT(hub->dropped(), 0u);
    EXPECT_LE(hub->dropped(), 5000u);
    EXPECT_TRUE(hub->newest(1, base::LogLevel::trace, "").records[0].message.ends_with("4999"));
    close(ends[0]);  // the reader goes away: writes fail from now on
  }
  ASSERT_GE(dup2(kept, STDERR_FILENO), 0);
  close(kept);
}

TEST(LogHub, WritesToTheTerminalInTheFormAskedFor) {
  for (const auto form : {LogFormat::text, LogFormat::json}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const int kept = dup(STDERR_FILENO);
    ASSERT_GE(dup2(ends[1], STDERR_FILENO), 0);
    close(ends[1]);
    auto hub = LogHub::create({.terminal_format = form});
    hub->write(record("hello \x1b[2J"));
    hub.reset();
    ASSERT_GE(dup2(kept, STDERR_FILENO), 0);
    close(kept);
    std::string text(4096, '\0');
    const auto got = read(ends[0], text.data(), text.size());
    close(ends[0]);
    ASSERT_GT(got, 0);
    text.resize(static_cast<std::size_t>(got));
    EXPECT_EQ(text, (form == LogFormat::json ? format_json(record("hello \x1b[2J"))
                                             : format_text(record("hello \x1b[2J"), false)) +
                        "\n");
  }
}

TEST(LogHub, CutsWhatIsTooLong) {
  auto hub = LogHub::create({.terminal = false});
  auto large = record(std::string(1 << 20, 'x'));
  for (int i = 0; i < 1000; ++i) large.fields.push_back({std::to_string(i), std::string("y")});
  hub->write(std::move(large));
  const auto page = hub->newest(1, base::LogLevel::trace, "");
  EXPECT_LT(page.records[0].message.size(), 17u * 1024);
  EXPECT_TRUE(page.records[0].message.ends_with("more bytes)"));
  EXPECT_EQ(page.records[0].fields.size(), 64u);
}

}  // namespace
}  // namespace ingle::insight
