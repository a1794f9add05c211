// Goal: how busy the processors are is read as the kernel tells it, and what it does not tell does
// no harm. Method: trees of /proc made up by the test, and this process on the real machine.
#include "platform/cpu_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

using base::Millis;

class CpuLoadTest : public ::testing::Test {
 protected:
  // The kernel's ticks; tests count in hundredths of a second.
  static Millis ticks(int count) { return Millis(count * 1000 / sysconf(_SC_CLK_TCK)); }
  base::Result<CpuLoad> read(std::initializer_list<int> pids) {
    const std::vector<int> own(pids);
    return read_cpu_load(own, folder_.path());
  }
  ingle::testing::TempFolder folder_;
};

TEST_F(CpuLoadTest, BusyIsWhatIsNotIdle) {
  folder_.write("proc/stat",
                "cpu  100 20 30 5000 600 7 8 9 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
                "cpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\ncpu9 looks like one\n");
  folder_.write("proc/pressure/cpu",
                "some avg10=1.00 avg60=2.00 avg300=3.00 total=123456\nfull avg10=0.00 total=9\n");
  folder_.write("proc/7/stat", "7 (a (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 40 2 0 0 20 0 1 0 99\n");
  const auto load = read({7, 8});
  ASSERT_TRUE(load) << load.error().text();
  EXPECT_EQ(load->busy, ticks(100 + 20 + 30 + 7 + 8 + 9));
  EXPECT_EQ(load->own, ticks(42));
  EXPECT_EQ(load->waited, base::Micros(123456));
  EXPECT_EQ(load->processors, 2);
}

TEST_F(CpuLoadTest, WhatIsMissingCountsNothing) {
  EXPECT_EQ(read({}).error().code, base::ErrorCode::io_error);
  folder_.write("proc/stat", "cpu  1 2\n");
  EXPECT_FALSE(read({}));
  folder_.write("proc/stat", "cpu  99999999999999999999 0 0 0 0 0 0\n");
  EXPECT_FALSE(read({}));
  folder_.write("proc/stat", "cpu  18446744073709551615 0 0 0 0 0 0\n");
  folder_.write("proc/5/stat", "5 (cut");
  folder_.write("proc/pressure/cpu", "some total=\n");
  const auto load = read({5});
  ASSERT_TRUE(load);
  EXPECT_GT(load->busy, base::Micros(0));
  EXPECT_EQ(load->own, base::Micros(0));
  EXPECT_EQ(load->waited, base::Micros(0));
  EXPECT_EQ(load->processors, 1);
}

TEST_F(CpuLoadTest, OwnTimeOnTheRealMachineRises) {
  const std::array own{static_cast<int>(getpid())};
  const auto before = read_cpu_load(own);
  ASSERT_TRUE(before) << before.error().text();
  // Until the kernel has charged this process 50 ms.
  volatile std::uint64_t work = 0;
  for (auto spent = before->own; spent < before->own + Millis(50);
       spent = read_cpu_load(own).value().own)
    for (int i = 0; i < 1'000'000; ++i) work = work + 1;
  const auto after = read_cpu_load(own).value();
  EXPECT_GE(after.busy - before->busy, Millis(30)) << "it is within what is busy";
}

}  // namespace
}  // namespace ingle::platform
