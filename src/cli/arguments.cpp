#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <array>

#include "base/near_names.h"
#include "config/value.h"

namespace ingle::cli {
namespace {

constexpr std::array kVerbs{"image", "convert", "jobs",   "bench",   "calibrate", "serve",  "run",
                            "ls",    "ps",      "system", "load",    "can-run",   "unload", "show",
                            "logs",  "config",  "keys",   "version", "help",      "--help"};

// A flag of `serve` that sets one key of the configuration.
struct KeyFlag {
  const char *flag, *key, *help;
};
constexpr std::array kServeFlags{
    KeyFlag{"--host", "server.host", "Address to listen on"},
    KeyFlag{"--port", "server.port", "Port to listen on; 0 picks a free one"},
    KeyFlag{"--unix", "server.unix_path", "Unix socket to listen on as well"},
    KeyFlag{"--drain-timeout", "server.drain_timeout", "Longest wait for requests at the stop"},
    KeyFlag{"--log-level", "log.level", "trace, debug, info, warning or error"},
};

std::string absolute(const std::string& path) {
  std::error_code ignored;
  const auto out = std::filesystem::absolute(path, ignored);
  return ignored ? path : out.lexically_normal().string();
}

// What CLI11 writes into while it parses, before one command's struct is made of it.
struct Parsed {
  std::array<std::string, kServeFlags.size()> key_flags;
  std::vector<std::string> models;
  std::vector<std::string> sets;
  bool profile_startup = false;
  RunArguments run;
  LoadArguments load;
  std::string model;
  bool all = false;
  std::string what;
  bool pin = false, unpin = false;
  bool json = false, tensors = false, raw = false;
  LogsArguments logs;
  std::string level;
  std::string key_name;
  JobsArguments jobs;
  BenchArguments bench;
  CalibrateArguments calibrate;
  ImageArguments image;
  ConvertArguments convert;
  bool no_apply = false, show = false, forget = false;
};

struct Commands {
  CLI::App app{"A local generative-AI host.", "ingle"};
  Parsed parsed;
  CLI::App *serve = nullptr, *run = nullptr, *list = nullptr, *residents = nullptr,
           *system = nullptr;
  CLI::App *load = nullptr, *can_run = nullptr, *unload = nullptr, *show = nullptr, *logs = nullptr;
  CLI::App *config = nullptr, *config_show = nullptr, *version = nullptr;
  CLI::App *jobs = nullptr, *jobs_list = nullptr, *jobs_show = nullptr, *jobs_follow = nullptr;
  CLI::App *jobs_cancel = nullptr, *bench = nullptr, *calibrate = nullptr;
  CLI::App *image = nullptr, *convert = nullptr;
  CLI::App *keys = nullptr, *keys_new = nullptr, *keys_list = nullptr, *keys_remove = nullptr;
};

void add_sets(CLI::App* command, Parsed& parsed) {
  command
      ->add_option_function<std::vector<std::string>>(
          "--set", [&parsed](const std::vector<std::string>& sets) { parsed.sets = sets; },
          "Set a key of the configuration, as server.port=8080")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_serve(Commands& c) {
  c.serve = c.app.add_subcommand("serve", "Start the daemon");
  for (std::size_t i = 0; i < kServeFlags.size(); ++i)
    c.serve->add_option(kServeFlags[i].flag, c.parsed.key_flags[i], kServeFlags[i].help);
  c.serve->add_option("--models", c.parsed.models, "A folder with models (repeatable)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  add_sets(c.serve, c.parsed);
  c.serve->add_flag("--profile-startup", c.parsed.profile_startup, "Print the start-up's phases");
}

void add_run(Commands& c) {
  c.run = c.app.add_subcommand("run", "Ask a model, or chat with it");
  auto& run = c.parsed.run;
  c.run->add_option("model", run.model, "Name of the model")->required();
  c.run->add_option("prompt", run.prompt, "What to ask; without it stdin, or a chat");
  c.run->add_option("--system", run.system, "System prompt");
  c.run->add_option("--temperature", run.temperature, "Randomness, 0 to 2")
      ->check(CLI::Range(0.0, 2.0));
  c.run->add_option("--max-tokens", run.max_tokens, "Longest answer, in tokens")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  c.run->add_option("--seed", run.seed, "Seed of the randomness");
}

void add_image(Commands& c) {
  auto& image = c.parsed.image;
  c.image = c.app.add_subcommand("image", "Draw a picture");
  c.image->add_option("prompt", image.prompt, "What it shows; may be left out with --like");
  c.image
      ->add_option("-o,--output", image.output, "File to write (.png, .jpg, .webp); - for stdout")
      ->type_name("FILE|-");
  c.image->add_option("-m,--model", image.model, "Name of the model; without it the only one");
  c.image->add_option("--size", image.size, "Size in pixels, as 512x768")->type_name("WxH");
  c.image->add_option("--steps", image.steps, "Steps of the sampler")->check(CLI::Range(1, 1000));
  c.image->add_option("--seed", image.seed, "Seed of the first picture")
      ->check(CLI::Range(std::int64_t{0}, (std::int64_t{1} << 53) - 65));
  c.image->add_option("-n,--n,--count", image.count, "How many pictures (1)")
      ->check(CLI::Range(1, 64));
  c.image->add_option("--negative", image.negative, "What to avoid");
  c.image->add_option("--sampler", image.sampler, "Sampler, such as euler or dpmpp_2m");
  c.image->add_option("--guidance", image.guidance, "How closely to follow the prompt")
      ->check(CLI::Range(0.0, 100.0));
  auto* from = c.image->add_option("--image", image.image, "Picture to begin with (a file)");
  c.image
      ->add_option("--mask", image.mask, "Where it is white, the picture is painted anew (a file)")
      ->needs(from);
  c.image
      ->add_option("--strength", image.strength, "How much of the picture changes, 0 to 1 (0.75)")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(from);
  c.image
      ->add_option("--like", image.like,
                   "Picture file whose settings are used where none are given here")
      ->type_name("FILE");
  c.image->add_option("--lora", image.adapters, "Adapter to add, with its weight (1) (repeatable)")
      ->type_name("NAME[:WEIGHT]")
      ->allow_extra_args(false);
  c.image
      ->add_option("--quality", image.quality, "Quality of JPEG and WebP; WebP with 100 is exact")
      ->check(CLI::Range(1, 100));
  c.image->add_option("--show", image.show, "How the terminal shows it (auto)")
      ->check(CLI::IsMember({"auto", "never", "kitty", "iterm", "sixel", "blocks"}));
  c.image->add_option("--set", image.set, "Use a setting as given (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

void add_convert(Commands& c) {
  auto& convert = c.parsed.convert;
  c.convert = c.app.add_subcommand("convert", "Write a picture model as one GGUF file, quantised");
  c.convert
      ->add_option("source", convert.source,
                   "A diffusers folder, a part of one, a safetensors or GGUF file, or the name of "
                   "a model")
      ->type_name("FILE|DIR|MODEL")
      ->required();
  c.convert->add_option("-o,--output", convert.file, "File to write; without it named after both")
      ->type_name("FILE");
  c.convert->add_option("--type", convert.type, "Type of the numbers: q8_0, q4_k, f16, ... (q8_0)");
  c.convert
      ->add_option("--rule", convert.rules,
                   "Another type for tensors of this name, as '*.to_v.*=q8_0'; the first that fits "
                   "(repeatable)")
      ->type_name("PATTERN=TYPE")
      ->allow_extra_args(false);
  c.convert->add_option("--threads", convert.threads, "Threads (as many as there are cores)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{256}));
  c.convert->add_flag("--replace", convert.replace, "Write over a file that is there");
  c.convert->add_flag("--json", c.parsed.json, "Print progress and result as JSON lines");
}

void add_models(Commands& c) {
  auto& parsed = c.parsed;
  c.list = c.app.add_subcommand("ls", "List the models");
  c.list->add_flag("--json", parsed.json, "Print JSON");
  c.residents = c.app.add_subcommand("ps", "List the models that are loaded");
  c.residents->add_flag("--json", parsed.json, "Print JSON");
  c.system = c.app.add_subcommand("system", "Show the memory of the machine, and who holds it");
  c.system->add_flag("--json", parsed.json, "Print JSON");
  c.load = c.app.add_subcommand("load", "Load a model");
  c.load->add_option("model", parsed.load.model, "Name of the model")->required();
  c.load->add_flag("--explain", parsed.load.explain, "Only say what would be done, and why");
  c.load->add_option("--set", parsed.load.set, "Use a setting as given (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  c.load->add_option("--keep-alive", parsed.load.keep_alive,
                     "Unload after this long without use, as 5m; -1: never");
  auto* pin = c.load->add_flag("--pin", parsed.pin, "Never move it aside or unload it when idle");
  c.load->add_flag("--unpin", parsed.unpin, "Undo --pin")->excludes(pin);
  c.can_run = c.app.add_subcommand("can-run", "Say whether a model could be run here");
  c.can_run->add_option("file", parsed.what, "A GGUF file, or its beginning; - for stdin")
      ->type_name("FILE|-")
      ->required();
  c.can_run->add_flag("--json", parsed.json, "Print JSON");
  c.unload = c.app.add_subcommand("unload", "Unload a model, or all");
  auto* model = c.unload->add_option("model", parsed.model, "Name of the model");
  c.unload->add_flag("--all", parsed.all, "Unload every model")->excludes(model);
  c.show = c.app.add_subcommand("show", "Show what is in a model's file");
  c.show->add_option("what", parsed.what, "A GGUF file, or the name of a model")
      ->type_name("FILE|MODEL")
      ->required();
  auto* json = c.show->add_flag("--json", parsed.json, "Print the metadata as JSON");
  auto* tensors = c.show->add_flag("--tensors", parsed.tensors, "List the tensors");
  auto* raw = c.show->add_flag("--raw", parsed.raw, "Print every key as it stands in the file");
  json->excludes(tensors)->excludes(raw);
  tensors->excludes(raw);
}

void add_jobs(Commands& c) {
  auto& parsed = c.parsed;
  const auto list_options = [&parsed](CLI::App* command) {
    command->add_option("--state", parsed.jobs.state, "Only jobs in this state")
        ->check(CLI::IsMember(
            {"queued", "running", "completed", "failed", "cancelled", "interrupted"}));
    command->add_option("-n,--count", parsed.jobs.count, "How many of the newest (20)")
        ->check(CLI::Range(1, 1000));
    command->add_flag("--json", parsed.json, "Print JSON");
  };
  const auto with_id = [&](const char* name, const char* help) {
    auto* command = c.jobs->add_subcommand(name, help);
    command->add_option("id", parsed.jobs.id, "Its id, such as job-12")->required();
    return command;
  };
  c.jobs = c.app.add_subcommand("jobs", "List the jobs, or look at one")->require_subcommand(0, 1);
  list_options(c.jobs);
  c.jobs_list = c.jobs->add_subcommand("list", "List the jobs, newest first");
  list_options(c.jobs_list);
  c.jobs_show = with_id("show", "Show a job and its result");
  c.jobs_show->add_flag("--json", parsed.json, "Print JSON");
  c.jobs_follow = with_id("follow", "Wait for a job's end; Ctrl-C leaves it alone");
  c.jobs_cancel = with_id("cancel", "Cancel a job");

  auto& bench = parsed.bench;
  c.bench = c.app.add_subcommand("bench", "Measure how fast a model is here");
  c.bench->add_option("model", bench.model, "Name of the model")->required();
  c.bench->add_option("--set", bench.set, "Use a setting as given (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  const CLI::Range tokens(std::int64_t{1}, std::int64_t{131'072});
  c.bench->add_option("--prompt-tokens", bench.prompt_tokens, "Tokens of the prompts (512)")
      ->check(tokens);
  c.bench->add_option("--generated-tokens", bench.generated_tokens, "Tokens to generate (64)")
      ->check(tokens);
  c.bench->add_flag("--json", parsed.json, "Print JSON");
}

void add_calibrate(Commands& c) {
  auto& parsed = c.parsed;
  auto& calibrate = parsed.calibrate;
  c.calibrate =
      c.app.add_subcommand("calibrate", "Find the settings that are fastest here, and keep them");
  c.calibrate->add_option("model", calibrate.model, "Name of the model")->required();
  c.calibrate->add_option("--time", calibrate.time, "Longest time, as 5m (10m)");
  const CLI::Range tokens(std::int64_t{1}, std::int64_t{131'072});
  c.calibrate->add_option("--prompt", calibrate.prompt_tokens, "Tokens of the prompts (512)")
      ->check(tokens);
  c.calibrate->add_option("--generate", calibrate.generated_tokens, "Tokens to generate (64)")
      ->check(tokens);
  c.calibrate->add_option("--set", calibrate.set, "Leave a setting as given (repeatable)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  c.calibrate->add_flag("--smaller-kv", calibrate.smaller_kv,
                        "Try a smaller KV type, too; it changes answers a little");
  auto* no_apply = c.calibrate->add_flag("--no-apply", parsed.no_apply, "Only tell, keep nothing");
  auto* show = c.calibrate->add_flag("--show", parsed.show, "Show what is kept, and the evidence");
  c.calibrate->add_flag("--forget", parsed.forget, "Forget what is kept")
      ->excludes(no_apply)
      ->excludes(show);
  c.calibrate->add_flag("--json", parsed.json, "Print JSON");
}

void add_rest(Commands& c) {
  auto& parsed = c.parsed;
  c.logs = c.app.add_subcommand("logs", "Print the daemon's log");
  c.logs->add_flag("-f,--follow", parsed.logs.follow, "Go on with what comes");
  c.logs->add_option("--level", parsed.level, "Least level to print")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}));
  c.logs->add_option("--grep", parsed.logs.grep, "Only lines that contain this text");
  c.logs->add_flag("--json", parsed.json, "Print JSON lines");
  c.logs->add_option("-n,--lines", parsed.logs.count, "How many of the newest (100)")
      ->check(CLI::Range(0, 100'000));

  c.config = c.app.add_subcommand("config", "Show the configuration")->require_subcommand(1);
  c.config_show = c.config->add_subcommand("show", "Print each value and where it comes from");
  c.config_show->add_flag("--json", parsed.json, "Print JSON");
  add_sets(c.config_show, parsed);

  c.keys = c.app.add_subcommand("keys", "Manage the API keys")->require_subcommand(1);
  c.keys_new = c.keys->add_subcommand("new", "Make a key and print it, once");
  c.keys_new->add_option("name", parsed.key_name, "A name to know it by")->required();
  c.keys_list = c.keys->add_subcommand("ls", "List the keys");
  c.keys_remove = c.keys->add_subcommand("rm", "Remove a key");
  c.keys_remove->add_option("name", parsed.key_name, "Its name or id")->required();
  c.version = c.app.add_subcommand("version", "Print the version");
}

base::Result<std::vector<config::Sources::Flag>> config_flags(const Parsed& parsed) {
  std::vector<config::Sources::Flag> out;
  for (std::size_t i = 0; i < kServeFlags.size(); ++i) {
    const auto& [flag, key, help] = kServeFlags[i];
    const auto& value = parsed.key_flags[i];
    if (value.empty()) continue;
    out.push_back({flag, key, std::string_view(flag) == "--unix" ? absolute(value) : value});
  }
  if (!parsed.models.empty()) {
    std::string list;
    for (const auto& folder : parsed.models)
      list += (list.empty() ? "[" : ", ") + config::quote_toml(absolute(folder));
    out.push_back({"--models", "models.folders", list + "]"});
  }
  for (const auto& set : parsed.sets) {
    const auto equals = set.find('=');
    if (equals == std::string::npos || equals == 0)
      return base::fail(base::ErrorCode::invalid_argument,
                        "--set takes KEY=VALUE, got '" + set + "'");
    out.push_back(
        {"--set " + set.substr(0, equals), set.substr(0, equals), set.substr(equals + 1)});
  }
  return out;
}

std::expected<Arguments, ParseEnd> wrong_usage(std::string message) {
  return std::unexpected(ParseEnd{2, "ingle: " + std::move(message) + "\n"});
}

ShowForm show_form(const Parsed& parsed) {
  if (parsed.json) return ShowForm::json;
  if (parsed.tensors) return ShowForm::tensors;
  return parsed.raw ? ShowForm::raw : ShowForm::card;
}

std::expected<Arguments, ParseEnd> arguments_of(Commands& c) {
  auto& parsed = c.parsed;
  const auto output = parsed.json ? Output::json : Output::table;
  if (c.serve->parsed() || c.config_show->parsed()) {
    auto flags = config_flags(parsed);
    if (!flags) return wrong_usage(flags.error().message);
    if (c.serve->parsed()) return ServeOptions{*std::move(flags), parsed.profile_startup};
    return ConfigArguments{*std::move(flags), output};
  }
  if (c.run->parsed()) return std::move(parsed.run);
  if (c.image->parsed()) {
    if (parsed.image.prompt.empty() && parsed.image.like.empty())
      return wrong_usage("prompt is required: say what the picture shows, or give --like FILE");
    return std::move(parsed.image);
  }
  if (c.convert->parsed()) {
    parsed.convert.output = output;
    return std::move(parsed.convert);
  }
  if (c.list->parsed()) return ListArguments{output};
  if (c.residents->parsed()) return ResidentsArguments{output};
  if (c.system->parsed()) return SystemArguments{output};
  if (c.load->parsed()) {
    if (parsed.pin || parsed.unpin) parsed.load.pin = parsed.pin;
    return std::move(parsed.load);
  }
  if (c.can_run->parsed()) return CanRunArguments{parsed.what, output};
  if (c.unload->parsed()) {
    if (parsed.model.empty() && !parsed.all)
      return wrong_usage("name the model to unload, or give --all");
    return UnloadArguments{parsed.all ? std::nullopt : std::optional(parsed.model)};
  }
  if (c.show->parsed()) return ShowArguments{parsed.what, show_form(parsed)};
  if (c.logs->parsed()) {
    parsed.logs.output = output;
    parsed.logs.level = base::log_level_from_name(parsed.level).value_or(base::LogLevel::trace);
    return std::move(parsed.logs);
  }
  if (c.jobs->parsed()) {
    using Verb = JobsArguments::Verb;
    if (c.jobs_show->parsed()) parsed.jobs.verb = Verb::show;
    if (c.jobs_follow->parsed()) parsed.jobs.verb = Verb::follow;
    if (c.jobs_cancel->parsed()) parsed.jobs.verb = Verb::cancel;
    parsed.jobs.output = output;
    return std::move(parsed.jobs);
  }
  if (c.bench->parsed()) {
    parsed.bench.output = output;
    return std::move(parsed.bench);
  }
  if (c.calibrate->parsed()) {
    using Verb = CalibrateArguments::Verb;
    if (parsed.show) parsed.calibrate.verb = Verb::show;
    if (parsed.forget) parsed.calibrate.verb = Verb::forget;
    parsed.calibrate.apply = !parsed.no_apply;
    parsed.calibrate.output = output;
    return std::move(parsed.calibrate);
  }
  using Verb = KeysArguments::Verb;
  if (c.keys_new->parsed()) return KeysArguments{Verb::make, parsed.key_name};
  if (c.keys_list->parsed()) return KeysArguments{Verb::list, {}};
  if (c.keys_remove->parsed()) return KeysArguments{Verb::remove, parsed.key_name};
  return VersionArguments{};
}

// `ingle help load` is `ingle load --help`.
std::vector<std::string> without_help_verb(std::vector<std::string> words) {
  if (words.empty() || words.front() != "help") return words;
  words.erase(words.begin());
  words.emplace_back("--help");
  return words;
}

std::string unknown_verb(const std::string& word) {
  const std::vector<std::string> verbs(kVerbs.begin(), kVerbs.end());
  return "there is no command '" + word + "'" + base::did_you_mean(word, verbs) +
         " (`ingle help` lists them)";
}

}  // namespace

std::expected<Arguments, ParseEnd> parse_arguments(const std::vector<std::string>& words) {
  Commands c;
  c.app.require_subcommand(1);
  c.app.get_formatter()->enable_footer_formatting(false);
  c.app.set_version_flag("--version", "");
  c.app.footer(
      "`ingle help COMMAND` says more. Commands find the daemon of this home, or the one\n"
      "at INGLE_URL, and send INGLE_API_KEY as their key.");
  add_serve(c);
  add_run(c);
  add_image(c);
  add_convert(c);
  add_models(c);
  add_jobs(c);
  add_calibrate(c);
  add_rest(c);
  if (words.empty()) return std::unexpected(ParseEnd{2, c.app.help()});
  if (words.front() == "--version") return VersionArguments{};
  if (!words.front().starts_with('-') &&
      std::ranges::find(kVerbs, std::string_view(words.front())) == kVerbs.end())
    return wrong_usage(unknown_verb(words.front()));
  auto reversed = without_help_verb(words);
  std::ranges::reverse(reversed);
  try {
    c.app.parse(std::move(reversed));
    return arguments_of(c);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = c.app.exit(error, out, err);
    if (code == 0) return std::unexpected(ParseEnd{0, out.str()});
    return wrong_usage(error.what());
  }
}

}  // namespace ingle::cli
