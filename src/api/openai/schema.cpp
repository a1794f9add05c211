#include "api/openai/schema.h"

#include <algorithm>
#include <array>
#include <format>
#include <string>

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::size_t kNodesMax = 5000;
constexpr double kRepetitionMax = 2000;  // the grammar unrolls repetitions

enum class Rule {
  enforced,    // the grammar holds it
  annotation,  // constrains nothing
  schema,      // a sub-schema
  schemas,     // an array of sub-schemas
  properties,  // an object of sub-schemas
  count,       // a repetition: a whole number, bounded
  integers,    // a bound that the grammar holds for integers only
  anchored,    // a regular expression; held only from ^ to $
  format,      // one of the formats below
};

struct Keyword {
  std::string_view name;
  Rule rule;
};

constexpr std::array kKeywords{
    Keyword{"type", Rule::enforced},
    Keyword{"enum", Rule::enforced},
    Keyword{"const", Rule::enforced},
    Keyword{"required", Rule::enforced},
    Keyword{"$ref", Rule::enforced},
    Keyword{"properties", Rule::properties},
    Keyword{"$defs", Rule::properties},
    Keyword{"definitions", Rule::properties},
    Keyword{"additionalProperties", Rule::schema},
    Keyword{"items", Rule::schema},
    Keyword{"prefixItems", Rule::schemas},
    Keyword{"anyOf", Rule::schemas},
    Keyword{"oneOf", Rule::schemas},
    Keyword{"allOf", Rule::schemas},
    Keyword{"minItems", Rule::count},
    Keyword{"maxItems", Rule::count},
    Keyword{"minLength", Rule::count},
    Keyword{"maxLength", Rule::count},
    Keyword{"minimum", Rule::integers},
    Keyword{"maximum", Rule::integers},
    Keyword{"exclusiveMinimum", Rule::integers},
    Keyword{"exclusiveMaximum", Rule::integers},
    Keyword{"pattern", Rule::anchored},
    Keyword{"format", Rule::format},
    Keyword{"title", Rule::annotation},
    Keyword{"description", Rule::annotation},
    Keyword{"default", Rule::annotation},
    Keyword{"examples", Rule::annotation},
    Keyword{"deprecated", Rule::annotation},
    Keyword{"$schema", Rule::annotation},
    Keyword{"$id", Rule::annotation},
    Keyword{"$comment", Rule::annotation},
    Keyword{"$anchor", Rule::annotation},
    Keyword{"readOnly", Rule::annotation},
    Keyword{"writeOnly", Rule::annotation},
    Keyword{"strict", Rule::annotation},
};

constexpr std::array<std::string_view, 7> kTypes{"string", "number", "integer", "boolean",
                                                 "object", "array",  "null"};
constexpr std::array<std::string_view, 4> kFormats{"date", "time", "date-time", "uuid"};

class Checker {
 public:
  explicit Checker(const Json& root) : root_(root) {}

