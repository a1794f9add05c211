// ingle-convert MODEL OUT.gguf [--type q8_0] [--rule PATTERN=TYPE]... [--threads N] [--replace]:
// writes a model as one GGUF file (convert.h), and tells what it does as protocol::ConvertLine, one
// a line, on stdout. `ingle convert` runs it in a sandbox and shows that to a person.
#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <format>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/reader.h"
#include "platform/asio_loop.h"
#include "platform/system.h"
#include "protocol/codec.h"
#include "protocol/convert.h"
#include "weights/convert.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using base::fail;

constexpr int kThreadsMax = 256;
constexpr base::Millis kBetweenLines{200};
constexpr std::size_t kNamesTold = 8;
constexpr std::size_t kNameBytesMax = 256;

// Set by the signal; the conversion looks at it.
constinit std::atomic<bool> interrupted = false;

base::Result<tensor::StorageType> type_of(std::string_view name) {
  std::string capitals(name);
  for (auto& c : capitals) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const auto type = number_type_from_name(capitals)) return *type;
  return fail(
      ErrorCode::invalid_argument,
      std::format("there is no type '{}'; there are f32, f16, bf16, q8_0, q6_k, q5_k, q4_k, "
                  "q4_0 and more of ggml's",
                  name));
}

base::Result<int> threads_of(std::string_view text) {
  int threads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  if (error == std::errc{} && end == text.data() + text.size() && threads >= 1 &&
      threads <= kThreadsMax)
    return threads;
  return fail(ErrorCode::invalid_argument,
              std::format("--threads {}: it must be 1 to {}", text, kThreadsMax));
}

base::Result<TypeRule> rule_of(std::string_view text) {
  const auto equals = text.rfind('=');
  if (equals == 0 || equals == std::string_view::npos)
    return fail(ErrorCode::invalid_argument,
                std::format("--rule {}: write PATTERN=TYPE, such as '*.to_v.*=q8_0'", text));
  TRY_ASSIGN(const auto type, type_of(text.substr(equals + 1)));
  return TypeRule{std::string(text.substr(0, equals)), type};
}

struct Command {
  std::vector<std::string_view> paths{};
  ConvertOptions options{};
};

base::Result<Command> read(int count, char** arguments) {
  Command out{.options = {.threads = 0}};
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const std::string_view value = i + 1 < count ? arguments[i + 1] : "";
    if (!argument.starts_with("--")) {
      out.paths.push_back(argument);
      continue;
    }
    if (argument == "--replace") {
      out.options.existing = Existing::replace;
      continue;
    }
    ++i;
    if (argument == "--type") {
      TRY_ASSIGN(out.options.type, type_of(value));
    } else if (argument == "--rule") {
      TRY_ASSIGN(auto rule, rule_of(value));
      out.options.rules.push_back(std::move(rule));
    } else if (argument == "--threads") {
      TRY_ASSIGN(out.options.threads, threads_of(value));
    } else {
      return fail(ErrorCode::invalid_argument, std::format("there is no option {}", argument));
    }
  }
  if (out.paths.size() != 2)
    return fail(ErrorCode::invalid_argument, "give a model and the file to write");
  if (out.options.threads == 0) {
    const auto machine = platform::read_machine();
    out.options.threads = machine ? std::clamp(machine->cores_logical, 1, kThreadsMax) : 1;
  }
  return out;
}

void tell(const protocol::ConvertLine& line) {
  std::puts(protocol::encode(line).c_str());
  std::fflush(stdout);
}

// Progress, with the rate since the beginning: every tensor costs about the same a byte.
class Teller {
 public:
  void operator()(const ConvertProgress& progress) {
    const auto now = clock_.mono_now();
    if (now < next_) return;
    next_ = now + kBetweenLines;
    const auto done = static_cast<double>(progress.done_bytes);
    const auto total = static_cast<double>(std::max<std::uint64_t>(progress.total_bytes, 1));
    protocol::JobProgress out{.stage = "converting",
                              .share = done / total,
                              .done = done,
                              .total = total,
                              .unit = "bytes",
                              .message = gguf::escaped(progress.tensor, kNameBytesMax)};
    const auto seconds = took_ms() / 1e3;
    if (seconds > 1 && done > 0) {
      out.rate_per_s = done / seconds;
      out.left_ms = static_cast<std::int64_t>((total - done) / done * seconds * 1e3);
    }
    tell({.progress = std::move(out)});
  }
  double took_ms() const {
    return std::chrono::duration<double, std::milli>(clock_.mono_now() - began_).count();
  }

 private:
  const platform::SystemClock clock_{};
  const base::MonoTime began_ = clock_.mono_now();
  base::MonoTime next_ = began_;
};

std::string name_of(tensor::StorageType type) { return std::string(number_type(type)->name); }

std::vector<protocol::ConvertFallback> grouped(const std::vector<FallbackTensor>& fallbacks) {
  std::map<std::pair<tensor::StorageType, tensor::StorageType>, protocol::ConvertFallback> groups;
  for (const auto& tensor : fallbacks) {
    auto& group = groups[{tensor.wanted, tensor.type}];
    group.wanted = name_of(tensor.wanted);
    group.type = name_of(tensor.type);
    ++group.tensors;
    if (group.names.size() < kNamesTold)
      group.names.push_back(gguf::escaped(tensor.name, kNameBytesMax));
  }
  std::vector<protocol::ConvertFallback> out;
  for (auto& [types, group] : groups) out.push_back(std::move(group));
  return out;
}

protocol::ConvertResult result_of(const ConvertSummary& summary, std::string_view path,
                                  double took_ms) {
  protocol::ConvertResult out{.path = std::string(path),
                              .tensors = static_cast<std::int64_t>(summary.tensors),
                              .size_bytes = static_cast<std::int64_t>(summary.size_bytes),
                              .source_bytes = static_cast<std::int64_t>(summary.source_bytes),
                              .took_ms = took_ms,
                              .fallbacks = grouped(summary.fallbacks),
                              .unused_rules = summary.unused_rules};
  for (const auto& type : summary.types)
    out.types.push_back({.type = name_of(type.type),
                         .tensors = static_cast<std::int64_t>(type.tensors),
                         .size_bytes = static_cast<std::int64_t>(type.size_bytes),
                         .error = type.error,
                         .relative_error = type.relative_error,
                         .worst = gguf::escaped(type.worst, kNameBytesMax),
                         .worst_relative_error = type.worst_relative_error});
  return out;
}

base::Status run(int count, char** arguments) {
  TRY_ASSIGN(auto command, read(count, arguments));
  Teller teller;
  command.options.progress = [&teller](const ConvertProgress& progress) { teller(progress); };
  TRY_ASSIGN(const auto summary,
             convert_to_gguf(command.paths[0], command.paths[1], command.options, interrupted));
  tell({.result = result_of(summary, command.paths[1], teller.took_ms())});
  return {};
}

}  // namespace
}  // namespace ingle::weights

int main(int count, char** arguments) {
  using namespace ingle;
  std::signal(SIGINT, [](int) { weights::interrupted = true; });
  std::signal(SIGTERM, [](int) { weights::interrupted = true; });
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is an error of write()
  const auto done = weights::run(count, arguments);
  if (done) return 0;
  const auto& error = done.error();
  weights::tell(
      {.error = protocol::ErrorInfo{.code = std::string(base::error_code_name(error.code)),
                                    .message = error.message,
                                    .context = error.context}});
  return 1;
}
