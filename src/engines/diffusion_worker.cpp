#include "engines/diffusion_worker.h"

#include <format>

#include "engines/engine_output.h"
#include "engines/picture_parts.h"

namespace ingle::engines {

using base::ErrorCode;
using base::fail;
using supervisor::Health;

platform::SpawnOptions DiffusionWorker::spawn_options() const {
  platform::SpawnOptions out{.executable = plan_.executable,
                             .arguments = plan_.arguments,
                             .environment = plan_.environment};
  out.environment.emplace_back("INGLE_WORKER_KEY", plan_.api_key);
  // Libraries look for a home to keep caches in; the sandbox lets them have none.
  out.environment.emplace_back("HOME", plan_.socket.parent_path().native());
  out.memory_bytes_max = plan_.memory_bytes_max;
  out.sandbox.enabled = plan_.sandbox;
  out.sandbox.read = picture_model_paths(plan_.model.info);
  const auto parts = part_paths(plan_.settings);
  out.sandbox.read.insert(out.sandbox.read.end(), parts.begin(), parts.end());
  out.sandbox.read.insert(out.sandbox.read.end(), plan_.readable.begin(), plan_.readable.end());
  out.sandbox.write = {plan_.socket.parent_path()};
  return out;
}

base::Task<base::Result<Health>> DiffusionWorker::probe(base::CancelToken cancel) {
  http::Request request{.method = http::Method::get, .target = "/health"};
  CO_TRY_ASSIGN(const auto answer, co_await client_.fetch(http::UnixEndpoint{plan_.socket},
                                                          std::move(request), std::move(cancel)));
  if (answer.status == 200) co_return Health::ready;
  if (answer.status == 503) co_return Health::loading;
  co_return fail(ErrorCode::upstream_error,
                 std::format("ingle-diffusion answered its health with status {}", answer.status));
}

std::optional<supervisor::OutputLine> DiffusionWorker::read_line(std::string_view line) const {
  return read_engine_line(line);
}

bool DiffusionWorker::is_news(const supervisor::OutputLine& line) const {
  return line.message.starts_with("model loaded") || line.message.starts_with("listening on");
}

std::uint64_t DiffusionWorker::resident_bytes_expected() const {
  // Room for drawing is taken with the first picture only.
  std::uint64_t out = 0;
  for (const auto& piece : plan_.settings.footprint.pieces)
    if (piece.device == resources::kHost && piece.kind != protocol::MemoryKind::compute)
      out += piece.bytes;
  return out;
}

std::vector<std::filesystem::path> picture_model_paths(const protocol::ModelInfo& model) {
  const std::filesystem::path path(model.path);
  if (path.filename() != catalog::kModelIndex) return {path};
  const auto folder = path.parent_path();
  std::vector<std::filesystem::path> out{folder};
  if (folder.parent_path().filename() == "snapshots")
    out.push_back(folder.parent_path().parent_path() / "blobs");
  return out;
}

}  // namespace ingle::engines
