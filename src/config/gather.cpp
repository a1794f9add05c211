#include "config/gather.h"

#include "config/toml_file.h"

namespace ingle::config {

base::Result<Sources> gather(const platform::Home& home, const platform::Files& files,
                             const char* const* environment, std::vector<Sources::Flag> flags) {
  Sources out{.toml_path = home.config_file().string(), .flags = std::move(flags)};
  auto text = files.read(home.config_file(), kTomlBytesMax);
  if (text)
    out.toml_text = *std::move(text);
  else if (text.error().code != base::ErrorCode::not_found)
    return base::fail(std::move(text).error().with_context("reading the configuration"));
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos || !entry.starts_with("INGLE_")) continue;
    out.environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

}  // namespace ingle::config
