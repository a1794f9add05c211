// ingle-convert MODEL OUT.gguf [--type Q8_0] [--rule PATTERN=TYPE]... [--replace]: writes a model
// as one GGUF file. weights/convert.h says what becomes of which tensor.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <print>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "weights/convert.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

// Set by the signal; the conversion looks at it.
constinit std::atomic<bool> interrupted = false;

constexpr std::string_view kUsage =
    "ingle-convert MODEL OUT.gguf [--type Q8_0] [--rule PATTERN=TYPE]... [--replace]";

base::Result<tensor::StorageType> type_of(std::string_view name) {
  if (const auto type = number_type_from_name(name)) return *type;
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("no type '{}'; there are F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K, "
                                "Q4_0 and more of ggml's",
                                name));
}

struct Command {
  std::vector<std::string_view> paths{};
  ConvertOptions options{};
};

base::Result<Command> read(int count, char** arguments) {
  Command out;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const std::string_view value = i + 1 < count ? arguments[i + 1] : "";
    if (argument == "--replace") {
      out.options.replace = true;
    } else if (argument == "--type") {
      TRY_ASSIGN(out.options.type, type_of(value));
      ++i;
    } else if (argument == "--rule") {
      const auto equals = value.rfind('=');
      if (equals == std::string_view::npos)
        return base::fail(base::ErrorCode::invalid_argument, "a rule is PATTERN=TYPE");
      TRY_ASSIGN(const auto type, type_of(value.substr(equals + 1)));
      out.options.rules.push_back({std::string(value.substr(0, equals)), type});
      ++i;
    } else if (argument.starts_with("--")) {
      return base::fail(base::ErrorCode::invalid_argument,
                        std::format("no option '{}': {}", argument, kUsage));
    } else {
      out.paths.push_back(argument);
    }
  }
  if (out.paths.size() != 2)
    return base::fail(base::ErrorCode::invalid_argument, std::string(kUsage));
  return out;
}

base::Result<ConvertSummary> run(int count, char** arguments) {
  TRY_ASSIGN(auto command, read(count, arguments));
  std::uint64_t shown = 101;
  command.options.progress = [&shown](const ConvertProgress& progress) {
    const auto percent =
        progress.done_elements * 100 / std::max<std::uint64_t>(progress.total_elements, 1);
    if (percent == shown) return;
    shown = percent;
    std::print(stderr, "\r{:3} %", percent);
  };
  auto summary = convert_to_gguf(command.paths[0], command.paths[1], command.options, interrupted);
  if (shown <= 100) std::println(stderr, "");
  return summary;
}

}  // namespace
}  // namespace ingle::weights

int main(int count, char** arguments) {
  using namespace ingle;
  std::signal(SIGINT, [](int) { weights::interrupted = true; });
  std::signal(SIGTERM, [](int) { weights::interrupted = true; });
  const auto summary = weights::run(count, arguments);
  if (!summary) {
    std::println(stderr, "ingle-convert: {}", summary.error().text());
    return 1;
  }
  std::println("{} tensors, {}", summary->tensors, base::format_bytes(summary->size_bytes));
  return 0;
}