  base::Status check(const Json& schema, const std::string& place) {
    if (++nodes_ > kNodesMax)
      return fail(ErrorCode::limit_exceeded,
                  std::format("the schema has over {} parts", kNodesMax));
    if (schema.as_bool() != nullptr) return {};
    const auto* members = schema.as_object();
    if (members == nullptr)
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} must be an object", place));
    for (const auto& [name, value] : *members) TRY(check_member(schema, name, value, place));
    TRY(check_required(schema, place));
    TRY(check_range(schema, "minItems", "maxItems", place));
    TRY(check_range(schema, "minLength", "maxLength", place));
    return check_range(schema, "minimum", "maximum", place);
  }

 private:
  static base::Status not_enforced(std::string_view what, const std::string& place) {
    return fail(ErrorCode::unsupported,
                std::format("the schema at {} uses {}, which cannot be enforced while generating; "
                            "take it out and check the answer yourself",
                            place, what));
  }

  base::Status check_member(const Json& schema, const std::string& name, const Json& value,
                            const std::string& place) {
    const auto known = std::ranges::find(kKeywords, name, &Keyword::name);
    if (known == kKeywords.end()) return not_enforced("'" + name + "'", place);
    switch (known->rule) {
      case Rule::annotation:
        return {};
      case Rule::enforced:
        return check_enforced(name, value, place);
      case Rule::schema:
        return value.as_array() != nullptr ? check_list(value, place + "/" + name)
                                           : check(value, place + "/" + name);
      case Rule::schemas:
        return check_list(value, place + "/" + name);
      case Rule::properties:
        return check_properties(value, place + "/" + name);
      case Rule::count:
        return check_count(name, value, place);
      case Rule::integers:
        if (const auto* type = schema.find("type");
            type != nullptr && type->as_string() != nullptr && *type->as_string() == "integer")
          return value.as_int() ? base::Status{}
                                : not_enforced("a fractional '" + name + "'", place);
        return not_enforced("'" + name + "' of a number that need not be an integer", place);
      case Rule::anchored:
        return check_pattern(value, place);
      case Rule::format:
        if (value.as_string() != nullptr && std::ranges::contains(kFormats, *value.as_string()))
          return {};
        return not_enforced("this 'format'", place);
    }
    return {};
  }

  base::Status check_enforced(const std::string& name, const Json& value,
                              const std::string& place) {
    if (name == "$ref") return check_reference(value, place);
    if (name != "type") return {};
    const auto is_type = [](const Json& item) {
      return item.as_string() != nullptr && std::ranges::contains(kTypes, *item.as_string());
    };
    const auto* list = value.as_array();
    if (list != nullptr ? !list->empty() && std::ranges::all_of(*list, is_type) : is_type(value))
      return {};
    return fail(ErrorCode::invalid_argument,
                std::format("the schema at {} has an unknown 'type'", place));
  }

  // "#" and "#/a/b" within the schema; nothing is fetched.
  base::Status check_reference(const Json& value, const std::string& place) {
    const auto* target = value.as_string();
    if (target == nullptr || !target->starts_with('#'))
      return not_enforced("a '$ref' to elsewhere", place);
    const Json* at = &root_;
    std::string_view rest = std::string_view(*target).substr(1);
    while (at != nullptr && !rest.empty()) {
      rest.remove_prefix(1);  // the slash
      const auto end = rest.find('/');
      at = at->find(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
    }
    if (at == nullptr)
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} refers to {}, which is not there", place, *target));
    return {};
  }

  base::Status check_list(const Json& value, const std::string& place) {
    const auto* list = value.as_array();
    if (list == nullptr || list->empty())
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} must be a list of schemas", place));
    for (std::size_t i = 0; i < list->size(); ++i)
      TRY(check((*list)[i], place + "/" + std::to_string(i)));
    return {};
  }

  base::Status check_properties(const Json& value, const std::string& place) {
    const auto* members = value.as_object();
    if (members == nullptr)
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} must be an object of schemas", place));
    for (const auto& [name, schema] : *members) TRY(check(schema, place + "/" + name));
    return {};
  }

  base::Status check_count(const std::string& name, const Json& value, const std::string& place) {
    const auto count = value.as_int();
    if (!count || *count < 0)
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} has a '{}' that is no count", place, name));
    if (static_cast<double>(*count) > kRepetitionMax)
      return fail(ErrorCode::unsupported,
                  std::format("the schema at {} has '{}' {}; at most {} can be enforced", place,
                              name, *count, kRepetitionMax));
    return {};
  }

  // The grammar writes the listed properties only.
  static base::Status check_required(const Json& schema, const std::string& place) {
    const Json* required = schema.find("required");
    if (required == nullptr) return {};
    const Json* properties = schema.find("properties");
    const auto is_listed = [&](const Json& name) {
      return name.as_string() != nullptr && properties != nullptr &&
             properties->find(*name.as_string()) != nullptr;
    };
    if (const auto* names = required->as_array();
        names != nullptr && std::ranges::all_of(*names, is_listed))
      return {};
    return not_enforced("a 'required' that is no list of names in 'properties'", place);
  }

  // No value lies in an empty range; the grammar for it would let an empty answer through.
  static base::Status check_range(const Json& schema, std::string_view low, std::string_view high,
                                  const std::string& place) {
    const Json* from = schema.find(low);
    const Json* to = schema.find(high);
    if (from == nullptr || to == nullptr) return {};
    if (from->as_double().value_or(0) <= to->as_double().value_or(0)) return {};
    return fail(ErrorCode::invalid_argument,
                std::format("the schema at {} has a '{}' over its '{}'", place, low, high));
  }

  base::Status check_pattern(const Json& value, const std::string& place) {
    const auto* pattern = value.as_string();
    if (pattern == nullptr || !pattern->starts_with('^') || !pattern->ends_with('$'))
      return not_enforced("a 'pattern' that is not anchored as ^...$", place);
    // Unbalanced groups and classes break the grammar only while it runs.
    int depth = 0;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern->size(); ++i) {
      const char c = (*pattern)[i];
      if (c == '\\') {
        ++i;
      } else if (in_class) {
        in_class = c != ']';
      } else if (c == '[') {
        in_class = true;
      } else if (c == '(') {
        if (pattern->compare(i, 2, "(?") == 0 && pattern->compare(i, 3, "(?:") != 0)
          return not_enforced("a look-around or named group in 'pattern'", place);
        ++depth;
      } else if (c == ')' && --depth < 0) {
        break;
      }
    }
    if (depth != 0 || in_class)
      return fail(ErrorCode::invalid_argument,
                  std::format("the schema at {} has a 'pattern' with an open bracket", place));
    return {};
  }

  const Json& root_;
  std::size_t nodes_ = 0;
};

}  // namespace

base::Status check_schema(const Json& schema) { return Checker(schema).check(schema, "#"); }

}  // namespace ingle::api::openai
