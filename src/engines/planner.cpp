#include "engines/planner.h"

#include <unistd.h>

#include <array>
#include <format>

#include "engines/diffusion_worker.h"
#include "engines/picture_parts.h"
#include "engines/picture_settings.h"
#include "platform/system.h"
#include "supervisor/lease.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::array kPassedOn{"PATH",
                               "LANG",
                               "LC_ALL",
                               "TZ",
                               "LD_LIBRARY_PATH",
                               "CUDA_VISIBLE_DEVICES",
                               "HIP_VISIBLE_DEVICES",
                               "ROCR_VISIBLE_DEVICES",
                               "HSA_OVERRIDE_GFX_VERSION",
                               "GGML_VK_VISIBLE_DEVICES",
                               "VK_ICD_FILENAMES",
                               "VK_DRIVER_FILES",
                               "ZE_AFFINITY_MASK",
                               "ONEAPI_DEVICE_SELECTOR",
                               "INGLE_FAKE_SCRIPT"};

base::Result<std::string> fresh_key() {
  std::array<unsigned char, 24> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0)
    return fail(base::errno_error(errno, "reading random bytes"));
  std::string out;
  for (const auto byte : bytes) out += std::format("{:02x}", byte);
  return out;
}

bool draws(const protocol::ModelInfo& model) { return model.kind == protocol::ModelKind::image; }

// The model's own files and the parts that the settings chose.
base::Status check_files(platform::Files& files, const protocol::ModelInfo& model,
                         const LaunchSettings& settings) {
  auto paths = draws(model) ? std::vector{std::filesystem::path(model.path)} : model_files(model);
  for (const auto& setting : settings.explained)
    if (is_part_setting(setting.name)) paths.emplace_back(setting.value);
  for (const auto& path : paths)
    if (auto info = files.info(path); !info)
      return fail(ErrorCode::model_broken,
                  std::format("the file of '{}' cannot be read: {}. If it was moved or deleted, "
                              "put it back or scan again (POST /api/v1/scan)",
                              model.id, info.error().message));
  return {};
}

base::Result<LaunchSettings> derive_settings(const catalog::ModelRecord& model,
                                             const LaunchRoom& room,
                                             const ModelHostOptions& options,
                                             const std::vector<std::string>& set) {
  if (draws(model.info)) return derive_picture_settings(model, room, options.images, set);
  return derive_launch_settings(model.facts, model.info.kind, room, options.text, set);
}

base::Result<std::string> find_picture_engine(const ModelHostOptions& options) {
  const auto& given = options.images.worker;
  const auto beside = std::filesystem::path(platform::own_executable()).parent_path();
  auto found = platform::find_executable(
      given.empty() ? (beside / "ingle-diffusion").native() : given, options.path_variable);
  if (found) return found;
  return fail(ErrorCode::spawn_failed,
              given.empty()
                  ? "ingle-diffusion does not lie beside ingle: install it there, or name "
                    "it with images.worker"
                  : std::format("images.worker names '{}', which cannot be run: {}", given,
                                found.error().message));
}

base::Result<std::string> find_engine(const ModelHostOptions& options,
                                      const protocol::ModelInfo& model) {
  if (draws(model)) return find_picture_engine(options);
  const bool configured = !options.text.llama_server.empty();
  auto found = platform::find_executable(
      configured ? options.text.llama_server : std::string("llama-server"), options.path_variable);
  if (found) return found;
  return fail(ErrorCode::spawn_failed,
              configured
                  ? std::format("text.llama_server names '{}', which cannot be run: {}",
                                options.text.llama_server, found.error().message)
                  : "llama-server is not in PATH: install it (apt-get install llama.cpp), or name "
                    "one with text.llama_server");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> worker_environment(
    const platform::Environment& environment) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const char* name : kPassedOn)
    if (auto value = environment(name)) out.emplace_back(name, *std::move(value));
  out.emplace_back("CUDA_DEVICE_ORDER", "PCI_BUS_ID");  // the order of the readings
  return out;
}

base::Result<LaunchPlan> Planner::plan_blocking(const catalog::ModelRecord& model,
                                                const std::vector<std::string>& set,
                                                const LaunchRoom& room,
                                                const std::string& socket_name) const {
  TRY_ASSIGN(auto executable, find_engine(options_, model.info));
  TRY_ASSIGN(auto settings, derive_settings(model, room, options_, set));
  TRY(check_files(seams_.files, model.info, settings));
  TRY_ASSIGN(const auto folder, supervisor::socket_folder(options_.run_folder, seams_.files));
  TRY_ASSIGN(auto key, fresh_key());
  LaunchPlan out{.model = model,
                 .settings = std::move(settings),
                 .executable = std::move(executable),
                 .socket = folder / socket_name,
                 .api_key = std::move(key),
                 .sandbox = options_.text.sandbox,
                 .environment = options_.environment};
  if (draws(model.info)) out.readable = options_.model_folders;
  finish(out, {});
  return out;
}

void Planner::finish(LaunchPlan& plan, std::filesystem::path kv_folder) const {
  plan.kv_folder = std::move(kv_folder);
  if (draws(plan.model.info)) {
    plan.arguments = diffusion_arguments(plan.settings, plan.model.info, plan.socket);
    return;
  }
  const bool debug = seams_.log.keeps(base::LogLevel::debug);
  plan.arguments =
      llama_server_arguments(plan.settings, plan.model.info, plan.model.facts, plan.socket,
                             debug ? EngineLog::full : EngineLog::brief, plan.kv_folder);
}

base::Task<base::Result<LaunchPlan>> Planner::plan(catalog::ModelRecord model,
                                                   std::vector<std::string> set, LaunchRoom room,
                                                   bool with_files) {
  if (!with_files) {
    CO_TRY_ASSIGN(auto settings, derive_settings(model, room, options_, set));
    co_return LaunchPlan{.model = std::move(model), .settings = std::move(settings)};
  }
  // Unlike any earlier one's, also of an earlier daemon whose worker could not be reaped.
  const auto since_boot =
      std::chrono::floor<base::Millis>(seams_.loop.clock().mono_now().time_since_epoch());
  const std::string name = std::format("{:x}-{}.sock", since_boot.count(), ++sockets_);
  co_return co_await base::run_on(seams_.lanes, seams_.loop, base::Lane::interactive,
                                  "plan a model's launch",
                                  [&] { return plan_blocking(model, set, room, name); });
}

}  // namespace ingle::engines
