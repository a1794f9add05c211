// Goal: each card is listed once, with the engine's name for it and the best figures there are,
// whatever both sides say. Method: reports and lists made up by the test, nonsense among them.
#include "resources/gpus.h"

#include <gtest/gtest.h>

#include <format>

namespace ingle::resources {
namespace {

constexpr std::uint64_t kMib = 1ULL << 20;
constexpr std::uint64_t kGib = 1ULL << 30;

ProbedGpu nvidia(std::string id, std::string name, std::uint64_t total, std::uint64_t free) {
  return {.vendor = "nvidia",
          .name = std::move(name),
          .id = std::move(id),
          .total_bytes = total,
          .free_bytes = free};
}

EngineDevice device(std::string name, std::string description, std::uint64_t total_mib,
                    std::uint64_t free_mib) {
  return {std::move(name), std::move(description), total_mib * kMib, free_mib * kMib};
}

// "gpu0=CUDA1 gpu1=" and so on.
std::string names(const Gpus& gpus) {
  std::string out;
  for (const auto& reading : gpus.devices())
    out += std::format("{}{}={}", out.empty() ? "" : " ", reading.id, reading.engine_name);
  return out;
}

TEST(ProbeReportTest, is_understood) {
  const auto report = parse_probe_report(
      R"({"gpus": [{"vendor": "nvidia", "name": "RTX\u001b[2J", "id": "GPU-1", "integrated": false,
          "total_bytes": 1000, "free_bytes": 400, "processes": [{"pid": 7, "bytes": 300},
          {"pid": -1, "bytes": 1}, {"pid": 8}, 9]}], "notes": ["slow", 3], "more": 1})");
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->gpus.size(), 1U);
  const auto& gpu = report->gpus[0];
  EXPECT_EQ(gpu.name, "RTX?[2J") << "names end on terminals";
  EXPECT_EQ(gpu.total_bytes, 1000U);
  EXPECT_EQ(gpu.free_bytes, 400U);
  ASSERT_EQ(gpu.processes.size(), 1U);
  EXPECT_EQ(gpu.processes[0].pid, 7);
  EXPECT_EQ(report->notes, std::vector<std::string>{"slow"});
}

TEST(ProbeReportTest, nonsense_is_refused_or_left_out) {
  for (const auto* text : {"", "[]", "{}", R"({"gpus": {}})", R"({"gpus": [})"})
    EXPECT_FALSE(parse_probe_report(text)) << text;
  const auto report = parse_probe_report(
      R"({"gpus": [1, {}, {"id": "a", "total_bytes": -1, "free_bytes": "x"},
          {"id": "b", "total_bytes": 1e300}, {"id": 5}]})");
  ASSERT_TRUE(report);
  ASSERT_EQ(report->gpus.size(), 2U);
  for (const auto& gpu : report->gpus) EXPECT_EQ(gpu.total_bytes, std::nullopt) << gpu.id;
  std::string many = R"({"gpus": [)";
  for (int i = 0; i < 1000; ++i) many += std::format(R"({}{{"id": "{}"}})", i ? "," : "", i);
  EXPECT_EQ(parse_probe_report(many + "]}")->gpus.size(), kGpusMax);
}

TEST(EngineDevicesTest, only_its_lines_are_taken) {
  const std::vector<std::string> lines{
      "ggml_cuda_init: found 1 CUDA devices:",
      "  Device 0: NVIDIA RTX A2000, compute capability 8.6, VMM: yes",
      "Available devices:",
      "  CUDA0: NVIDIA RTX A2000 (6138 MiB, 5500 MiB free)",
      "  Vulkan0: AMD Radeon RX 6800 XT (RADV NAVI21) (16368 MiB, 99999 MiB free)",
      "  Vulkan1: llvmpipe (LLVM 19, 256 bits) (16000 MiB, 16000 MiB free)",
      "  BLAS: OpenBLAS (0 MiB, 0 MiB free)",
      "  RPC[10.0.0.1:50052]: far away (8000 MiB, 8000 MiB free)",
      "  CUDA1: cut (6138 MiB, 55",
      "  CUDA2: huge (99999999999999999999 MiB, 1 MiB free)",
      "  CUDA3: (1 MiB, 1 MiB free)",
      ": x (1 MiB, 1 MiB free)",
      " (1 MiB, 1 MiB free): ",
      "  (none)"};
  const auto devices = parse_engine_devices(lines);
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].name, "CUDA0");
  EXPECT_EQ(devices[0].description, "NVIDIA RTX A2000");
  EXPECT_EQ(devices[0].total_bytes, 6138 * kMib);
  EXPECT_EQ(devices[0].free_bytes, 5500 * kMib);
  EXPECT_EQ(devices[1].description, "AMD Radeon RX 6800 XT (RADV NAVI21)");
  EXPECT_EQ(devices[1].free_bytes, 16368 * kMib) << "no more free than there is";
}

TEST(GpusTest, cards_are_matched_by_vendor_and_size) {
  Gpus gpus;
  gpus.take({.gpus = {nvidia("a", "RTX 3060", 12288 * kMib, 9 * kGib),
                      nvidia("b", "RTX 4090", 24564 * kMib, 20 * kGib)}});
  EXPECT_EQ(names(gpus), "gpu0= gpu1=");
  // CUDA lists the fastest first, and less than the card has.
  gpus.take(std::vector{device("CUDA0", "RTX 4090", 24080, 23000),
                        device("CUDA1", "RTX 3060", 11909, 11000)});
  EXPECT_EQ(names(gpus), "gpu0=CUDA1 gpu1=CUDA0");
  EXPECT_EQ(gpus.devices()[1].free_bytes, 20 * kGib) << "the probe knows better";
  EXPECT_EQ(gpus.devices()[1].total_bytes, 24564 * kMib);
  EXPECT_FALSE(gpus.needs_engine());
}

