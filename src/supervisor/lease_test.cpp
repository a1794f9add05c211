// Goal: a start ends exactly the workers that an earlier run left behind, whatever lies in the
// leases' folder; sockets lie where their path is short enough. Method: real files, scripted
// processes.
#include "supervisor/lease.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "testing/fake_files.h"
#include "testing/fake_loop.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::supervisor {
namespace {

using base::ErrorCode;

class LeaseTest : public ::testing::Test {
 protected:
  ReapReport reap() {
    auto report = reap_leftovers(leases, files, processes, {log, loop.clock(), "test"});
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(ReapReport{});
  }
  std::size_t left() const { return files.list(leases, 100)->size(); }

  testing::TempFolder folder;
  const std::filesystem::path leases = folder / "workers";
  testing::FakeFiles files;
  testing::FakeLoop loop;
  testing::FakeProcesses processes{loop};
  testing::MemoryLog log;
};

TEST_F(LeaseTest, NoFolderIsNothingToDo) { EXPECT_EQ(reap().killed, 0); }

TEST_F(LeaseTest, EndsALeftoverAndRemovesItsLeaseAndSocket) {
  const auto socket = folder.write("s/1.sock", "");
  const auto leftover = processes.add_stranger();
  const auto other = processes.add_stranger();
  ASSERT_TRUE(write_lease(files, leases, {leftover, "tiny \"x\"\n", socket}));
  const auto report = reap();
  EXPECT_EQ(report.killed, 1);
  EXPECT_EQ(processes.running_pids(), std::vector{other.pid});
  EXPECT_EQ(left(), 0u);
  EXPECT_FALSE(std::filesystem::exists(socket));
}

TEST_F(LeaseTest, LeavesAProcessThatReusesThePidAlone) {
  auto identity = processes.add_stranger();
  for (const bool other_boot : {false, true}) {
    auto old = identity;
    other_boot ? static_cast<void>(old.boot_id = "older") : static_cast<void>(--old.start_ticks);
    ASSERT_TRUE(write_lease(files, leases, {old, "tiny", {}}));
    EXPECT_EQ(reap().stale, 1);
    EXPECT_EQ(left(), 0u);
  }
  EXPECT_EQ(processes.running(), 1u);
}

TEST_F(LeaseTest, GarbledLeasesAreRemovedWithAWarning) {
  processes.add_stranger();
  const std::vector<std::string> garbled{
      "",
      "{",
      "[]",
      "\x01\x02",
      R"({"pid":1,"start_ticks":1,"boot_id":"b"})",
      R"({"pid":-1000,"start_ticks":10000,"boot_id":"fake-boot"})",
      R"({"pid":"1000","start_ticks":10000,"boot_id":"fake-boot"})",
      R"({"pid":1000,"start_ticks":10000})",
      R"({"pid":99999999999,"start_ticks":10000,"boot_id":"fake-boot"})",
      std::string(kLeaseBytesMax + 1, ' '),
  };
  for (std::size_t i = 0; i < garbled.size(); ++i)
    folder.write("workers/" + std::to_string(i) + ".json", garbled[i]);
  EXPECT_EQ(reap().unusable, static_cast<int>(garbled.size()));
  EXPECT_EQ(log.count("lease_unusable"), garbled.size());
  EXPECT_EQ(left(), 0u);
  EXPECT_EQ(processes.running(), 1u);
}

TEST_F(LeaseTest, ALeaseCannotNameOtherFilesForRemoval) {
  const auto precious = folder.write("precious.txt", "x");
  const auto elsewhere = folder.write("other/1.sock", "x");
  for (const auto& path : {precious, elsewhere}) {
    ASSERT_TRUE(write_lease(files, leases, {processes.add_stranger(), "tiny", path}));
    EXPECT_EQ(reap().killed, 1);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
}

TEST_F(LeaseTest, FullDiskIsAnError) {
  files.inject({.operation = testing::FileOperation::write});
  const auto written = write_lease(files, leases, {processes.add_stranger(), "tiny", {}});
  EXPECT_EQ(written.error().code, ErrorCode::disk_full);
}

TEST_F(LeaseTest, SocketsLieInTheRunFolderWhenTheirPathFits) {
  const auto found = socket_folder(folder / "run", files);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, folder / "run/s");
}

TEST_F(LeaseTest, LongRunFoldersGetAPrivateOneUnderTmp) {
  const auto run = folder.path() / std::string(90, 'x');
  const auto found = socket_folder(run, files);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->native().starts_with("/tmp/ingle-"));
  EXPECT_LE(found->native().size() + 32, kSocketPathMax);
  EXPECT_EQ(*socket_folder(run, files), *found);
  EXPECT_NE(*socket_folder(run / "y", files), *found);
  std::filesystem::remove(*socket_folder(run / "y", files));

  // Somebody may have been there first.
  ASSERT_EQ(chmod(found->c_str(), 0777), 0);
  const auto refused = socket_folder(run, files);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_TRUE(refused.error().message.contains("INGLE_HOME"));
  std::filesystem::remove(*found);
}

}  // namespace
}  // namespace ingle::supervisor
