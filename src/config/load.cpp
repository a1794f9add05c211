#include <algorithm>
#include <array>
#include <filesystem>
#include <format>

#include "base/near_names.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/rules.h"
#include "config/toml_file.h"

namespace ingle::config {
namespace {

using base::ErrorCode;
using base::Status;

constexpr std::array<std::string_view, 3> kOtherVariables{"INGLE_HOME", "INGLE_API_KEY",
                                                          "INGLE_URL"};
constexpr std::array<std::string_view, 3> kOtherPrefixes{"INGLE_DEV_", "INGLE_BUILD_",
                                                         "INGLE_TEST_"};

bool is_other_variable(std::string_view name) {
  return std::ranges::contains(kOtherVariables, name) ||
         std::ranges::any_of(kOtherPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

// The values as they fill up, layer by layer.
class Loading {
 public:
  explicit Loading(protocol::Config& values) : keys_(keys_of(values)), origins_(keys_.size()) {}

  Status read_file(const Sources& sources);
  Status read_environment(const Sources& sources);
  Status read_flags(const Sources& sources);
  std::vector<Entry> entries() const;

 private:
  // `where` begins the message of an error: "/etc/ingle.toml:3: ".
  Status put(std::string_view where, std::size_t index, Value value, Origin origin);
  Status put_bare(std::string_view where, std::size_t index, std::string_view text, Origin origin);
  Status accept(std::string_view where, std::size_t index, const Status& assigned, Origin origin);
  std::optional<std::size_t> index_of(std::string_view name) const;
  base::Error unknown_key(std::string_view where, std::string_view name) const;
  std::vector<std::string> names(std::string Key::* field) const;

  std::vector<Key> keys_;  // their targets are in the Config given
  std::vector<Origin> origins_;
};

std::optional<std::size_t> Loading::index_of(std::string_view name) const {
  const auto found = std::ranges::find(keys_, name, &Key::name);
  if (found == keys_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - keys_.begin());
}

std::vector<std::string> Loading::names(std::string Key::* field) const {
  std::vector<std::string> out;
  for (const auto& key : keys_) out.push_back(key.*field);
  return out;
}

base::Error Loading::unknown_key(std::string_view where, std::string_view name) const {
  const auto known = names(&Key::name);
  auto hint = base::did_you_mean(name, known);
  if (hint.empty()) hint = "; `ingle config show` lists every key";
  return {ErrorCode::invalid_argument, std::format("{}unknown key '{}'{}", where, name, hint)};
}

Status Loading::accept(std::string_view where, std::size_t index, const Status& assigned,
                       Origin origin) {
  const auto refuse = [&](const base::Error& error) {
    return base::fail(error.code, std::format("{}{} {}", where, keys_[index].name, error.message));
  };
  if (!assigned) return refuse(assigned.error());
  if (const auto checked = check_rule(keys_[index]); !checked) return refuse(checked.error());
  origins_[index] = std::move(origin);
  return {};
}

Status Loading::put(std::string_view where, std::size_t index, Value value, Origin origin) {
  const auto& key = keys_[index];
  auto sized = size_to_bytes(key, std::move(value));
  return accept(where, index,
                sized ? assign(key.target, *sized) : std::unexpected(std::move(sized).error()),
                std::move(origin));
}

Status Loading::put_bare(std::string_view where, std::size_t index, std::string_view text,
                         Origin origin) {
  const auto& key = keys_[index];
  const auto sized = size_to_bytes(key, Value{std::string(text)});
  if (!sized || std::holds_alternative<std::int64_t>(sized->value))
    return put(where, index, Value{std::string(text)}, std::move(origin));
  return accept(where, index, assign_bare(key.target, text), std::move(origin));
}

Status Loading::read_file(const Sources& sources) {
  if (sources.toml_text.empty()) return {};
  const auto file_name = std::filesystem::path(sources.toml_path).filename().string();
  const auto where = [&](int line) { return std::format("{}:{}: ", sources.toml_path, line); };
  const auto items = parse_toml(sources.toml_text);
  if (!items)
    return base::fail(ErrorCode::malformed,
                      where(items.error().line) + "not TOML: " + items.error().message);
  for (const auto& item : *items) {
    const auto index = index_of(item.key);
    if (!index) {
      // An empty section that exists says nothing, and is fine.
      const bool section = std::holds_alternative<Value::Other>(item.value.value) &&
                           std::ranges::any_of(keys_, [&](const Key& key) {
                             return key.name.starts_with(item.key + ".");
                           });
      if (section) continue;
      return base::fail(unknown_key(where(item.line), item.key));
    }
    TRY(put(where(item.line), *index, item.value,
            {Origin::Layer::file, std::format("{}:{}", file_name, item.line)}));
  }
  return {};
}

Status Loading::read_environment(const Sources& sources) {
  for (const auto& [name, value] : sources.environment) {
    if (!name.starts_with("INGLE_") || is_other_variable(name)) continue;
    const auto found = std::ranges::find(keys_, name, &Key::variable);
    if (found == keys_.end()) {
      auto known = names(&Key::variable);
      known.insert(known.end(), kOtherVariables.begin(), kOtherVariables.end());
      return base::fail(ErrorCode::invalid_argument,
                        std::format("unknown variable {} in the environment{}", name,
                                    base::did_you_mean(name, known)));
    }
    TRY(put_bare(name + ": ", static_cast<std::size_t>(found - keys_.begin()), value,
                 {Origin::Layer::environment, name}));
  }
  return {};
}

Status Loading::read_flags(const Sources& sources) {
  for (const auto& [flag, key, value] : sources.flags) {
    const auto where = flag + ": ";
    const auto index = index_of(key);
    if (!index) return base::fail(unknown_key(where, key));
    const Origin origin{Origin::Layer::flag, flag};
    // Bare text is meant where TOML would say something else than the key takes: `--host 1234`.
    const bool wants_text = std::holds_alternative<std::string*>(keys_[*index].target);
    const auto toml = parse_toml_value(value);
    if (toml && (!wants_text || std::holds_alternative<std::string>(toml->value)))
      TRY(put(where, *index, *toml, origin));
    else
      TRY(put_bare(where, *index, value, origin));
  }
  return {};
}

std::vector<Entry> Loading::entries() const {
  std::vector<Entry> out;
  for (std::size_t i = 0; i < keys_.size(); ++i)
    out.push_back({.key = keys_[i].name,
                   .value = to_toml(keys_[i].target),
                   .doc = std::string(keys_[i].doc),
                   .origin = origins_[i]});
  return out;
}

}  // namespace

base::Result<Loaded> load(const Sources& sources) {
  Loaded out;
  Loading loading(out.values);
  TRY(loading.read_file(sources));
  TRY(loading.read_environment(sources));
  TRY(loading.read_flags(sources));
  out.entries = loading.entries();
  return out;
}

}  // namespace ingle::config
