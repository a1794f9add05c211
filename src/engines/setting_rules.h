// The names, values and ranges of launch settings. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ingle::engines {

inline constexpr std::uint32_t kKvBlock = 32;  // elements that a quantised KV type packs together

// Bytes per element of a KV type; nothing: unknown.
std::optional<double> kv_type_bytes(std::string_view type);
bool is_quantised_kv_type(std::string_view type);

// What speculation may be: "off", and the engine's kinds without a draft model. Static storage.
std::span<const std::string_view> speculation_kinds();

// Whether a setting decides how much memory a model takes, or where.
bool takes_memory(std::string_view setting);

// A whole text as a number.
std::optional<std::int64_t> parse_number(std::string_view text);

// "auto", "host" or "gpu0" and so on. Whether there is such a device is for the machine to say.
bool is_device(std::string_view value);

// Settings (name=value) in one order, the last of a name winning: equal settings compare equal.
// Errors: invalid_argument (no "="), and those of `check`, which judges each.
using SettingCheck = std::function<base::Status(std::string_view name, std::string_view value)>;
base::Result<std::vector<std::string>> sorted_settings(const std::vector<std::string>& set,
                                                       const SettingCheck& check);

// Overrides of a text model as sorted_settings. Errors: also invalid_argument for an unknown name,
// with near ones, and for a value out of its range.
base::Result<std::vector<std::string>> normalise_overrides(const std::vector<std::string>& set);

}  // namespace ingle::engines
