// DiffusionWorker: the Driver for ingle-diffusion on a unix socket (protocol/drawing.h).
#pragma once

#include "engines/llama_server.h"
#include "http/client.h"
#include "supervisor/driver.h"

namespace ingle::engines {

class DiffusionWorker final : public supervisor::Driver {
 public:
  // The client outlives it.
  DiffusionWorker(LaunchPlan plan, http::Client& client)
      : plan_(std::move(plan)), client_(client) {}

  const std::string& engine() const override { return engine_; }
  platform::SpawnOptions spawn_options() const override;
  base::Task<base::Result<supervisor::Health>> probe(base::CancelToken cancel) override;
  std::optional<supervisor::OutputLine> read_line(std::string_view line) const override;
  bool is_news(const supervisor::OutputLine& line) const override;
  std::uint64_t resident_bytes_expected() const override;

 private:
  const std::string engine_{"ingle-diffusion"};
  const LaunchPlan plan_;
  http::Client& client_;
};

// What the worker may read of a picture model: its folder or file, and, in a hub's cache, the
// folder that its files are links into.
std::vector<std::filesystem::path> picture_model_paths(const protocol::ModelInfo& model);

}  // namespace ingle::engines
