// Goal: what ingle believes can be had of the host's memory is so, with control groups of either
// version, in containers, and with kernel files that hold nonsense.
// Method: trees of /proc and /sys made up by the test, and the real machine for what must hold on
// any.
#include "platform/memory.h"

#include <gtest/gtest.h>

#include <optional>

#include "platform/cgroup.h"
#include "platform/system.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

constexpr std::uint64_t kGib = 1ULL << 30;

class MemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_.write("proc/meminfo",
                "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n"
                "SwapTotal:      2097152 kB\nSwapFree:       1048576 kB\n");
    root_.write("proc/pressure/memory",
                "some avg10=1.50 avg60=2.00 avg300=3.00 total=4\n"
                "full avg10=0.25 avg60=0.00 avg300=0.00 total=1\n");
  }
  // This process's groups, as the kernel lists them.
  void live_in(std::string_view groups) { root_.write("proc/self/cgroup", groups); }
  void write_group(const std::string& group, std::string_view file, std::string_view text) {
    root_.write("sys/fs/cgroup/" + group + "/" + std::string(file), text);
  }
  HostMemory read() { return read_host_memory(root_.path()).value(); }

  testing::TempFolder root_;
};

TEST_F(MemoryTest, without_groups_the_machine_counts) {
  const auto memory = read();
  EXPECT_EQ(memory.total_bytes, 8 * kGib);
  EXPECT_EQ(memory.available_bytes, 4 * kGib);
  EXPECT_EQ(memory.swap_total_bytes, 2 * kGib);
  EXPECT_EQ(memory.swap_free_bytes, 1 * kGib);
  EXPECT_EQ(memory.cgroup_limit_bytes, std::nullopt);
  EXPECT_EQ(memory.pressure_some_avg10, 1.5);
  EXPECT_EQ(memory.pressure_full_avg10, 0.25);
}

TEST_F(MemoryTest, the_tightest_limit_on_the_way_to_the_root_counts) {
  live_in("1:name=systemd:/old\n0::/user.slice/ingle.service\n");
  write_group("user.slice", "memory.max", "2147483648\n");
  write_group("user.slice", "memory.current", "1610612736\n");
  write_group("user.slice", "memory.stat",
              "anon 1\nfile 7\ninactive_file 268435456\nactive_file 268435456\n");
  write_group("user.slice/ingle.service", "memory.max", "4294967296\n");
  write_group("user.slice/ingle.service", "memory.high", "max\n");
  const auto memory = read();
  EXPECT_EQ(memory.total_bytes, 2 * kGib);
  EXPECT_EQ(memory.cgroup_limit_bytes, 2 * kGib);
  EXPECT_EQ(memory.available_bytes, 1 * kGib) << "its page cache counts as available";
}

TEST_F(MemoryTest, a_looser_group_may_have_less_left) {
  live_in("0::/a/b\n");
  write_group("a", "memory.max", "4294967296\n");
  write_group("a", "memory.current", "4026531840\n");
  write_group("a/b", "memory.max", "2147483648\n");
  write_group("a/b", "memory.current", "0\n");
  EXPECT_EQ(read().cgroup_limit_bytes, 2 * kGib);
  EXPECT_EQ(read().available_bytes, kGib / 4) << "its sibling groups took the rest";
}

TEST_F(MemoryTest, where_the_kernel_slows_down_is_a_limit_too) {
  live_in("0::/a\n");
  write_group("a", "memory.max", "max\n");
  write_group("a", "memory.high", "1073741824\n");
  EXPECT_EQ(read().cgroup_limit_bytes, kGib);
}

TEST_F(MemoryTest, version_1_has_other_names) {
  live_in("9:name=systemd:/\n4:cpu,memory:/docker/x\n0::/\n");
  write_group("memory/docker/x", "memory.limit_in_bytes", "3221225472\n");
  write_group("memory/docker/x", "memory.usage_in_bytes", "1073741824\n");
  write_group("memory/docker/x", "memory.stat",
              "inactive_file 1\ntotal_inactive_file 536870912\ntotal_active_file 0\n");
  write_group("memory", "memory.limit_in_bytes", "9223372036854771712\n");
  const auto memory = read();
  EXPECT_EQ(memory.cgroup_limit_bytes, 3 * kGib);
  EXPECT_EQ(memory.available_bytes, 5 * kGib / 2);
}

