// golden-check: runs every golden case below the given folders on an executor in f32 and says how
// far each is from what a reference implementation computed.
//   golden-check [--list-kinds] [--executor onednn|ggml] [--verbose] DIR...
// --verbose prints every tensor that was compared, not only the worst of a case.
// Exit status: 0 when every case of a known kind passed, 1 when one failed, 2 for a wrong use.
#include <cstdio>
#include <print>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/golden_check.h"
#include "diffusion/golden_executors.h"

namespace {

using namespace ingle;
using diffusion::GoldenVerdict;

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

int check_all(const Arguments& arguments, tensor::Executor& executor) {
  int passed = 0, failed = 0, unknown = 0;
  for (const auto& root : arguments.folders) {
    const auto folders = diffusion::golden_folders(root);
    if (folders.empty()) {
      std::println("FAIL  {}: no case.json in this folder or below it", root);
      ++failed;
    }
    for (const auto& folder : folders) {
      const auto verdict = diffusion::check_golden(folder, executor);
      std::println("{}  {}: {}", outcome_name(verdict.outcome), verdict.name, verdict.detail);
      if (arguments.verbose)
        for (const auto& comparison : verdict.comparisons)
          std::println("        {}", comparison.text());
      std::fflush(stdout);
      passed += verdict.outcome == GoldenVerdict::Outcome::passed;
      failed += verdict.outcome == GoldenVerdict::Outcome::failed;
      unknown += verdict.outcome == GoldenVerdict::Outcome::unknown_kind;
    }
  }
  std::println("{} passed, {} failed, {} of unknown kind, on {} in f32", passed, failed, unknown,
               executor.name());
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
  const auto executor = diffusion::make_golden_executor(arguments.executor);
  if (!executor) {
    std::println(stderr, "golden-check: {}", executor.error().text());
    return 2;
  }
  return check_all(arguments, **executor);
}
