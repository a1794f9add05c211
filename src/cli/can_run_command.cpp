// can-run: whether a model could be run here, from the beginning of its file, which is read here
// and sent to the daemon. The file need not be whole.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <format>
#include <span>

#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/plan_text.h"
#include "gguf/reader.h"
#include "platform/files.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kHeaderBytesMax = 64 << 20;  // what the daemon takes of a request
constexpr std::size_t kStdinStep = 256 << 10;      // read before the first try to parse
// Larger than any file, so that one that is still cut off can be told about.
constexpr std::uint64_t kAnySize = std::uint64_t{1} << 60;

struct HeaderBytes {
  std::string bytes{};
  std::uint64_t file_size_bytes = 0;  // of the whole file, from the tensors that it will have
};

base::Result<HeaderBytes> header_of(std::span<const std::byte> beginning) {
  auto header = gguf::parse(beginning, kAnySize);
  if (!header) {
    if (header.error().code == ErrorCode::limit_exceeded && beginning.size() < kHeaderBytesMax)
      return fail(ErrorCode::malformed,
                  std::format("the first {} bytes do not hold the whole header: give more of the "
                              "file ({})",
                              beginning.size(), header.error().message));
    return fail(std::move(header).error());
  }
  HeaderBytes out{.file_size_bytes = header->data_offset_bytes};
  for (const auto& tensor : header->tensors)
    out.file_size_bytes = std::max(
        out.file_size_bytes, header->data_offset_bytes + tensor.offset_bytes + tensor.size_bytes);
  const auto size = std::min<std::uint64_t>(beginning.size(), header->data_offset_bytes);
  out.bytes.assign(reinterpret_cast<const char*>(beginning.data()), size);
  return out;
}

// Reads on, twice as much each time, until the header is whole; what comes after it stays unread.
base::Result<HeaderBytes> header_of_stdin() {
  std::string bytes;
  std::size_t wanted = kStdinStep;
  bool ended = false;
  while (true) {
    while (bytes.size() < wanted && !ended) {
      const auto before = bytes.size();
      bytes.resize(wanted);
      const auto got = ::read(STDIN_FILENO, bytes.data() + before, wanted - before);
      if (got < 0 && errno != EINTR) return fail(base::errno_error(errno, "reading stdin"));
      bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      ended = got == 0;
    }
    auto header = header_of(std::as_bytes(std::span(bytes)));
    if (header || ended || wanted >= kHeaderBytesMax) return header;
    wanted *= 2;
  }
}

base::Result<HeaderBytes> header_of_file(const std::filesystem::path& path) {
  TRY_ASSIGN(const auto file, platform::MappedFile::open(path, kHeaderBytesMax));
  auto header = header_of(file.bytes());
  if (header) return header;
  return fail(std::move(header).error().with_context("reading " + path.string()));
}

base::Result<std::string> ask(const CanRunArguments& arguments, const Surroundings& around) {
  const bool from_stdin = arguments.file == "-";
  TRY_ASSIGN(auto header, from_stdin ? header_of_stdin() : header_of_file(arguments.file));
  TRY_ASSIGN(const auto client, DaemonClient::find(around.environment));
  auto target = std::format("/api/v1/can_run?size_bytes={}", header.file_size_bytes);
  if (!from_stdin)
    target += "&name=" + query_escape(std::filesystem::path(arguments.file).filename().string());
  return client.post_bytes(std::move(target), std::move(header.bytes));
}

}  // namespace

int can_run(const CanRunArguments& arguments, const Surroundings& around) {
  const auto body = ask(arguments, around);
  if (!body) return print_error(body.error());
  const auto plan = protocol::decode<protocol::LoadPlan>(*body);
  if (!plan) return print_error(plan.error());
  if (arguments.output == Output::json) {
    const auto json = protocol::parse_json(*body);
    if (!json) return print_error(json.error());
    print_out(protocol::print_json_pretty(*json) + "\n");
  } else {
    print_out(plan_text(*plan, around.terminal.out_columns));
  }
  return plan->fits ? 0 : 1;
}

}  // namespace ingle::cli
