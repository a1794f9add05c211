// Goal: the machine is asked as seldom as is right, the answer is there whatever the drivers do,
// and nothing is left running. Method: scripted processes on virtual time over a made-up root; then
// the real ingle-probe with a library that is made like NVML and hangs, crashes and chatters.
#include "resources/machine.h"

#include <gtest/gtest.h>

#include <format>

#include "testing/fake_loop.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::resources {
namespace {

using base::Millis;
using base::Seconds;
using testing::FakeLife;

constexpr std::uint64_t kGib = 1ULL << 30;

void write_root(const testing::TempFolder& root) {
  root.write("proc/meminfo",
             "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nSwapTotal: 1024 kB\nSwapFree: 512 "
             "kB\n");
  root.write("proc/pressure/memory", "some avg10=3.00 x\nfull avg10=1.00 x\n");
  root.write("proc/cpuinfo", "model name\t: A Processor\nflags : avx2\n");
}

std::string report(std::uint64_t free) {
  return std::format(
      R"({{"gpus": [{{"vendor": "nvidia", "name": "T4", "id": "a", "total_bytes": {}, )"
      R"("free_bytes": {}, "processes": [{{"pid": 77, "bytes": 5}}]}}], "notes": []}})",
      16 * kGib, free);
}

class MachineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_root(root_);
    root_.write("dev/nvidia0", "");
    const auto engine = root_.write("bin/llama-server", "");
    std::filesystem::permissions(engine, std::filesystem::perms::owner_all);
    make();
  }
  void make() {
    machine_ = create_machine({.probe = "/opt/ingle-probe",
                               .path = (root_ / "bin").native(),
                               .environment = {{"A", "b"}},
                               .root = root_.path(),
                               .stopping = stop_.token()},
                              processes_, lanes_, loop_, base::Logger(log_, loop_.clock(), "test"));
  }
  FakeLife life_of(const platform::SpawnOptions& options) {
    return options.executable == "/opt/ingle-probe" ? probe_ : engine_;
  }
  Readings read() {
    auto readings = loop_.run(machine_->read());
    EXPECT_TRUE(readings) << readings.error().text();
    return readings.value_or(Readings{});
  }
  std::size_t runs(std::string_view name) const {
    std::size_t count = 0;
    for (const auto& options : processes_.spawned())
      count += options.executable.filename() == name ? 1 : 0;
    return count;
  }
  static FakeLife prints(std::string line) {
    return {.lines = {{Millis(5), std::move(line)}},
            .death = FakeLife::Death{Millis(10), {.code = 0}}};
  }

  testing::TempFolder root_;
  testing::FakeLoop loop_;
  testing::FakeLanes lanes_{loop_};
  testing::MemoryLog log_;
  base::CancelSource stop_;
  FakeLife probe_ = prints(report(7 * kGib));
  FakeLife engine_ = prints("  CUDA0: T4 (15900 MiB, 7000 MiB free)");
  testing::FakeProcesses processes_{loop_,
                                    [this](const auto& options) { return life_of(options); }};
  std::unique_ptr<Machine> machine_;
};

TEST_F(MachineTest, everything_is_in_one_reading) {
  const auto readings = read();
  ASSERT_EQ(readings.devices.size(), 2U);
  EXPECT_EQ(readings.devices[0].id, "host");
  EXPECT_EQ(readings.devices[0].name, "A Processor");
  EXPECT_EQ(readings.devices[0].total_bytes, 8 * kGib);
  EXPECT_EQ(readings.devices[0].free_bytes, 4 * kGib);
  EXPECT_EQ(readings.devices[1].id, "gpu0");
  EXPECT_EQ(readings.devices[1].engine_name, "CUDA0");
  EXPECT_EQ(readings.devices[1].free_bytes, 7 * kGib);
  ASSERT_EQ(readings.gpu_processes.size(), 1U);
  EXPECT_EQ(readings.gpu_processes[0].device, 1U);
  EXPECT_EQ(readings.gpu_processes[0].pid, 77);
  EXPECT_EQ(readings.swap_total_bytes, 1U << 20);
  EXPECT_EQ(readings.pressure_some_avg10, 3);
  EXPECT_TRUE(readings.notes.empty());
  const auto& spawned = processes_.spawned();
  ASSERT_EQ(spawned.size(), 2U);
  EXPECT_EQ(spawned[1].arguments, std::vector<std::string>{"--list-devices"});
  for (const auto& options : spawned) {
    EXPECT_FALSE(options.sandbox.enabled);
    EXPECT_EQ(options.environment.size(), 1U);
  }
}