TEST(GpusTest, equal_cards_are_matched_in_order_and_second_names_left_out) {
  Gpus gpus;
  gpus.take({.gpus = {nvidia("a", "T4", 15360 * kMib, kGib), nvidia("b", "T4", 15360 * kMib, 2)}});
  gpus.take(std::vector{device("CUDA0", "T4", 14900, 1), device("CUDA1", "T4", 14900, 1),
                        device("Vulkan0", "NVIDIA T4", 15360, 1),
                        device("Vulkan1", "NVIDIA T4", 15360, 1)});
  EXPECT_EQ(names(gpus), "gpu0=CUDA0 gpu1=CUDA1");
  EXPECT_TRUE(gpus.notes().empty());
}

TEST(GpusTest, the_same_name_goes_before_a_closer_size) {
  Gpus gpus;
  gpus.take({.gpus = {nvidia("a", "RTX A", 8000 * kMib, 1), nvidia("b", "RTX B", 8100 * kMib, 1)}});
  gpus.take(std::vector{device("CUDA0", "RTX B", 7990, 1), device("CUDA1", "RTX A", 7900, 1)});
  EXPECT_EQ(names(gpus), "gpu0=CUDA1 gpu1=CUDA0");
}

TEST(GpusTest, what_draws_on_the_host_is_left_out) {
  Gpus gpus;
  gpus.take({.gpus = {{.vendor = "intel", .name = "UHD", .id = "00:02.0", .integrated = true},
                      {.vendor = "amd",
                       .name = "APU",
                       .id = "05:00.0",
                       .total_bytes = 512 * kMib,
                       .free_bytes = 400 * kMib}}});
  gpus.take(std::vector{device("Vulkan0", "Intel(R) UHD Graphics 770", 15900, 15000),
                        device("Vulkan1", "AMD Radeon Graphics (RADV)", 8000, 7000)});
  EXPECT_EQ(names(gpus), "gpu0=") << "the 512 MiB of the APU are its own";
  ASSERT_EQ(gpus.notes().size(), 2U);
  EXPECT_TRUE(gpus.notes()[0].contains("memory of the host")) << gpus.notes()[0];
}

TEST(GpusTest, what_only_the_engine_knows_has_its_figures) {
  Gpus gpus;
  gpus.take({.gpus = {{.vendor = "intel", .name = "Arc", .id = "03:00.0"}}});
  EXPECT_TRUE(gpus.needs_engine());
  EXPECT_EQ(gpus.devices()[0].total_bytes, 0U);
  gpus.take(std::vector{device("SYCL0", "Intel(R) Arc(TM) A770", 16288, 15000),
                        device("MUSA0", "Moore Threads S80", 16000, 9000)});
  EXPECT_EQ(names(gpus), "gpu0=SYCL0 gpu1=MUSA0");
  EXPECT_EQ(gpus.devices()[0].free_bytes, 15000 * kMib);
  EXPECT_EQ(gpus.devices()[1].total_bytes, 16000 * kMib);
  gpus.take(std::vector{device("SYCL0", "Intel(R) Arc(TM) A770", 16288, 500),
                        device("MUSA0", "Moore Threads S80", 16000, 600)});
  EXPECT_EQ(gpus.devices()[0].free_bytes, 500 * kMib);
  EXPECT_EQ(gpus.devices()[1].free_bytes, 600 * kMib);
}

TEST(GpusTest, without_the_probe_only_sure_cards_are_listed_and_later_recognised) {
  Gpus gpus;
  gpus.take(std::vector{device("CUDA0", "T4", 14900, 9000),
                        device("Vulkan0", "Intel(R) UHD Graphics 770", 15900, 15000)});
  EXPECT_EQ(names(gpus), "gpu0=CUDA0");
  gpus.take({.gpus = {nvidia("a", "Tesla T4", 15360 * kMib, 8 * kGib)}});
  EXPECT_EQ(names(gpus), "gpu0=CUDA0");
  EXPECT_EQ(gpus.devices()[0].free_bytes, 8 * kGib);
  EXPECT_TRUE(gpus.notes().empty());
}

TEST(GpusTest, a_card_that_is_gone_keeps_its_place_and_has_nothing_free) {
  Gpus gpus;
  auto second = nvidia("b", "T4", 15360 * kMib, 2 * kGib);
  second.processes = {{.pid = 5, .bytes = 6}};
  gpus.take({.gpus = {nvidia("a", "T4", 15360 * kMib, kGib), second}});
  ASSERT_EQ(gpus.processes().size(), 1U);
  EXPECT_EQ(gpus.processes()[0].device, 2U);
  gpus.take({.gpus = {second}, .notes = {"a card fell off"}});
  EXPECT_EQ(gpus.devices()[0].free_bytes, 0U);
  EXPECT_EQ(gpus.devices()[1].free_bytes, 2 * kGib);
  EXPECT_EQ(gpus.notes(), (std::vector<std::string>{"a card fell off", "gpu0 (T4) is gone"}));
  gpus.take(ProbeReport{});
  EXPECT_TRUE(gpus.processes().empty());
  gpus.take({.gpus = {nvidia("a", "T4", 15360 * kMib, kGib), second}});
  EXPECT_EQ(gpus.devices()[0].free_bytes, kGib);
  EXPECT_TRUE(gpus.notes().empty());
}

}  // namespace
}  // namespace ingle::resources
