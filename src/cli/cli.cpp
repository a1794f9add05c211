#include "cli/cli.h"

#include <unistd.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"

namespace ingle::cli {
namespace {

// Which function runs which command.
struct Dispatch {
  const CommandHooks& hooks;
  const Surroundings& around;

  int operator()(ServeOptions& options) const { return hooks.serve(std::move(options)); }
  int operator()(const RunArguments& arguments) const { return run_model(arguments, around); }
  int operator()(const ImageArguments& arguments) const { return draw_image(arguments, around); }
  int operator()(const ConvertArguments& arguments) const { return convert(arguments, around); }
  int operator()(const ListArguments& arguments) const { return list_models(arguments, around); }
  int operator()(const ResidentsArguments& arguments) const {
    return list_residents(arguments, around);
  }
  int operator()(const SystemArguments& arguments) const { return show_system(arguments, around); }
  int operator()(const LoadArguments& arguments) const { return load_model(arguments, around); }
  int operator()(const CanRunArguments& arguments) const { return can_run(arguments, around); }
  int operator()(const UnloadArguments& arguments) const {
    return unload_models(arguments, around);
  }
  int operator()(const ShowArguments& arguments) const { return show(arguments, around); }
  int operator()(const LogsArguments& arguments) const { return print_logs(arguments, around); }
  int operator()(const JobsArguments& arguments) const { return manage_jobs(arguments, around); }
  int operator()(const BenchArguments& arguments) const { return run_benchmark(arguments, around); }
  int operator()(const CalibrateArguments& arguments) const { return calibrate(arguments, around); }
  int operator()(const ConfigArguments& arguments) const { return show_config(arguments, around); }
  int operator()(const KeysArguments& arguments) const { return manage_keys(arguments, around); }
  int operator()(const VersionArguments&) const {
    print_out("ingle " + hooks.version + "\n");
    return 0;
  }
};

}  // namespace

int run(int argc, char** argv, const CommandHooks& hooks) {
  auto parsed = parse_arguments(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!parsed) {
    (parsed.error().exit_code == 0 ? print_out : print_err)(parsed.error().text);
    return parsed.error().exit_code;
  }
  Surroundings around{.environment = platform::process_environment(), .variables = environ};
  around.terminal = look_at_terminal(around.environment);
  return std::visit(Dispatch{hooks, around}, *parsed);
}

}  // namespace ingle::cli
