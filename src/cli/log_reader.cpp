#include "cli/log_reader.h"

#include <algorithm>
#include <format>

#include "platform/files.h"
#include "protocol/codec.h"

namespace ingle::cli {
namespace {

constexpr int kRotatedMax = 1000;

std::filesystem::path rotated(const std::filesystem::path& file, int index) {
  if (index == 0) return file;
  return file.parent_path() /
         std::format("{}.{}{}", file.stem().string(), index, file.extension().string());
}

// Takes the lines of `text` from its end, newest first, until `out` has `count`.
void take_lines(std::string_view text, std::size_t count,
                const std::function<bool(const protocol::LogEvent&)>& wanted,
                std::vector<protocol::LogEvent>& out) {
  while (!text.empty() && out.size() < count) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto begin = text.rfind('\n');
    const auto line = begin == std::string_view::npos ? text : text.substr(begin + 1);
    text = begin == std::string_view::npos ? "" : text.substr(0, begin + 1);
    auto event = protocol::decode<protocol::LogEvent>(line);
    if (event && wanted(*event)) out.push_back(*std::move(event));
  }
}

}  // namespace

base::Result<std::vector<protocol::LogEvent>> read_log(
    const std::filesystem::path& file, std::size_t count,
    const std::function<bool(const protocol::LogEvent&)>& wanted) {
  std::vector<protocol::LogEvent> out;
  for (int i = 0; i <= kRotatedMax && out.size() < count; ++i) {
    const auto mapped = platform::MappedFile::open(rotated(file, i));
    if (!mapped && i == 0 && mapped.error().code != base::ErrorCode::not_found)
      return base::fail(mapped.error());
    if (!mapped) break;
    const auto bytes = mapped->bytes();
    take_lines({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, count, wanted, out);
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace ingle::cli
