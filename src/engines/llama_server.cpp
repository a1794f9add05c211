#include "engines/llama_server.h"

#include <algorithm>
#include <format>

#include "engines/engine_output.h"
#include "protocol/json.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;
using supervisor::Health;
using supervisor::OutputLine;

}  // namespace

LlamaServer::LlamaServer(LaunchPlan plan, http::Client& client)
    : plan_(std::move(plan)), client_(client) {}

platform::SpawnOptions LlamaServer::spawn_options() const {
  platform::SpawnOptions out{.executable = plan_.executable,
                             .arguments = plan_.arguments,
                             .environment = plan_.environment};
  out.environment.emplace_back("LLAMA_API_KEY", plan_.api_key);
  // It looks for a home to keep a cache in; the sandbox lets it have none.
  out.environment.emplace_back("HOME", plan_.socket.parent_path().native());
  out.memory_bytes_max = plan_.memory_bytes_max;
  out.sandbox.enabled = plan_.sandbox;
  out.sandbox.read = model_files(plan_.model.info);
  out.sandbox.write = {plan_.socket.parent_path()};
  if (!plan_.kv_folder.empty()) out.sandbox.write.push_back(plan_.kv_folder);
  return out;
}

base::Task<base::Result<http::Response>> LlamaServer::get(std::string target,
                                                          base::CancelToken cancel) {
  http::Request request{.method = http::Method::get, .target = std::move(target)};
  request.headers.add("Authorization", "Bearer " + plan_.api_key);
  co_return co_await client_.fetch(endpoint(), std::move(request), std::move(cancel));
}

base::Task<base::Result<Health>> LlamaServer::probe(base::CancelToken cancel) {
  CO_TRY_ASSIGN(const auto answer, co_await get("/health", std::move(cancel)));
  if (answer.status == 200) co_return Health::ready;
  if (answer.status == 503) co_return Health::loading;
  co_return fail(ErrorCode::upstream_error,
                 std::format("llama-server answered its health with status {}", answer.status));
}

base::Task<base::Result<EngineProps>> LlamaServer::props(base::CancelToken cancel) {
  CO_TRY_ASSIGN(const auto answer, co_await get("/props", std::move(cancel)));
  if (answer.status != 200)
    co_return fail(ErrorCode::upstream_error,
                   std::format("llama-server answered /props with status {}", answer.status));
  CO_TRY_ASSIGN(const Json json, protocol::parse_json(answer.body));
  EngineProps out;
  if (const Json* generation = json.find("default_generation_settings"))
    if (const Json* context = generation->find("n_ctx"))
      out.context_tokens = context->as_int().value_or(0);
  if (const Json* slots = json.find("total_slots")) out.slots = slots->as_int().value_or(0);
  co_return out;
}

std::optional<OutputLine> LlamaServer::read_line(std::string_view line) const {
  return read_engine_line(line);
}

bool LlamaServer::is_news(const OutputLine& line) const {
  return line.message.ends_with("model loaded") || line.message.contains("listening on");
}

std::uint64_t LlamaServer::resident_bytes_expected() const {
  return plan_.settings.footprint.on(resources::kHost);
}

std::vector<std::filesystem::path> model_files(const protocol::ModelInfo& model) {
  std::vector<std::filesystem::path> out{model.path};
  const std::string first = std::format("-00001-of-{:05}.gguf", model.file_count);
  if (model.file_count < 2 || !model.path.ends_with(first)) return out;
  const std::string stem = model.path.substr(0, model.path.size() - first.size());
  for (std::int64_t i = 2; i <= std::min<std::int64_t>(model.file_count, 1000); ++i)
    out.emplace_back(std::format("{}-{:05}-of-{:05}.gguf", stem, i, model.file_count));
  return out;
}

}  // namespace ingle::engines
