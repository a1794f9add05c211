// The small text files of /proc and sysfs. Blocking, though short: for lanes and start-up. Any
// thread. For platform/ and the probe of GPUs; the rest asks memory.h and system.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ingle::platform {

// At most 1 MiB of the file; empty when it cannot be read.
std::string read_kernel_file(const std::filesystem::path& path);

// Writes `text` in one go, as the kernel wants it. False when the kernel refused; errno says why.
bool write_kernel_file(const std::filesystem::path& path, std::string_view text);

// Without spaces and newlines at either end.
std::string trimmed(std::string text);

// The whole number at the start of the text; nothing when there is none ("max").
std::optional<std::uint64_t> to_number(std::string_view text);

// The value behind `key` in "key<separator> value" lines; empty when there is none.
std::string value_of(const std::string& text, std::string_view key, char separator);

}  // namespace ingle::platform
