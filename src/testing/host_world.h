// A model host with everything it needs, on virtual time: scripted workers, models by name, real
// files in a temporary folder. For tests and the simulation. One thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engines/model_host.h"
#include "testing/fake_files.h"
#include "testing/fake_kv_keep.h"
#include "testing/fake_loop.h"
#include "testing/fake_machine.h"
#include "testing/fake_processes.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::testing {

class HostWorld {
 public:
  // Room for one of the models at a time, and nobody is kept waiting for the sake of others.
  static engines::ModelHostOptions one_at_a_time() {
    return {.keep_alive = base::Seconds(300),
            .memory = {.ram_budget_bytes = 1ull << 30},
            .queue = {.longest_wait = base::Micros(0), .shortest_residency = base::Micros(0)}};
  }

  explicit HostWorld(engines::ModelHostOptions options = one_at_a_time()) {
    for (const auto* name : {"alpha", "beta", "gamma"}) add_model(name);
    options.run_folder = folder / "run";
    options.lease_folder = folder / "run/workers";
    options.text.llama_server = "/bin/true";
    host = engines::create_model_host(
        std::move(options),
        {.loop = loop,
         .lanes = lanes,
         .processes = processes,
         .client = processes.client(),
         .files = files,
         .find = [this](std::string_view name) { return find(name); },
         .machine = machine,
         .measurements = measurements,
         .kv = kv,
         .kept_settings =
             [this](std::string_view name) {
               return kept_settings ? kept_settings(name) : std::vector<std::string>{};
             },
         .on_event = [this](const protocol::ModelEvent& event) { events.push_back(event); },
         .on_decision =
             [this](const protocol::DecisionEvent& event) { decisions.push_back(event); },
         .on_queue = [this](const protocol::QueueEvent& event) { queues.push_back(event); },
         .log = base::Logger(log, loop.clock(), "test")});
  }

  void add_model(const std::string& name, protocol::ModelKind kind = protocol::ModelKind::text,
                 std::uint64_t weight_bytes = 600ull << 20) {
    const auto path = folder.write("models/" + name + ".gguf", "GGUF");
    catalog::ModelRecord record;
    record.info = {.id = name, .kind = kind, .path = path.native()};
    record.facts.layers = 2;
    record.facts.kv_heads = {2, 2};
    record.facts.key_length = record.facts.value_length = 64;
    record.facts.context_tokens_max = 2048;
    record.facts.weight_bytes = weight_bytes;
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
  FakeMachine machine{loop, 16ull << 30, 12ull << 30};
  FakeKvKeep kv{loop};
  resources::Measurements measurements;
  FakeFiles files;
  MemoryLog log;
  TempFolder folder;
  std::map<std::string, catalog::ModelRecord, std::less<>> models;
  std::function<std::vector<std::string>(std::string_view model)> kept_settings;  // may be empty
  std::vector<protocol::ModelEvent> events;
  std::vector<protocol::DecisionEvent> decisions;
  std::vector<protocol::QueueEvent> queues;
  std::unique_ptr<engines::ModelHost> host;
};

}  // namespace ingle::testing