TEST_F(MachineTest, without_a_gpu_nothing_is_run) {
  std::filesystem::remove(root_ / "dev/nvidia0");
  const auto readings = read();
  EXPECT_EQ(readings.devices.size(), 1U);
  EXPECT_TRUE(processes_.spawned().empty());
  ASSERT_EQ(readings.notes.size(), 1U);
  EXPECT_TRUE(readings.notes[0].contains("no GPU driver")) << readings.notes[0];
}

TEST_F(MachineTest, the_host_is_read_every_time_and_gpus_at_most_twice_a_second) {
  read();
  root_.write("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n");
  probe_ = prints(report(2 * kGib));
  auto readings = read();
  EXPECT_EQ(readings.devices[0].free_bytes, kGib);
  EXPECT_EQ(readings.devices[1].free_bytes, 7 * kGib);
  loop_.advance(kGpuReadingAge);
  readings = read();
  EXPECT_EQ(readings.devices[1].free_bytes, 2 * kGib);
  EXPECT_EQ(runs("ingle-probe"), 2U);
  EXPECT_EQ(runs("llama-server"), 1U) << "the probe tells all that changes";
}

TEST_F(MachineTest, integrated_graphics_are_asked_about_seldom) {
  probe_ =
      prints(R"({"gpus": [{"vendor": "intel", "name": "UHD", "id": "a", "integrated": true}]})");
  engine_ = prints("  (none)");
  EXPECT_EQ(read().devices.size(), 1U);
  for (int i = 0; i < 25; ++i) {
    loop_.advance(Seconds(1));
    read();
  }
  EXPECT_EQ(runs("ingle-probe"), 1U);
  probe_ = prints(report(kGib));  // plugged in
  loop_.advance(kAskAgainAfter);
  EXPECT_EQ(read().devices.size(), 2U);
}

TEST_F(MachineTest, a_host_that_struggles_is_read_without_waiting_for_drivers) {
  read();
  root_.write("proc/pressure/memory", "some avg10=30.00 x\nfull avg10=1.00 x\n");
  probe_ = {};  // it would hang
  loop_.advance(Seconds(2));
  const auto before = loop_.clock().mono_now();
  EXPECT_EQ(read().pressure_some_avg10, 30);
  EXPECT_LT(loop_.clock().mono_now() - before, Millis(100));
  probe_ = prints(report(kGib));
  loop_.advance(kThrashingReadingAge);
  EXPECT_EQ(read().devices[1].free_bytes, kGib) << "but not for ever";
}

TEST_F(MachineTest, callers_at_one_time_share_the_asking) {
  int done = 0;
  base::TaskScope scope;
  for (int i = 0; i < 5; ++i)
    scope.spawn([](Machine& machine, int& count) -> base::Task<void> {
      const auto readings = co_await machine.read();
      EXPECT_TRUE(readings && readings->devices.size() == 2);
      ++count;
    }(*machine_, done));
  loop_.run_until_idle();
  EXPECT_EQ(done, 5);
  EXPECT_EQ(runs("ingle-probe"), 1U);
  EXPECT_EQ(runs("llama-server"), 1U);
}

