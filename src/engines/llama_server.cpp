#include "engines/llama_server.h"

#include <algorithm>
#include <array>
#include <format>

#include "protocol/json.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using base::LogLevel;
using protocol::Json;
using supervisor::Health;
using supervisor::OutputLine;

LogLevel level_of(std::string_view name) {
  return base::log_level_from_name(name).value_or(LogLevel::info);
}

// A line of the time before the log is set up, or from a library: the level must be guessed.
OutputLine guess(std::string_view line) {
  constexpr std::array kErrorMarks{"error", "GGML_ASSERT",        "terminate called",
                                   "fatal", "Segmentation fault", "what():"};
  for (const std::string_view mark : kErrorMarks)
    if (line.contains(mark)) return {LogLevel::error, std::string(line)};
  if (line.starts_with("warning")) return {LogLevel::warning, std::string(line)};
  return {LogLevel::info, std::string(line)};
}

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
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
  if (!line.starts_with('{')) return guess(line);
  const auto json = protocol::parse_json(line, {.depth_max = 16});
  if (!json) return guess(line);
  const auto text = [&](std::string_view key) -> std::string_view {
    const Json* member = json->find(key);
    const std::string* value = member ? member->as_string() : nullptr;
    return value ? std::string_view(*value) : std::string_view();
  };
  if (text("type") != "log") return OutputLine{LogLevel::debug, std::string(line)};
  std::string_view message = text("msg");
  while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
    message.remove_suffix(1);
  if (message.empty()) return std::nullopt;
  LogLevel level = level_of(text("level"));
  // What it tells of every request at level info would drown the rest.
  if (level == LogLevel::info && message.starts_with("slot ")) level = LogLevel::debug;
  return OutputLine{level, std::string(message)};
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
