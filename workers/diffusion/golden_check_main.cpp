// golden-check: runs every golden case below the given folders on an executor, in f32 unless its
// name says more, and says how far each is from what a reference implementation computed.
//   golden-check [--list-kinds] [--executor NAME] [--verbose] DIR...
// --verbose prints every tensor that was compared, not only the worst of a case.
// Exit status: 0 when every case of a known kind passed, 1 when one failed, 2 for a wrong use.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <print>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/golden_check.h"
#include "diffusion/golden_executors.h"

namespace {

using namespace ingle;
using diffusion::GoldenVerdict;

constexpr unsigned kCaseSecondsMax = 600;

struct Arguments {
  std::string executor = "onednn";
  std::vector<std::string> folders{};
  bool list_kinds = false;
  bool verbose = false;
  bool wrong = false;
};

Arguments parse(std::span<char*> arguments) {
  Arguments out;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--list-kinds")
      out.list_kinds = true;
    else if (argument == "--verbose")
      out.verbose = true;
    else if (argument == "--executor" && i + 1 < arguments.size())
      out.executor = arguments[++i];
    else if (argument.starts_with("--"))
      out.wrong = true;
    else
      out.folders.emplace_back(argument);
  }
  out.wrong |= out.folders.empty() && !out.list_kinds;
  return out;
}

const char* outcome_name(GoldenVerdict::Outcome outcome) {
  switch (outcome) {
    case GoldenVerdict::Outcome::passed:
      return "pass";
    case GoldenVerdict::Outcome::failed:
      return "FAIL";
    case GoldenVerdict::Outcome::unknown_kind:
      break;
  }
  return "skip";
}

// One case, with its lines. What it returns is what a child ends with.
int check_one(const std::filesystem::path& folder, const Arguments& arguments) {
  const auto executor = diffusion::make_golden_executor(arguments.executor);
  if (!executor) {
    std::println("FAIL  {}: {}", folder.string(), executor.error().text());
    return static_cast<int>(GoldenVerdict::Outcome::failed);
  }
  const auto verdict = diffusion::check_golden(folder, **executor,
                                               diffusion::golden_relative_max(arguments.executor));
  std::println("{}  {}: {}", outcome_name(verdict.outcome), verdict.name, verdict.detail);
  if (arguments.verbose)
    for (const auto& comparison : verdict.comparisons)
      std::println("        {}", comparison.text());
  return static_cast<int>(verdict.outcome);
}

// In a process of its own: a case that ends it, or never ends, is a failed case like any other.
GoldenVerdict::Outcome check_apart(const std::filesystem::path& folder,
                                   const Arguments& arguments) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kCaseSecondsMax);
    const int outcome = check_one(folder, arguments);
    std::fflush(stdout);
    _exit(outcome);
  }
  int status = 0;
  if (child > 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  using enum GoldenVerdict::Outcome;
  if (child > 0 && WIFEXITED(status))
    return WEXITSTATUS(status) == static_cast<int>(passed)         ? passed
           : WEXITSTATUS(status) == static_cast<int>(unknown_kind) ? unknown_kind
                                                                   : failed;
  if (child < 0)
    std::println("FAIL  {}: no process could be started for it", folder.string());
  else if (WTERMSIG(status) == SIGALRM)
    std::println("FAIL  {}: it took over {} s", folder.string(), kCaseSecondsMax);
  else
    std::println("FAIL  {}: the check was ended by signal {}: a fault of golden-check",
                 folder.string(), WTERMSIG(status));
  return failed;
}

int check_all(const Arguments& arguments) {
  int passed = 0, failed = 0, unknown = 0;
  for (const auto& root : arguments.folders) {
    const auto folders = diffusion::golden_folders(root);
    if (folders.empty()) {
      std::println("FAIL  {}: no case.json in this folder or below it, or it cannot be read", root);
      ++failed;
    }
    for (const auto& folder : folders) {
      const auto outcome = check_apart(folder, arguments);
      passed += outcome == GoldenVerdict::Outcome::passed;
      failed += outcome == GoldenVerdict::Outcome::failed;
      unknown += outcome == GoldenVerdict::Outcome::unknown_kind;
    }
  }
  std::println("{} passed, {} failed, {} of unknown kind, on {}", passed, failed, unknown,
               arguments.executor);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(std::span(argv, static_cast<std::size_t>(argc)));
  if (arguments.wrong) {
    std::println(stderr, "usage: golden-check [--list-kinds] [--executor {}] [--verbose] DIR...",
                 diffusion::golden_executor_names());
    return 2;
  }
  if (arguments.list_kinds) {
    for (const auto& kind : diffusion::golden_kinds()) std::println("{}", kind.name);
    if (arguments.folders.empty()) return 0;
  }
  if (!diffusion::golden_executor_names().contains(arguments.executor)) {
    std::println(stderr, "golden-check: there is no executor '{}': {}", arguments.executor,
                 diffusion::golden_executor_names());
    return 2;
  }
  return check_all(arguments);
}