TEST_F(MachineTest, a_probe_that_hangs_is_killed_and_let_alone_for_a_while) {
  read();
  probe_ = {.kill_delay = {}};  // nor can it be killed
  loop_.advance(Seconds(1));
  const auto before = loop_.clock().mono_now();
  auto readings = read();
  EXPECT_LT(loop_.clock().mono_now() - before, kProbeTimeMax + Seconds(1));
  EXPECT_EQ(readings.devices[1].free_bytes, 7 * kGib) << "the last reading";
  ASSERT_EQ(readings.notes.size(), 1U);
  EXPECT_TRUE(readings.notes[0].contains("ingle-probe did not answer within 2.0 s"))
      << readings.notes[0];
  for (int i = 0; i < 20; ++i) {
    loop_.advance(Seconds(1));
    read();
  }
  EXPECT_EQ(runs("ingle-probe"), 2U);
  EXPECT_EQ(log_.count("gpu_unreadable"), 1U);
  probe_ = prints(report(kGib));
  loop_.advance(kAskAgainAfter);
  readings = read();
  EXPECT_EQ(readings.devices[1].free_bytes, kGib);
  EXPECT_TRUE(readings.notes.empty());
}

TEST_F(MachineTest, a_driver_may_start_slowly_the_first_time) {
  probe_ = {.lines = {{Seconds(8), report(kGib)}},
            .death = FakeLife::Death{Seconds(8), {.code = 0}}};
  EXPECT_EQ(read().devices.size(), 2U);
}

TEST_F(MachineTest, a_probe_that_fails_leaves_what_the_engine_knows) {
  struct Case {
    FakeLife life;
    std::string words;
  };
  const std::vector<Case> cases{
      {{.death = FakeLife::Death{Millis(5), {.signal = 6}}}, "SIGABRT"},
      {{.lines = {{Millis(1), "no such thing"}}, .death = FakeLife::Death{Millis(5), {.code = 3}}},
       "exited with code 3: no such thing"},
      {prints("what?"), "could not be asked"},
      {{.spawn_error = base::Error{base::ErrorCode::spawn_failed, "no such program"}},
       "no such program"},
      {{.lines = {60, {Millis(1), std::string(8000, 'x')}}}, "printed more than 256 KiB"}};
  for (const auto& [life, words] : cases) {
    make();
    probe_ = life;
    const auto readings = read();
    ASSERT_EQ(readings.devices.size(), 2U) << words;
    EXPECT_EQ(readings.devices[1].free_bytes, 7000ULL << 20) << words;
    ASSERT_EQ(readings.notes.size(), 1U) << words;
    EXPECT_TRUE(readings.notes[0].contains(words)) << readings.notes[0];
    EXPECT_EQ(processes_.running(), 0U) << words;
  }
}

TEST_F(MachineTest, what_only_the_engine_tells_is_asked_again_every_5_s) {
  probe_ = prints(R"({"gpus": [{"vendor": "intel", "name": "Arc", "id": "03:00.0"}]})");
  engine_ = prints("  SYCL0: Intel(R) Arc(TM) A770 (16288 MiB, 9000 MiB free)");
  EXPECT_EQ(read().devices[1].free_bytes, 9000ULL << 20);
  engine_ = prints("  SYCL0: Intel(R) Arc(TM) A770 (16288 MiB, 100 MiB free)");
  loop_.advance(Seconds(3));
  EXPECT_EQ(read().devices[1].free_bytes, 9000ULL << 20);
  loop_.advance(Seconds(2));
  EXPECT_EQ(read().devices[1].free_bytes, 100ULL << 20);
  EXPECT_EQ(runs("llama-server"), 2U);
}

TEST_F(MachineTest, another_engine_is_asked_again) {
  read();
  const auto better = root_.write("better/llama-server", "");
  std::filesystem::permissions(better, std::filesystem::perms::owner_all);
  std::filesystem::remove(root_ / "bin/llama-server");
  std::filesystem::create_symlink(better, root_ / "bin/llama-server");
  loop_.advance(Seconds(1));
  read();
  EXPECT_EQ(runs("llama-server"), 1U) << "the same path";
  std::filesystem::remove(root_ / "bin/llama-server");
  loop_.advance(Seconds(1));
  EXPECT_EQ(read().devices.size(), 2U) << "no engine, and the card is still known";
  EXPECT_EQ(runs("llama-server"), 1U);
}

