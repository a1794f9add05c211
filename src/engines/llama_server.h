// LlamaServer: the Driver for llama-server on a unix socket. Its output is JSON lines
// ({"type":"log","level":"info","msg":"..."}), except for what it writes before its log is set up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catalog/catalog.h"
#include "engines/launch_settings.h"
#include "http/client.h"
#include "supervisor/driver.h"

namespace ingle::engines {

// Everything that is settled before a worker is spawned.
struct LaunchPlan {
  catalog::ModelRecord model{};
  LaunchSettings settings{};
  std::string executable{};
  std::filesystem::path socket{};
  std::vector<std::string> arguments{};
  std::string api_key{};  // the worker wants it as a Bearer token
  bool sandbox = true;
  std::vector<std::filesystem::path> readable{};  // besides the model's own files
  // Folder for saved conversations, which the worker may write; empty: none (kv_keep.h).
  std::filesystem::path kv_folder{};
  // What it takes: as predicted from the file, or as measured for the very same settings.
  resources::Footprint footprint{};
  // The same with what it may take over time: the cache of prompts.
  resources::Footprint reserved{};
  protocol::MemoryEstimate memory{};
  std::string measurement_key{};
  std::uint64_t memory_bytes_max = 0;  // of a control group of its own; 0: none
  base::Micros load_time{};            // expected, from spawn to ready
  int falls = 0;  // steps down that the settings have taken (LaunchRoom::falls)
  std::vector<std::pair<std::string, std::string>> environment{};
};

// What a ready worker says of itself; 0: it did not say.
struct EngineProps {
  std::int64_t context_tokens = 0;  // of one slot
  std::int64_t slots = 0;
};

class LlamaServer final : public supervisor::Driver {
 public:
  // The client outlives it.
  LlamaServer(LaunchPlan plan, http::Client& client);

  const std::string& engine() const override { return engine_; }
  platform::SpawnOptions spawn_options() const override;
  base::Task<base::Result<supervisor::Health>> probe(base::CancelToken cancel) override;
  std::optional<supervisor::OutputLine> read_line(std::string_view line) const override;
  bool is_news(const supervisor::OutputLine& line) const override;
  std::uint64_t resident_bytes_expected() const override;

  // Errors: those of Client::fetch, upstream_error.
  base::Task<base::Result<EngineProps>> props(base::CancelToken cancel);
  http::Endpoint endpoint() const { return http::UnixEndpoint{plan_.socket}; }

 private:
  base::Task<base::Result<http::Response>> get(std::string target, base::CancelToken cancel);

  const std::string engine_{"llama-server"};
  const LaunchPlan plan_;
  http::Client& client_;
};

// The files of a model: itself, and its further shards ("x-00001-of-00003.gguf").
std::vector<std::filesystem::path> model_files(const protocol::ModelInfo& model);

}  // namespace ingle::engines
