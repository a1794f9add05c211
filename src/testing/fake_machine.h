// A machine whose memory is what the test says. One thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/loop.h"
#include "resources/machine.h"

namespace ingle::testing {

class FakeMachine final : public resources::Machine {
 public:
  // A host with so much RAM, of which so much is available, and 4 cores.
  FakeMachine(base::Loop& loop, std::uint64_t total_bytes, std::uint64_t available_bytes)
      : loop_(loop) {
    readings.devices.push_back({.id = "host",
                                .name = "a processor",
                                .total_bytes = total_bytes,
                                .free_bytes = available_bytes});
    machine_facts = {.cores_logical = 8,
                     .cores_physical = 4,
                     .ram_bytes_total = total_bytes,
                     .ram_bytes_available = available_bytes,
                     .cpu_name = "a processor"};
  }

  // Adds a card and returns its index.
  std::size_t add_gpu(std::uint64_t total_bytes, std::uint64_t free_bytes) {
    const auto number = std::to_string(readings.devices.size() - 1);
    readings.devices.push_back({.id = "gpu" + number,
                                .name = "a card",
                                .engine_name = "CUDA" + number,
                                .kind = protocol::DeviceKind::gpu,
                                .total_bytes = total_bytes,
                                .free_bytes = free_bytes});
    machine_facts.has_gpu = true;
    return readings.devices.size() - 1;
  }

  base::Task<base::Result<resources::Readings>> read() override {
    ++reads;
    std::ignore = co_await base::sleep_for(loop_, delay);
    if (error) co_return std::unexpected(*error);
    co_return readings;
  }
  base::Task<base::Result<platform::MachineFacts>> facts() override {
    std::ignore = co_await base::sleep_for(loop_, delay);
    if (error) co_return std::unexpected(*error);
    co_return machine_facts;
  }

  // All may be set at any time; read() answers with what they are when `delay` has passed.
  resources::Readings readings;
  platform::MachineFacts machine_facts;
  std::optional<base::Error> error;
  base::Micros delay{base::Millis(1)};
  std::size_t reads = 0;

 private:
  base::Loop& loop_;
};

}  // namespace ingle::testing
