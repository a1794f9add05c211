#include "resources/tool.h"

#include <format>

#include "base/bytes.h"

namespace ingle::resources {
namespace {

using base::ErrorCode;
using base::fail;

// Completes at most once: with the exit status, or with why nobody waits for it.
struct End {
  base::Completion<base::Result<platform::ExitStatus>> value{};

  void come(base::Result<platform::ExitStatus> result) {
    if (!value.completed()) value.complete(std::move(result));
  }
};

}  // namespace

base::Task<base::Result<std::vector<std::string>>> run_tool(platform::Processes& processes,
                                                            base::Loop& loop,
                                                            platform::SpawnOptions options,
                                                            base::Micros limit,
                                                            base::CancelToken cancel) {
  const auto name = options.executable.filename().native();
  if (cancel.cancelled()) co_return fail(ErrorCode::cancelled, name + " is not needed any more");
  std::vector<std::string> lines;
  std::size_t bytes = 0;
  End end;
  CO_TRY_ASSIGN(
      auto process,
      co_await processes.spawn(
          std::move(options), {.on_line =
                                   [&](std::string_view line) {
                                     bytes += line.size() + 1;
                                     if (bytes > kToolOutputBytesMax)
                                       return end.come(fail(
                                           ErrorCode::limit_exceeded,
                                           std::format("{} printed more than {}", name,
                                                       base::format_bytes(kToolOutputBytesMax))));
                                     lines.emplace_back(line);
                                   },
                               .on_exit = [&](platform::ExitStatus status) { end.come(status); }}));
  const auto timer = loop.after(limit, [&] {
    end.come(fail(ErrorCode::timeout,
                  std::format("{} did not answer within {}", name, base::format_duration(limit))));
  });
  const auto registration = cancel.on_cancel(
      [&] { end.come(fail(ErrorCode::cancelled, name + " is not needed any more")); });
  const auto status = co_await end.value;
  loop.cancel(timer);
  process.reset();  // kills it if it still runs; no callback comes after this
  if (!status) co_return std::unexpected(status.error());
  if (status->code != 0)
    co_return fail(ErrorCode::upstream_error,
                   std::format("{} {}{}", name, status->text(),
                               lines.empty() ? "" : ": " + lines.back().substr(0, 200)));
  co_return lines;
}

}  // namespace ingle::resources