TEST_F(MachineTest, a_stop_ends_what_is_being_asked) {
  engine_ = {};  // runs for ever
  bool done = false;
  base::TaskScope scope;
  scope.spawn([](Machine& machine, bool& ended) -> base::Task<void> {
    std::ignore = co_await machine.read();
    ended = true;
  }(*machine_, done));
  loop_.advance(Millis(500));
  EXPECT_FALSE(done);
  stop_.cancel();
  loop_.advance(Millis(10));
  EXPECT_TRUE(done);
  EXPECT_EQ(processes_.running(), 0U);
  EXPECT_EQ(log_.count("gpu_unreadable"), 0U);
}

TEST_F(MachineTest, no_proc_is_an_error) {
  std::filesystem::remove(root_ / "proc/meminfo");
  const auto readings = loop_.run(machine_->read());
  ASSERT_FALSE(readings);
  EXPECT_EQ(readings.error().code, base::ErrorCode::io_error);
}

TEST_F(MachineTest, is_described) {
  auto readings = read();
  readings.cgroup_limit_bytes = 5;
  readings.notes = {"a note"};
  const auto info = describe_machine(loop_.run(machine_->facts()).value(), readings);
  EXPECT_EQ(info.cpu_name, "A Processor");
  EXPECT_GE(info.cores_logical, 1);
  EXPECT_EQ(info.swap_free_bytes, 512 << 10);
  EXPECT_EQ(info.cgroup_limit_bytes, 5);
  EXPECT_EQ(info.notes, std::vector<std::string>{"a note"});
}

// The real probe, run by the real machine. Its library is made up by INGLE_FAKE_NVML.
class RealProbeTest : public ::testing::Test {
 protected:
  Readings read(const char* failure) {
    write_root(root_);
    root_.write("dev/nvidia0", "");
    const auto library = root_ / "libnvidia-ml.so.1";
    std::error_code ignored;
    std::filesystem::create_symlink(INGLE_FAKE_NVML, library, ignored);
    base::CancelSource stop;
    const auto machine = create_machine(
        {.probe = INGLE_PROBE,
         .llama_server = "no-such-engine",
         .path = "/nonexistent",
         .environment = {{"LD_LIBRARY_PATH", root_.path().native()}, {"FAKE_NVML", failure}},
         .root = root_.path(),
         .stopping = stop.token()},
        *processes_, real_.lanes, real_.loop, base::Logger(log_, real_.clock, "test"));
    // A hang is cut short: that it would be killed in time is shown above.
    if (std::string_view(failure) == "hang") real_.loop.after(Millis(300), [&] { stop.cancel(); });
    auto readings = real_.run(machine->read());
    EXPECT_TRUE(readings) << readings.error().text();
    return readings.value_or(Readings{});
  }

  testing::TempFolder root_;
  testing::RealLoop real_;
  testing::MemoryLog log_;
  std::unique_ptr<platform::Processes> processes_ =
      platform::create_processes(real_.loop, real_.lanes);
};

TEST_F(RealProbeTest, is_understood_in_spite_of_its_drivers_chatter) {
  const auto readings = read("");
  // The machine under test may have cards of its own behind these.
  ASSERT_GE(readings.devices.size(), 3U);
  EXPECT_EQ(readings.devices[1].name, "NVIDIA Fake 1");
  EXPECT_EQ(readings.devices[1].total_bytes, 8 * kGib);
  EXPECT_EQ(readings.devices[2].free_bytes, 15 * kGib);
  ASSERT_FALSE(readings.gpu_processes.empty());
  EXPECT_EQ(readings.gpu_processes[0].pid, 4242);
  EXPECT_EQ(readings.gpu_processes[0].bytes, 3000U);
}

TEST_F(RealProbeTest, that_crashes_is_a_note) {
  const auto readings = read("crash");
  ASSERT_FALSE(readings.notes.empty());
  EXPECT_TRUE(readings.notes[0].contains("SIGABRT")) << readings.notes[0];
}

TEST_F(RealProbeTest, that_fails_says_so_itself) {
  const auto readings = read("broken");
  ASSERT_FALSE(readings.notes.empty());
  EXPECT_TRUE(readings.notes[0].contains("NVML error 999")) << readings.notes[0];
}

TEST_F(RealProbeTest, that_hangs_is_ended) { EXPECT_EQ(read("hang").devices.size(), 1U); }

}  // namespace
}  // namespace ingle::resources
