// convert: runs ingle-convert in a sandbox and shows what it tells. It reads model files from
// strangers, so that it may read nothing else, and write in one folder only.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <format>

#include "cli/commands.h"
#include "cli/convert_text.h"
#include "cli/interrupt.h"
#include "cli/model_file.h"
#include "cli/progress_line.h"
#include "platform/asio_loop.h"
#include "platform/process.h"
#include "platform/signals.h"
#include "platform/system.h"
#include "protocol/codec.h"

namespace ingle::cli {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;

constexpr const char* kWorker = "ingle-convert";
constexpr const char* kModelIndex = "model_index.json";
constexpr std::size_t kEntriesMax = 4096;

// What the libraries below the worker may need to be found and checked.
constexpr std::array kPassedOn{"PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS",
                               "UBSAN_OPTIONS"};

base::Result<fs::path> source_of(const ConvertArguments& arguments, const Surroundings& around) {
  TRY_ASSIGN(const auto found, find_model(arguments.source, around.environment));
  std::error_code error;
  const auto path = fs::canonical(found.path, error);
  if (error) return fail(base::errno_error(error.value(), "cannot look at " + arguments.source));
  return path.filename() == kModelIndex ? path.parent_path() : path;
}

// "flux-q4_k.gguf" in the working folder, unless something else is asked for.
base::Result<fs::path> target_of(const ConvertArguments& arguments, const fs::path& source) {
  std::error_code ignored;
  const auto name = fs::is_directory(source, ignored) ? source.filename() : source.stem();
  const auto own_name = std::format("{}-{}.gguf", name.native(), arguments.type);
  fs::path out = arguments.file.empty() ? fs::path(own_name) : fs::path(arguments.file);
  if (fs::is_directory(out, ignored)) out /= own_name;
  out = fs::absolute(out, ignored).lexically_normal();
  if (!fs::is_directory(out.parent_path(), ignored))
    return fail(ErrorCode::not_found,
                std::format("there is no folder {}; make it first", out.parent_path().native()));
  return out;
}

// The source, and where links in it lead: a hub's cache is a folder of links into another one.
std::vector<fs::path> readable(const fs::path& source) {
  std::vector<fs::path> out{source};
  std::error_code error;
  std::size_t seen = 0;
  for (fs::recursive_directory_iterator at(source, error), end;
       !error && at != end && seen < kEntriesMax; at.increment(error), ++seen) {
    std::error_code ignored;
    if (at->is_symlink(ignored))
      if (auto real = fs::canonical(at->path(), ignored); !ignored) out.push_back(std::move(real));
  }
  return out;
}

platform::SpawnOptions worker_of(const ConvertArguments& arguments, const Surroundings& around,
                                 const fs::path& source, const fs::path& target) {
  platform::SpawnOptions out{
      .executable = fs::path(platform::own_executable()).parent_path() / kWorker,
      .arguments = {source.native(), target.native(), "--type", arguments.type}};
  for (const auto& rule : arguments.rules)
    out.arguments.insert(out.arguments.end(), {"--rule", rule});
  if (arguments.threads)
    out.arguments.insert(out.arguments.end(), {"--threads", std::to_string(*arguments.threads)});
  if (arguments.replace) out.arguments.push_back("--replace");
  for (const auto* name : kPassedOn)
    if (auto value = around.environment(name)) out.environment.emplace_back(name, *value);
  out.sandbox.read = readable(source);
  out.sandbox.write = {target.parent_path()};
  return out;
}

// One run of the worker, from its start to its end. Lives on its own loop.
class Conversion {
 public:
  Conversion(const Terminal& terminal, Output output) : line_(terminal), output_(output) {}

  // The result. Errors: what the worker told, spawn_failed, worker_crashed, cancelled.
  base::Result<protocol::ConvertResult> run(platform::SpawnOptions options) {
    const auto signals = platform::watch_signals(loop_, {SIGINT, SIGTERM}, [this](int) {
      interrupted_ = true;
      if (process_) process_->signal(SIGTERM);
    });
    base::TaskScope scope;
    loop_.post([&] { scope.spawn(start(std::move(options))); });
    loop_.run();
    line_.clear();
    return outcome();
  }

 private:
  base::Task<void> start(platform::SpawnOptions options) {
    auto spawned = co_await processes_->spawn(
        std::move(options), {.on_line = [this](std::string_view line) { take(line); },
                             .on_exit =
                                 [this](platform::ExitStatus status) {
                                   exit_ = std::move(status);
                                   loop_.stop();
                                 }});
    if (!spawned) {
      error_ = std::move(spawned).error();
      loop_.stop();
      co_return;
    }
    process_ = *std::move(spawned);
    if (interrupted_) process_->signal(SIGTERM);
  }

  void take(std::string_view text) {
    auto line = protocol::decode<protocol::ConvertLine>(text);
    if (!line) {
      other_output_ = text;
      return;
    }
    if (output_ == Output::json) print_out(std::string(text) + "\n");
    if (line->progress) show(std::move(*line->progress));
    if (line->result) result_ = std::move(line->result);
    if (line->error)
      error_ =
          base::Error{base::error_code_from_name(line->error->code).value_or(ErrorCode::internal),
                      std::move(line->error->message), std::move(line->error->context)};
  }

  void show(protocol::JobProgress progress) {
    if (output_ == Output::json) return;
    progress.message.clear();  // the tensor's name: it changes too fast to be read
    line_.show({.state = protocol::JobState::running, .progress = std::move(progress)});
  }

  base::Result<protocol::ConvertResult> outcome() {
    if (result_) return *std::move(result_);
    if (interrupted_) return fail(ErrorCode::cancelled, "nothing was written: it was cancelled");
    if (error_) return fail(*std::move(error_));
    return fail(ErrorCode::worker_crashed,
                std::format("{} {}; nothing was written{}", kWorker, exit_->text(),
                            other_output_.empty() ? "" : ": " + other_output_));
  }

  ProgressLine line_;
  const Output output_;
  const platform::SystemClock clock_{};
  platform::AsioLoop loop_{clock_, {}};
  base::LanePool lanes_{{.threads = 2}};
  std::unique_ptr<platform::Processes> processes_ = platform::create_processes(loop_, lanes_);
  std::unique_ptr<platform::Process> process_{};
  bool interrupted_ = false;
  std::optional<platform::ExitStatus> exit_{};
  std::optional<protocol::ConvertResult> result_{};
  std::optional<base::Error> error_{};
  std::string other_output_{};  // the last line that is none of the worker's own
};

base::Result<protocol::ConvertResult> run(const ConvertArguments& arguments,
                                          const Surroundings& around) {
  TRY_ASSIGN(const auto source, source_of(arguments, around));
  TRY_ASSIGN(const auto target, target_of(arguments, source));
  Conversion conversion(around.terminal, arguments.output);
  return conversion.run(worker_of(arguments, around, source, target));
}

}  // namespace

int convert(const ConvertArguments& arguments, const Surroundings& around) {
  const auto result = run(arguments, around);
  if (!result) {
    print_error(result.error());
    return result.error().code == ErrorCode::cancelled ? kInterruptedCode : 1;
  }
  if (arguments.output == Output::table)
    print_out(convert_text(*result, around.terminal.out_columns));
  return 0;
}

}  // namespace ingle::cli
