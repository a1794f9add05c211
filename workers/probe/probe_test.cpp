// Goal: the probe tells each card with its true figures, and nothing that a driver did not say.
// Method: a library made up like NVML, and trees of sysfs made up by the test. That the daemon
// understands the probe's answer, and outlives its hangs, is tested in src/resources.
#include <gtest/gtest.h>

#include <cstdlib>

#include "nvml.h"
#include "sysfs.h"
#include "testing/temp_folder.h"

namespace ingle::probe {
namespace {

constexpr std::uint64_t kGib = 1ULL << 30;

TEST(NvmlTest, cards_and_their_processes_are_told) {
  ::unsetenv("FAKE_NVML");
  Findings findings;
  find_nvidia(INGLE_FAKE_NVML, findings);
  ASSERT_EQ(findings.gpus.size(), 2U);
  const auto& first = findings.gpus[0];
  EXPECT_EQ(first.vendor, "nvidia");
  EXPECT_EQ(first.name, "NVIDIA Fake 1");
  EXPECT_EQ(first.id, "GPU-1");
  EXPECT_EQ(first.total_bytes, 8 * kGib);
  EXPECT_EQ(first.free_bytes, 7 * kGib);
  ASSERT_EQ(first.processes.size(), 1U) << "one figure was not to be had, one came twice";
  EXPECT_EQ(first.processes[0].pid, 4242);
  EXPECT_EQ(first.processes[0].bytes, 3000U);
  EXPECT_EQ(findings.gpus[1].total_bytes, 16 * kGib);
  EXPECT_TRUE(findings.notes.empty());
}

TEST(NvmlTest, a_driver_that_fails_is_noted) {
  ::setenv("FAKE_NVML", "broken", 1);
  Findings findings;
  find_nvidia(INGLE_FAKE_NVML, findings);
  EXPECT_TRUE(findings.gpus.empty());
  ASSERT_EQ(findings.notes.size(), 1U);
  EXPECT_TRUE(findings.notes[0].contains("999")) << findings.notes[0];
  ::unsetenv("FAKE_NVML");
}

TEST(NvmlTest, a_library_that_is_not_it_is_noted_and_none_is_nothing) {
  Findings findings;
  find_nvidia("libm.so.6", findings);
  EXPECT_EQ(findings.notes.size(), 1U);
  Findings none;
  find_nvidia("/nonexistent/libnvidia-ml.so.1", none);
  EXPECT_TRUE(none.gpus.empty());
  EXPECT_TRUE(none.notes.empty());
}

class SysfsTest : public ::testing::Test {
 protected:
  // A card with its device's files.
  void add_card(const std::string& card, const std::string& place,
                const std::vector<std::pair<std::string, std::string>>& files) {
    const auto device = "sys/devices/pci0000:00/" + place + "/";
    for (const auto& [name, text] : files) root_.write(device + name, text);
    std::filesystem::create_directories(root_ / ("sys/class/drm/" + card));
    std::filesystem::create_directory_symlink(root_ / device,
                                              root_ / ("sys/class/drm/" + card + "/device"));
  }
  Findings find() {
    Findings out;
    find_in_sysfs(root_.path(), out);
    return out;
  }

  testing::TempFolder root_;
};

TEST_F(SysfsTest, amd_tells_total_and_used) {
  add_card("card1", "0000:0c:00.0",
           {{"vendor", "0x1002\n"},
            {"device", "0x73bf\n"},
            {"mem_info_vram_total", "17163091968\n"},
            {"mem_info_vram_used", "163091968\n"}});
  add_card("card0", "0000:03:00.0",
           {{"vendor", "0x1002\n"},
            {"product_name", "Radeon Pro W6800\n"},
            {"mem_info_vram_total", "1000\n"},
            {"mem_info_vram_used", "5000\n"}});
  root_.write("sys/class/drm/card0-DP-1/status", "connected");
  const auto gpus = find().gpus;
  ASSERT_EQ(gpus.size(), 2U);
  EXPECT_EQ(gpus[0].name, "Radeon Pro W6800") << "in the order of the bus";
  EXPECT_EQ(gpus[0].free_bytes, 0U) << "more used than there is";
  EXPECT_EQ(gpus[1].name, "AMD GPU 0x73bf");
  EXPECT_EQ(gpus[1].id, "0000:0c:00.0");
  EXPECT_EQ(gpus[1].total_bytes, 17163091968U);
  EXPECT_EQ(gpus[1].free_bytes, 17000000000U);
}

TEST_F(SysfsTest, intel_tells_little) {
  add_card("card0", "0000:00:02.0", {{"vendor", "0x8086\n"}, {"device", "0xa780\n"}});
  add_card("card1", "0000:03:00.0",
           {{"vendor", "0x8086\n"},
            {"device", "0xe20b\n"},
            {"tile0/physical_vram_size_bytes", "6442450944\n"},
            {"tile1/physical_vram_size_bytes", "6442450944\n"}});
  const auto gpus = find().gpus;
  ASSERT_EQ(gpus.size(), 2U);
  EXPECT_TRUE(gpus[0].integrated);
  EXPECT_EQ(gpus[0].total_bytes, std::nullopt);
  EXPECT_FALSE(gpus[1].integrated);
  EXPECT_EQ(gpus[1].total_bytes, 12 * kGib);
  EXPECT_EQ(gpus[1].free_bytes, std::nullopt);
}

TEST_F(SysfsTest, others_and_broken_ones_are_left_out) {
  add_card("card0", "0000:01:00.0", {{"vendor", "0x10de\n"}});  // NVIDIA: by its library
  add_card("card1", "virtio", {{"name", "nothing"}});
  std::filesystem::create_directories(root_ / "sys/class/drm/card2");
  EXPECT_TRUE(find().gpus.empty());
  const testing::TempFolder empty;
  Findings none;
  find_in_sysfs(empty.path(), none);
  EXPECT_TRUE(none.gpus.empty());
}

}  // namespace
}  // namespace ingle::probe
