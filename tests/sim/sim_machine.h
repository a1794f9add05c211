// A machine whose free memory follows what its workers and others hold, so that over-commitment is
// seen. One thread only.
#pragma once

#include <algorithm>
#include <functional>

#include "resources/machine.h"
#include "testing/fake_processes.h"

namespace ingle::sim {

class SimMachine final : public resources::Machine {
 public:
  SimMachine(base::Loop& loop, testing::FakeProcesses& processes, std::uint64_t total)
      : total_bytes(total), loop_(loop), processes_(processes) {}

  base::Task<base::Result<resources::Readings>> read() override {
    std::ignore = co_await base::sleep_for(loop_, base::Millis(1));
    if (fails && fails()) co_return base::fail(base::ErrorCode::io_error, "no /proc");
    resources::Readings out;
    out.devices.push_back({.id = "host",
                           .name = "a processor",
                           .total_bytes = total_bytes,
                           .free_bytes = total_bytes - std::min(total_bytes, taken(false))});
    co_return out;
  }
  base::Task<base::Result<platform::MachineFacts>> facts() override {
    std::ignore = co_await base::sleep_for(loop_, base::Millis(1));
    co_return platform::MachineFacts{
        .cores_logical = 8, .cores_physical = 4, .ram_bytes_total = total_bytes};
  }

  // By others and by workers; their mapped files are needed, but free to the kernel.
  std::uint64_t taken(bool with_files) const {
    std::uint64_t out = others_bytes;
    for (const int pid : processes_.running_pids()) {
      const auto memory = processes_.memory_of(pid);
      out += memory.resident_bytes - (with_files ? 0 : memory.file_bytes);
    }
    return out;
  }

  const std::uint64_t total_bytes;
  std::uint64_t others_bytes = 0;
  std::function<bool()> fails{};  // whether the next reading fails; may be empty

 private:
  base::Loop& loop_;
  testing::FakeProcesses& processes_;
};

}  // namespace ingle::sim
