// The commands, one function each: they print what they found and return the exit code. Main
// thread; they block.
#pragma once

#include <string>

#include "cli/arguments.h"
#include "cli/terminal.h"
#include "platform/paths.h"

namespace ingle::cli {

// What every command is given.
struct Surroundings {
  platform::Environment environment;
  const char* const* variables = nullptr;  // "NAME=value", ended by nullptr
  Terminal terminal{};
};

int draw_image(const ImageArguments& arguments, const Surroundings& around);
int convert(const ConvertArguments& arguments, const Surroundings& around);
int run_model(const RunArguments& arguments, const Surroundings& around);
int list_models(const ListArguments& arguments, const Surroundings& around);
int list_residents(const ResidentsArguments& arguments, const Surroundings& around);
int show_system(const SystemArguments& arguments, const Surroundings& around);
int load_model(const LoadArguments& arguments, const Surroundings& around);
// 0: it would fit; 1: it would not, or something failed.
int can_run(const CanRunArguments& arguments, const Surroundings& around);
int unload_models(const UnloadArguments& arguments, const Surroundings& around);
int show(const ShowArguments& arguments, const Surroundings& around);
int print_logs(const LogsArguments& arguments, const Surroundings& around);
int manage_jobs(const JobsArguments& arguments, const Surroundings& around);
int run_benchmark(const BenchArguments& arguments, const Surroundings& around);
int calibrate(const CalibrateArguments& arguments, const Surroundings& around);
int show_config(const ConfigArguments& arguments, const Surroundings& around);
int manage_keys(const KeysArguments& arguments, const Surroundings& around);

}  // namespace ingle::cli