TEST_F(MemoryTest, a_container_that_sees_only_its_own_root_is_limited_by_it) {
  live_in("4:memory:/docker/not-visible-here\n0::/../../elsewhere\n");
  write_group("memory", "memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(read().cgroup_limit_bytes, kGib);
  write_group("", "memory.max", "536870912\n");
  EXPECT_EQ(read().cgroup_limit_bytes, kGib / 2);
}

TEST_F(MemoryTest, a_limit_beyond_the_ram_is_none) {
  live_in("0::/a\n");
  write_group("a", "memory.max", "99999999999999\n");
  write_group("a", "memory.current", "99999999999999\n");
  EXPECT_EQ(read().cgroup_limit_bytes, std::nullopt);
  EXPECT_EQ(read().available_bytes, 4 * kGib);
}

TEST_F(MemoryTest, a_group_over_its_limit_has_nothing_left) {
  live_in("0::/\n");
  write_group("", "memory.max", "1000\n");
  write_group("", "memory.current", "5000\n");
  write_group("", "memory.stat", "inactive_file 18446744073709551615\nactive_file 9\n");
  EXPECT_EQ(read().available_bytes, 1000U) << "more cache than is used is nonsense";
  write_group("", "memory.stat", "");
  EXPECT_EQ(read().available_bytes, 0U);
}

TEST_F(MemoryTest, pressure_is_that_of_the_group_that_limits) {
  live_in("0::/a\n");
  write_group("a", "memory.pressure", "some avg10=50.00 x\nfull avg10=40.00 x\n");
  EXPECT_EQ(read().pressure_some_avg10, 1.5) << "it limits nothing: the machine's counts";
  write_group("a", "memory.max", "1073741824\n");
  EXPECT_EQ(read().pressure_some_avg10, 50);
  EXPECT_EQ(read().pressure_full_avg10, 40);
}

TEST_F(MemoryTest, nonsense_is_no_pressure) {
  for (const auto* text : {"", "some", "some avg10=", "some avg10=-1\n", "some avg10=nan\n",
                           "some total=1\nfull avg10=x\n"}) {
    root_.write("proc/pressure/memory", text);
    EXPECT_EQ(read().pressure_some_avg10, 0) << text;
    EXPECT_EQ(read().pressure_full_avg10, 0) << text;
  }
  root_.write("proc/pressure/memory", "some avg10=1e9\n");
  EXPECT_EQ(read().pressure_some_avg10, 100);
}

TEST(HostMemoryTest, is_that_of_this_machine) {
  const auto memory = read_host_memory();
  ASSERT_TRUE(memory) << memory.error().text();
  EXPECT_GT(memory->available_bytes, 0U);
  EXPECT_LE(memory->available_bytes, memory->total_bytes);
  EXPECT_LE(memory->swap_free_bytes, memory->swap_total_bytes);
  EXPECT_EQ(memory->total_bytes, read_machine()->ram_bytes_total);
}

TEST(HostMemoryTest, no_proc_is_an_error) {
  const testing::TempFolder empty;
  const auto memory = read_host_memory(empty.path());
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, base::ErrorCode::io_error);
}

TEST(CgroupPathTest, is_found_in_either_version) {
  const testing::TempFolder root;
  EXPECT_TRUE(own_cgroup_v2(root.path()).folders.empty());
  root.write("proc/self/cgroup", "3:memory,cpu:/m\n0::/u/v\n");
  const auto mount = root / "sys/fs/cgroup";
  EXPECT_EQ(own_cgroup_v2(root.path()).folders,
            (std::vector<std::filesystem::path>{mount, mount / "u", mount / "u/v"}));
  EXPECT_EQ(own_cgroup_v1_memory(root.path()).folders.back(), mount / "memory/m");
  root.write("sys/fs/cgroup/unified/cgroup.procs", "");
  EXPECT_EQ(own_cgroup_v2(root.path()).mount, mount / "unified");
}

}  // namespace
}  // namespace ingle::platform
