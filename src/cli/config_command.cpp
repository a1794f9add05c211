// config show.
#include "cli/commands.h"
#include "cli/terminal.h"
#include "config/gather.h"
#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using config::Origin;

const char* layer_name(Origin::Layer layer) {
  switch (layer) {
    case Origin::Layer::default_value:
      return "default";
    case Origin::Layer::file:
      return "file";
    case Origin::Layer::environment:
      return "environment";
    case Origin::Layer::flag:
      return "flag";
  }
  return "default";
}

std::string as_json(const config::Loaded& loaded) {
  protocol::Json::Array entries;
  for (const auto& entry : loaded.entries)
    entries.push_back(protocol::Json::Object{{"key", entry.key},
                                             {"value", entry.value},
                                             {"layer", layer_name(entry.origin.layer)},
                                             {"from", entry.origin.detail},
                                             {"doc", entry.doc}});
  return protocol::print_json_pretty(entries) + "\n";
}

// It reads back as TOML: where a value comes from stands in a comment.
std::string as_toml(const config::Loaded& loaded, bool colour) {
  int key_width = 0, value_width = 0;
  for (const auto& entry : loaded.entries) {
    key_width = std::max(key_width, display_width(entry.key));
    value_width = std::max(value_width, std::min(40, display_width(entry.value)));
  }
  const auto padded = [](const std::string& text, int width) {
    return text +
           std::string(static_cast<std::size_t>(std::max(0, width - display_width(text))), ' ');
  };
  std::string out;
  for (const auto& entry : loaded.entries) {
    const auto& detail = entry.origin.detail;
    const auto from = "# " + (detail.empty() ? std::string("default") : detail);
    const bool plain = entry.origin.layer == Origin::Layer::default_value;
    out += padded(entry.key, key_width) + " = " + padded(entry.value, value_width) + "  " +
           styled(from, plain ? Style::dim : Style::bold, colour) + "\n";
  }
  return out;
}

}  // namespace

int show_config(const ConfigArguments& arguments, const Surroundings& around) {
  const auto home = platform::resolve_home(around.environment);
  if (!home) return print_error(home.error());
  const auto sources =
      config::gather(*home, *platform::create_files(), around.variables, arguments.flags);
  if (!sources) return print_error(sources.error());
  const auto loaded = config::load(*sources);
  if (!loaded) return print_error(loaded.error());
  print_out(arguments.output == Output::json ? as_json(*loaded)
                                             : as_toml(*loaded, around.terminal.out_colour));
  return 0;
}

}  // namespace ingle::cli
