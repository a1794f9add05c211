// A model host with everything it needs, on virtual time: scripted workers, models by name, real
// files in a temporary folder. For tests and the simulation. One thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engines/model_host.h"
#include "testing/fake_files.h"
#include "testing/fake_loop.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::testing {

class HostWorld {
 public:
  explicit HostWorld(base::Micros keep_alive = base::Seconds(300), std::size_t waiters_max = 256) {
    for (const auto* name : {"alpha", "beta", "gamma"}) add_model(name);
    host = engines::create_model_host(
        {.run_folder = folder / "run",
         .lease_folder = folder / "run/workers",
         .text = {.llama_server = "/bin/true"},
         .keep_alive = keep_alive,
         .waiters_max = waiters_max},
        {.loop = loop,
         .lanes = lanes,
         .processes = processes,
         .client = processes.client(),
         .files = files,
         .find = [this](std::string_view name) { return find(name); },
         .machine = []() -> base::Result<platform::MachineFacts> {
           return platform::MachineFacts{.cores_logical = 8,
                                         .cores_physical = 4,
                                         .ram_bytes_total = 16ull << 30,
                                         .ram_bytes_available = 12ull << 30};
         },
         .on_event = [this](const protocol::ModelEvent& event) { events.push_back(event); },
         .log = base::Logger(log, loop.clock(), "test")});
  }

  void add_model(const std::string& name, protocol::ModelKind kind = protocol::ModelKind::text) {
    const auto path = folder.write("models/" + name + ".gguf", "GGUF");
    catalog::ModelRecord record;
    record.info = {.id = name, .kind = kind, .path = path.native()};
    record.facts.layers = 2;
    record.facts.kv_heads = {2, 2};
    record.facts.key_length = record.facts.value_length = 64;
    record.facts.context_tokens_max = 2048;
    record.facts.weight_bytes = 60ull << 20;
    models[name] = record;
  }
  std::filesystem::path model_file(std::string_view name) const {
    return folder / ("models/" + std::string(name) + ".gguf");
  }

  base::Result<catalog::ModelRecord> find(std::string_view name) const {
    const auto found = models.find(name);
    if (found == models.end()) return base::fail(base::ErrorCode::model_not_found, "no such model");
    return found->second;
  }

  // Waits for a lease, letting virtual time pass.
  base::Result<std::unique_ptr<engines::Lease>> acquire(std::string model,
                                                        engines::AcquireOptions options = {}) {
    return loop.run(host->acquire(std::move(model), std::move(options)));
  }
  void shut_down() { loop.run(host->shut_down()); }
  // The one resident's id, or "".
  std::string resident() const {
    const auto list = host->residents();
    return list.models.empty() ? "" : list.models.front().id;
  }

  FakeLoop loop;
  FakeLanes lanes{loop};
  FakeProcesses processes{loop};
  FakeFiles files;
  MemoryLog log;
  TempFolder folder;
  std::map<std::string, catalog::ModelRecord, std::less<>> models;
  std::vector<protocol::ModelEvent> events;
  std::unique_ptr<engines::ModelHost> host;
};

}  // namespace ingle::testing
