// ls, ps, load and unload.
#include <algorithm>
#include <array>
#include <format>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/json_answer.h"
#include "cli/plan_text.h"
#include "cli/residents_text.h"
#include "cli/table.h"
#include "insight/escape.h"
#include "platform/asio_loop.h"
#include "protocol/models.h"

namespace ingle::cli {
namespace {

using Align = Column::Align;

// "7.6 B", "152 M": parameters are counted in thousands.
std::string parameters_text(std::int64_t count) {
  if (count <= 0) return "-";
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return std::format("{:.1f} B", value / 1e9);
  if (value >= 1e6) return std::format("{:.0f} M", value / 1e6);
  return std::format("{:.0f} K", value / 1e3);
}

std::string bytes_text(std::int64_t bytes) {
  return bytes <= 0 ? "-" : base::format_bytes(static_cast<std::uint64_t>(bytes));
}

// Enum values by their names on the wire.
constexpr std::array kKinds{"text",    "embedding", "reranker", "projector",
                            "adapter", "unknown",   "image",    "component"};
constexpr std::array kModelStates{"usable", "incomplete", "broken"};

template <class E, std::size_t N>
std::string name_of(const std::array<const char*, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

std::string state_text(const protocol::ModelInfo& model) {
  const auto state = name_of(kModelStates, model.state);
  if (!model.problem.empty()) return state + ": " + model.problem;
  if (model.source == protocol::ModelSource::starter) return state + ", came with ingle";
  if (model.kind != protocol::ModelKind::component) return state;
  std::string users;
  for (const auto& user : model.used_by) users += (users.empty() ? "used by " : ", ") + user;
  return users.empty() ? "not used" : users;
}

void print_models(const protocol::ModelList& list, const Terminal& terminal) {
  Table table({{.title = "NAME"},
               {.title = "KIND"},
               {Align::right, "SIZE"},
               {Align::right, "PARAMETERS"},
               {.title = "QUANTISATION"},
               {Align::right, "CONTEXT"},
               {.title = "STATE"}});
  for (const auto& model : list.models)
    table.add({model.id, name_of(kKinds, model.kind), bytes_text(model.size_bytes),
               parameters_text(model.parameters),
               model.quantization.empty() ? "-" : model.quantization,
               model.context_tokens_max > 0 ? std::to_string(model.context_tokens_max) : "-",
               state_text(model)});
  if (!table.empty()) print_out(table.text(terminal.out_columns));
  if (list.scanning) print_err("ingle: the folders are still being searched; more may come\n");
  const bool has_own = std::ranges::any_of(list.models, [](const protocol::ModelInfo& model) {
    return model.source == protocol::ModelSource::user;
  });
  if (has_own || list.scanning) return;
  std::string folders;
  for (const auto& folder : list.folders) folders += "\n  " + insight::escape_line(folder);
  print_err(
      "ingle: no models in the folders searched; put GGUF files into one of them, or start "
      "the daemon with --models DIR" +
      folders + "\n");
}

}  // namespace

int list_models(const ListArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  if (arguments.output == Output::json) return print_json_answer(*client, "/api/v1/models");
  const auto list = get_as<protocol::ModelList>(*client, "/api/v1/models");
  if (!list) return print_error(list.error());
  print_models(*list, around.terminal);
  return 0;
}

int list_residents(const ResidentsArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  if (arguments.output == Output::json) return print_json_answer(*client, "/api/v1/ps");
  const auto list = get_as<protocol::ResidentList>(*client, "/api/v1/ps");
  if (!list) return print_error(list.error());
  const auto now = platform::SystemClock().wall_now().time_since_epoch();
  const auto now_ms = std::chrono::duration_cast<base::Millis>(now).count();
  const auto text = residents_text(*list, now_ms, around.terminal.out_columns);
  if (list->models.empty())
    print_err("ingle: no model is loaded; the next request loads one, and so does 'ingle load'\n");
  print_out(text);
  return 0;
}

int load_model(const LoadArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  const auto result =
      post_as<protocol::LoadResult>(*client, "/api/v1/load",
                                    protocol::LoadRequest{.model = arguments.model,
                                                          .explain = arguments.explain,
                                                          .set = arguments.set,
                                                          .keep_alive = arguments.keep_alive,
                                                          .pin = arguments.pin});
  if (!result) return print_error(result.error());
  if (arguments.explain) {
    print_out(plan_text(result->plan, around.terminal.out_columns));
    return 0;
  }
  const auto name = insight::escape_line(result->model);
  for (const auto& eviction : result->plan.evictions)
    print_out("moved aside: " + insight::escape_line(eviction.model) + ", " +
              bytes_text(eviction.bytes) + "\n");
  const std::string pinned = arguments.pin ? *arguments.pin ? "; pinned" : "; not pinned" : "";
  if (result->already_loaded) {
    print_out(name + " was loaded already" + pinned + "\n");
    return 0;
  }
  const base::Micros took(static_cast<std::int64_t>(result->load_ms * 1e3));
  print_out(name + " is loaded, in " + base::format_duration(took) + pinned + "\n");
  return 0;
}

int unload_models(const UnloadArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  const auto result = post_as<protocol::UnloadResult>(
      *client, "/api/v1/unload", protocol::UnloadRequest{.model = arguments.model});
  if (!result) return print_error(result.error());
  for (const auto& name : result->models) print_out(insight::escape_line(name) + " is unloaded\n");
  if (result->models.empty()) print_err("ingle: nothing was loaded\n");
  if (result->freed_bytes > 0) print_out(bytes_text(result->freed_bytes) + " of memory freed\n");
  return 0;
}

}  // namespace ingle::cli
