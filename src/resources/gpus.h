// Gpus: what the probe (ingle-probe) and the engine (`llama-server --list-devices`) say of graphics
// cards, understood and put together. Pure. Both texts are untrusted: bounded, and nonsense is
// dropped.
//
// A card of the probe and a device of the engine are the same when vendor and size agree (within
// 10 %), the same name and the closest size first, then by order. What only the engine knows is
// listed with the engine's figures, unless it draws on the host's memory: that is the host's, and
// would be counted twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "resources/footprint.h"

namespace ingle::resources {

inline constexpr std::size_t kGpusMax = 64;

struct ProbedGpu {
  std::string vendor{};  // "nvidia", "amd", "intel"
  std::string name{};
  std::string id{};  // lasting
  bool integrated = false;
  std::optional<std::uint64_t> total_bytes{};
  std::optional<std::uint64_t> free_bytes{};
  std::vector<DeviceProcess> processes{};  // `device` is not set
};

struct ProbeReport {
  std::vector<ProbedGpu> gpus{};
  std::vector<std::string> notes{};
};

// Errors: malformed, limit_exceeded.
base::Result<ProbeReport> parse_probe_report(std::string_view text);

struct EngineDevice {
  std::string name{};  // "CUDA0"
  std::string description{};
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

// Of lines like "  CUDA0: NVIDIA RTX A2000 (6138 MiB, 5500 MiB free)"; others are skipped, and so
// are devices without memory and those that the processor plays.
std::vector<EngineDevice> parse_engine_devices(std::span<const std::string> lines);

// The cards as far as they are known. Cards are only ever added: their order never changes, and one
// that is gone has nothing free.
class Gpus {
 public:
  void take(const ProbeReport& report);
  void take(std::span<const EngineDevice> listed);

  // Ids are "gpu0" and so on; device i of the readings is the card i - 1.
  std::vector<DeviceReading> devices() const;
  std::vector<DeviceProcess> processes() const;
  // What people should know: the probe's notes, cards that are gone or were left out.
  std::vector<std::string> notes() const;
  // Whether there is a card whose free memory only the engine can tell.
  bool needs_engine() const;

 private:
  struct Card {
    std::string vendor{};
    std::string probe_id{};  // empty: the probe does not know it
    DeviceReading reading{};
    bool has_total = false;  // told by the probe, rather than by the engine
    bool has_free = false;
    bool gone = false;
    std::vector<DeviceProcess> processes{};
  };

  Card* find_probed(const ProbedGpu& gpu);
  Card* find_listed(const EngineDevice& device, std::string_view vendor);
  bool is_second_name(const EngineDevice& device, std::string_view vendor) const;
  // Whether a device that matches no card of the probe draws on the host's memory.
  bool shares_host_memory(std::string_view vendor) const;
  Card* add(std::string_view vendor, std::string_view name);

  std::vector<Card> cards_;
  bool probed_ = false;
  std::vector<std::string> vendors_probed_{};  // of every card the probe saw, integrated or not
  std::vector<std::string> probe_notes_{};
  std::vector<std::string> engine_notes_{};
};

}  // namespace ingle::resources
