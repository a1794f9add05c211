#include "config/toml_file.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <algorithm>
#include <toml++/toml.hpp>

namespace ingle::config {
namespace {

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

Value value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return {text->get()};
  if (const auto* number = node.as_integer()) return {number->get()};
  if (const auto* number = node.as_floating_point()) return {number->get()};
  if (const auto* truth = node.as_boolean()) return {truth->get()};
  if (const auto* array = node.as_array()) {
    std::vector<std::string> out;
    for (const auto& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return {Value::Other{"a list with " + type_name(item) + " in it"}};
      out.push_back(text->get());
    }
    return {std::move(out)};
  }
  return {Value::Other{type_name(node)}};
}

int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

// An inner table has no value of its own: its first key stands for it.
void add_item(std::vector<TomlItem>& items, std::string key, const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr || table->empty())
    items.push_back({std::move(key), line_of(node), value_of(node)});
  else
    for (const auto& [name, inner] : *table)
      items.push_back({key + "." + std::string(name.str()), line_of(inner), value_of(inner)});
}

}  // namespace

std::expected<std::vector<TomlItem>, TomlFault> parse_toml(std::string_view text) {
  if (text.size() > kTomlBytesMax) return std::unexpected(TomlFault{1, "is over 1 MiB long"});
  const auto parsed = toml::parse(text);
  if (!parsed)
    return std::unexpected(TomlFault{static_cast<int>(parsed.error().source().begin.line),
                                     std::string(parsed.error().description())});
  std::vector<TomlItem> items;
  for (const auto& [name, node] : parsed.table()) {
    const auto* section = node.as_table();
    if (section == nullptr) {
      items.push_back({std::string(name.str()), line_of(node), value_of(node)});
      continue;
    }
    if (section->empty())
      items.push_back({std::string(name.str()), line_of(node), {Value::Other{"a table"}}});
    for (const auto& [key, inner] : *section)
      add_item(items, std::string(name.str()) + "." + std::string(key.str()), inner);
  }
  std::ranges::stable_sort(items, {}, &TomlItem::line);
  return items;
}

std::optional<Value> parse_toml_value(std::string_view text) {
  if (text.size() > kTomlBytesMax || text.find('\n') != std::string_view::npos) return std::nullopt;
  const auto parsed = toml::parse("value = " + std::string(text));
  if (!parsed || parsed.table().size() != 1) return std::nullopt;
  const auto* node = parsed.table().get("value");
  if (node == nullptr) return std::nullopt;
  return value_of(*node);
}

}  // namespace ingle::config
