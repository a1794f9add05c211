// The words after `ingle`, as one struct per command. CLI11 stays in arguments.cpp. Pure but for
// the working folder, which relative paths are taken against.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/show.h"

namespace ingle::cli {

enum class Output { table, json };

struct RunArguments {
  std::string model;
  std::optional<std::string> prompt;  // none: from stdin, or a chat
  std::optional<std::string> system;
  std::optional<double> temperature;
  std::optional<std::int64_t> max_tokens;
  std::optional<std::int64_t> seed;
};

struct ListArguments {
  Output output = Output::table;
};

struct ResidentsArguments {
  Output output = Output::table;
};

struct SystemArguments {
  Output output = Output::table;
};

struct LoadArguments {
  std::string model;
  bool explain = false;
  std::vector<std::string> set;  // name=value
  std::optional<std::string> keep_alive;
  std::optional<bool> pin;  // none: as it is
};

struct CanRunArguments {
  std::string file;  // "-": stdin
  Output output = Output::table;
};

struct UnloadArguments {
  std::optional<std::string> model;  // none: all
};

struct ShowArguments {
  std::string what;  // a file, or the name of a model
  ShowForm form = ShowForm::card;
};

struct LogsArguments {
  bool follow = false;
  base::LogLevel level = base::LogLevel::trace;
  std::string grep;
  Output output = Output::table;
  std::int64_t count = 100;
};

struct JobsArguments {
  enum class Verb { list, show, follow, cancel } verb = Verb::list;
  std::string id;                    // but for list
  std::optional<std::string> state;  // of list: only these
  std::int64_t count = 20;           // of list
  Output output = Output::table;
};

struct BenchArguments {
  std::string model;
  std::vector<std::string> set;  // name=value
  std::optional<std::int64_t> prompt_tokens;
  std::optional<std::int64_t> generated_tokens;
  Output output = Output::table;
};

struct CalibrateArguments {
  std::string model;
  std::vector<std::string> set;  // name=value: these stay as they are
  std::optional<std::string> time;
  std::optional<std::int64_t> prompt_tokens;
  std::optional<std::int64_t> generated_tokens;
  bool apply = true;
  bool smaller_kv = false;
  enum class Verb { calibrate, show, forget } verb = Verb::calibrate;
  Output output = Output::table;
};

struct ConfigArguments {
  std::vector<config::Sources::Flag> flags;
  Output output = Output::table;
};

struct KeysArguments {
  enum class Verb { make, list, remove } verb = Verb::list;
  std::string name;
};

struct ImageArguments {
  std::string prompt;
  std::string output;  // file; "-": stdout; empty: the picture's own name
  std::string model;
  std::string size;  // WIDTHxHEIGHT, or one number
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> seed;
  std::int64_t count = 1;
  std::string negative;
  std::string sampler;
  std::optional<double> guidance;
  std::string image, mask;  // files
  std::optional<double> strength;
  std::string like;                     // picture file whose settings are taken over
  std::vector<std::string> adapters;    // NAME:WEIGHT, or NAME
  std::optional<std::int64_t> quality;  // of JPEG and WebP
  std::string show = "auto";            // how the terminal shows it
  std::vector<std::string> set;         // name=value
};

struct ConvertArguments {
  std::string source;  // a file or folder, or the name of a model
  std::string file;    // to write; empty: named after the source
  std::string type = "q8_0";
  std::vector<std::string> rules;  // PATTERN=TYPE
  std::optional<std::int64_t> threads;
  bool replace = false;
  Output output = Output::table;
};

struct VersionArguments {};

using Arguments =
    std::variant<ServeOptions, RunArguments, ListArguments, ResidentsArguments, SystemArguments,
                 LoadArguments, CanRunArguments, UnloadArguments, ShowArguments, LogsArguments,
                 JobsArguments, BenchArguments, CalibrateArguments, ConfigArguments, KeysArguments,
                 ImageArguments, ConvertArguments, VersionArguments>;

// Why there is nothing to run: help was asked for (0), or the usage was wrong (2).
struct ParseEnd {
  int exit_code = 0;
  std::string text;  // for stdout with 0, for stderr otherwise
};

std::expected<Arguments, ParseEnd> parse_arguments(const std::vector<std::string>& words);

}  // namespace ingle::cli
