// Goal: what ingle believes of the machine, of itself and of its folders is so.
// Method: environments and trees of /proc and /sys made up by the test, and the real machine where
// two independent readings can be compared.
#include "platform/system.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "platform/asio_loop.h"
#include "platform/paths.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

using base::ErrorCode;

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(PathsTest, ingle_home_holds_everything) {
  const auto home = resolve_home(environment(
      {{"INGLE_HOME", "/srv/ingle/"}, {"HOME", "/home/a"}, {"XDG_CONFIG_HOME", "/elsewhere"}}));
  ASSERT_TRUE(home);
  EXPECT_EQ(home->config_file(), "/srv/ingle/config/ingle.toml");
  EXPECT_EQ(home->database_file(), "/srv/ingle/data/ingle.db");
  EXPECT_EQ(home->models(), "/srv/ingle/data/models");
  EXPECT_EQ(home->cache, "/srv/ingle/cache");
  EXPECT_EQ(home->logs, "/srv/ingle/logs");
  EXPECT_EQ(home->lease_file(), "/srv/ingle/run/daemon.json");
}

TEST(PathsTest, without_it_the_xdg_folders_do) {
  const auto plain = resolve_home(environment({{"HOME", "/home/a"}, {"XDG_DATA_HOME", ""}}));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->config, "/home/a/.config/ingle");
  EXPECT_EQ(plain->data, "/home/a/.local/share/ingle");
  EXPECT_EQ(plain->cache, "/home/a/.cache/ingle");
  EXPECT_EQ(plain->logs, "/home/a/.local/state/ingle/logs");
  EXPECT_EQ(plain->run, "/home/a/.cache/ingle/run");

  const auto all = resolve_home(environment({{"XDG_CONFIG_HOME", "/c"},
                                             {"XDG_DATA_HOME", "/d"},
                                             {"XDG_CACHE_HOME", "/x"},
                                             {"XDG_STATE_HOME", "/s"},
                                             {"XDG_RUNTIME_DIR", "/run/user/1000"}}));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->config, "/c/ingle");
  EXPECT_EQ(all->data, "/d/ingle");
  EXPECT_EQ(all->cache, "/x/ingle");
  EXPECT_EQ(all->logs, "/s/ingle/logs");
  EXPECT_EQ(all->run, "/run/user/1000/ingle");
}

TEST(PathsTest, a_relative_or_missing_place_is_refused) {
  const auto relative = resolve_home(environment({{"INGLE_HOME", "here"}}));
  ASSERT_FALSE(relative);
  EXPECT_EQ(relative.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(relative.error().message.contains("INGLE_HOME is 'here'"));
  EXPECT_FALSE(resolve_home(environment({{"HOME", "/home/a"}, {"XDG_CACHE_HOME", "cache"}})));
  EXPECT_FALSE(resolve_home(environment({{"HOME", "/home/a"}, {"XDG_RUNTIME_DIR", "run"}})));
  EXPECT_EQ(resolve_home(environment({})).error().code, ErrorCode::invalid_argument);
}

TEST(MachineTest, is_this_one) {
  const auto facts = read_machine();
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_GE(facts->cores_logical, 1);
  EXPECT_LE(facts->cores_logical, sysconf(_SC_NPROCESSORS_CONF));
  EXPECT_GE(facts->cores_physical, 1);
  EXPECT_LE(facts->cores_physical, facts->cores_logical);
  EXPECT_GT(facts->ram_bytes_available, 0U);
  EXPECT_LE(facts->ram_bytes_available, facts->ram_bytes_total);
#if defined(__x86_64__)
  EXPECT_EQ(facts->has_avx2, __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(facts->has_avx512, __builtin_cpu_supports("avx512f") != 0);
#endif
}

class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_.write("proc/meminfo",
                "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n");
    root_.write("proc/self/cgroup", "1:name=systemd:/old\n0::/user.slice/ingle.service\n");
  }
  void write_group(const std::string& group, std::string_view file, std::string_view text) {
    root_.write("sys/fs/cgroup/" + group + std::string(file), text);
  }

  testing::TempFolder root_;
};

TEST_F(CgroupTest, without_limits_the_machine_counts) {
  write_group("user.slice/ingle.service/", "cpu.max", "max 100000\n");
  const auto facts = read_machine(root_.path());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->cores_logical, read_machine().value().cores_logical);
  EXPECT_EQ(facts->ram_bytes_total, 8ULL << 30);
  EXPECT_EQ(facts->ram_bytes_available, 4ULL << 30);
  write_group("", "cpu.max", "nonsense\n");
  EXPECT_EQ(read_machine(root_.path())->cores_logical, facts->cores_logical);
}

TEST_F(CgroupTest, the_tightest_quota_of_its_own_and_those_above_counts) {
  write_group("user.slice/ingle.service/", "cpu.max", "1600000 100000\n");
  write_group("user.slice/", "cpu.max", "150000 100000\n");
  const auto facts = read_machine(root_.path());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->cores_logical, 1);
  EXPECT_EQ(facts->cores_physical, 1);
}

TEST(MachineErrorTest, no_proc_is_an_error) {
  const testing::TempFolder empty;
  const auto facts = read_machine(empty.path());
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, ErrorCode::io_error);
}

TEST(IdentityTest, tells_processes_apart) {
  const auto self = read_identity(::getpid());
  ASSERT_TRUE(self) << self.error().text();
  EXPECT_EQ(self->pid, ::getpid());
  EXPECT_GT(self->start_ticks, 0U);
  EXPECT_EQ(self->boot_id.size(), 36U);
  EXPECT_EQ(read_identity(::getpid()), self);
  EXPECT_NE(read_identity(1).value().start_ticks, self->start_ticks);
  EXPECT_EQ(read_identity(1 << 30).error().code, ErrorCode::not_found);
}

TEST(IdentityTest, this_process_started_just_now) {
  const SystemClock clock;
  const auto started = read_exec_time();
  EXPECT_LT(started, clock.mono_now());
  EXPECT_GT(started, clock.mono_now() - std::chrono::minutes(5)) << "tests take less";
}

TEST(ResidentTest, grows_with_what_is_touched) {
  const auto resident = [] { return read_process_memory(::getpid())->resident_bytes; };
  const auto before = resident();
  EXPECT_GT(before, 500'000U);
  constexpr std::size_t kSize = 64 << 20;
  void* block = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  ASSERT_NE(block, MAP_FAILED);
  EXPECT_GT(resident(), before + kSize / 2);
  ::munmap(block, kSize);
  EXPECT_EQ(read_process_memory(1 << 30).error().code, ErrorCode::not_found);
}

TEST(ExecutableTest, is_found_in_the_path_or_by_its_own) {
  const testing::TempFolder folder;
  const auto program = folder.write("bin/tool", "#!/bin/sh\n");
  const auto path = "relative:/nonexistent:" + (folder / "bin").native();
  EXPECT_EQ(find_executable("tool", path).error().code, ErrorCode::not_found) << "not executable";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_EQ(find_executable("tool", path), program.native());
  EXPECT_EQ(find_executable(program.native(), ""), program.native());
  EXPECT_FALSE(find_executable("bin/tool", path));
  EXPECT_FALSE(find_executable("bin", folder.path().native())) << "a folder";
  EXPECT_FALSE(find_executable("", path));
  EXPECT_TRUE(find_executable(own_executable(), ""));
}

}  // namespace
}  // namespace ingle::platform
