#include "engines/memory_rig_test.h"

#include <algorithm>
#include <format>

#include "base/clock.h"
#include "engines/launch_settings.h"
#include "engines/llama_server.h"
#include "gguf/facts.h"
#include "platform/files.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;

constexpr auto kPath = "/usr/local/bin:/usr/bin:/bin";
constexpr base::Millis kReadyPoll{20};
constexpr int kReadyPolls = 6000;
// Prompts come in pieces, like a conversation's.
constexpr std::int64_t kPromptPiece = 128;
constexpr std::int64_t kGenerated = 8;
constexpr int kFirstToken = 300;  // the ones before are single bytes
constexpr int kTokenRange = 300;

std::string token_prompt(std::int64_t tokens, std::int64_t slot) {
  std::string out;
  for (std::int64_t i = 0; i < tokens; ++i)
    out +=
        std::format("{}{}", i == 0 ? "" : ",", kFirstToken + (i * 31 + slot * 7919) % kTokenRange);
  return out;
}

}  // namespace

MemoryRig::MemoryRig()
    : processes_(platform::create_processes(real_.loop, real_.lanes)),
      client_(http::Client::create(real_.loop, {})) {}

base::Status MemoryRig::make(const MemoryCase& what) {
  const auto path = folder_ / "model.gguf";
  TRY_ASSIGN(const auto sample, gguf_writer::make_sample(what.sample));
  TRY(sample.write(path));
  TRY_ASSIGN(auto facts, gguf::read_facts(path));
  record_ = {.info = {.id = "m", .kind = what.kind, .path = path.native()},
             .facts = std::move(facts)};
  return {};
}

base::Result<MemoryOutcome> MemoryRig::measure(const MemoryCase& what) {
  TRY_ASSIGN(const auto machine, platform::read_machine());
  LaunchPlan plan{.model = record_, .api_key = "key", .environment = {{"PATH", kPath}}};
  TRY_ASSIGN(plan.executable, platform::find_executable("llama-server", kPath));
  TRY_ASSIGN(plan.settings,
             derive_launch_settings(record_.facts, what.kind, {.machine = machine}, {}, what.set));
  plan.socket = folder_ / std::format("{}.sock", ++sockets_);
  plan.arguments = llama_server_arguments(plan.settings, plan.model.info, plan.model.facts,
                                          plan.socket, EngineLog::brief);
  output_.clear();
  ended_ = false;
  const LlamaServer driver(plan, *client_);
  TRY_ASSIGN(
      const auto process,
      real_.run(processes_->spawn(
          driver.spawn_options(),
          {.on_line = [this](std::string_view line) { output_ += std::format("{}\n", line); },
           .on_exit =
               [this](platform::ExitStatus status) {
                 output_ += "it " + status.text();
                 ended_ = true;
               }})));
  TRY(wait_until_ready(plan));
  TRY_ASSIGN(const auto loaded, real_.run(process->memory()));
  for (std::int64_t slot = 0; slot < plan.settings.parallel; ++slot) TRY(use_slot(plan, slot));
  TRY_ASSIGN(const auto used, real_.run(process->memory()));
  MemoryOutcome out{.settings = plan.settings,
                    .file_bytes = std::filesystem::file_size(record_.info.path),
                    .predicted_bytes = plan.settings.footprint.on(resources::kHost),
                    .loaded_bytes = loaded.resident_bytes,
                    .used_bytes = used.resident_bytes,
                    .used_file_bytes = used.file_bytes};
  return out;
}

base::Status MemoryRig::wait_until_ready(const LaunchPlan& plan) {
  for (int i = 0; i < kReadyPolls && !ended_; ++i) {
    const auto answer =
        real_.run(client_->fetch(http::UnixEndpoint{plan.socket}, {.target = "/health"}, {}));
    if (answer && answer->status == 200) return {};
    TRY(real_.run(base::sleep_for(real_.loop, kReadyPoll)));
  }
  return fail(ErrorCode::load_failed, std::format("it did not become ready:\n{}", output_));
}

base::Status MemoryRig::use_slot(const LaunchPlan& plan, std::int64_t slot) {
  const auto half = plan.settings.context_tokens / 2;
  if (plan.model.info.kind != protocol::ModelKind::text)
    return post(plan, "/embedding", std::format(R"({{"content":[{}]}})", token_prompt(half, slot)));
  const auto piece = std::max(kPromptPiece, plan.settings.ubatch_tokens);
  for (auto tokens = std::min(piece, half);; tokens = std::min(tokens + piece, half)) {
    TRY(post(plan, "/completion",
             std::format(R"({{"prompt":[{}],"n_predict":{},"ignore_eos":true,"id_slot":{}}})",
                         token_prompt(tokens, slot), tokens == half ? kGenerated : 0, slot)));
    if (tokens == half) return {};
  }
}

base::Status MemoryRig::post(const LaunchPlan& plan, std::string target, std::string body) {
  http::Request request{.method = http::Method::post,
                        .target = std::move(target),
                        .headers = {{"Authorization", "Bearer " + plan.api_key},
                                    {"Content-Type", "application/json"}},
                        .body = std::move(body)};
  // A large model takes longer than a test's task may, so it runs beside short ones.
  std::optional<base::Result<http::Response>> fetched;
  base::TaskScope scope;
  scope.spawn([](auto fetch, auto& out) -> base::Task<void> {
    out.emplace(co_await std::move(fetch));
  }(client_->fetch(http::UnixEndpoint{plan.socket}, std::move(request), {}), fetched));
  while (!fetched) (void)real_.run(base::sleep_for(real_.loop, kReadyPoll));
  TRY_ASSIGN(const auto answer, *std::move(fetched));
  if (answer.status == 200) return {};
  return fail(ErrorCode::upstream_error,
              std::format("status {}: {}\n{}", answer.status, answer.body, output_));
}

}  // namespace ingle::engines
