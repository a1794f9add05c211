#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include "platform/descriptor.h"
#include "platform/kernel_file.h"

namespace ingle::platform {
namespace {

// Kernel files are short; whatever is longer is not one of them.
constexpr std::size_t kKernelFileMax = 1 << 20;

}  // namespace

std::string read_kernel_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string out;
  std::array<char, 4096> step{};
  while (in && out.size() < kKernelFileMax) {
    in.read(step.data(), step.size());
    out.append(step.data(), static_cast<std::size_t>(in.gcount()));
  }
  return out;
}

bool write_kernel_file(const std::filesystem::path& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \n\t") + 1);
  text.erase(0, text.find_first_not_of(" \n\t"));
  return text;
}

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::string value_of(const std::string& text, std::string_view key, char separator) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find(separator);
    if (at == std::string::npos || trimmed(line.substr(0, at)) != key) continue;
    return trimmed(line.substr(at + 1));
  }
  return {};
}

}  // namespace ingle::platform
