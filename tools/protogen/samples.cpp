#include <string>

#include "base/check.h"
#include "protogen/generate.h"

namespace ingle::protogen {

using protocol::Json;

namespace {

// Numbers that no two fields of a sample share, so that two that are mixed up are seen. All fit
// the integers that JavaScript keeps exact.
class SampleMaker {
 public:
  explicit SampleMaker(const WireModel& model) : model_(model) {}

  Json of_struct(const WireStruct& type) {
    Json::Object out;
    for (const auto& field : type.fields)
      out.emplace_back(field.name, is_tag(field) ? field.default_value : of_field(field));
    return out;
  }

 private:
  Json of_field(const WireField& field) {
    if (field.type.kind == WireKind::boolean && !field.is_optional)
      return !*field.default_value.as_bool();
    if (field.type.kind == WireKind::enumeration)
      return other_value(model_.find_enum(field.type.name), field.default_value);
    return of_type(field.type, field.name);
  }

  Json of_type(const WireType& type, const std::string& name) {
    ++count_;
    switch (type.kind) {
      case WireKind::boolean:
        return true;
      case WireKind::integer:
        return type.maximum == INT64_MAX ? (std::int64_t{1} << 40) + count_ : 1000 + count_;
      case WireKind::number:
        return static_cast<double>(count_) + 0.25;
      // Quotes, a backslash, a line break, two and four bytes of UTF-8: what codecs get wrong.
      case WireKind::text:
        return name + " \"" + std::to_string(count_) + "\" \\ \n \u00e9 \U0001F525";
      case WireKind::list:
        return Json::Array{of_type(type.element[0], name + "[0]"),
                           of_type(type.element[0], name + "[1]")};
      case WireKind::map:
        return Json::Object{{"a", of_type(type.element[0], name + ".a")},
                            {"b c", of_type(type.element[0], name + ".b")}};
      case WireKind::structure:
        return of_struct(model_.find_struct(type.name));
      case WireKind::enumeration:
        break;
    }
    return model_.find_enum(type.name).values.back();
  }

  static Json other_value(const WireEnum& type, const Json& value) {
    CHECK(type.values.size() > 1, "an enum has a choice");
    return Json(type.values.back()) == value ? type.values.front() : type.values.back();
  }

  const WireModel& model_;
  std::int64_t count_ = 0;
};

}  // namespace

Json full_sample(const WireModel& model, const WireStruct& type) {
  return SampleMaker(model).of_struct(type);
}

Json minimal_sample(const WireStruct& type) {
  Json::Object out;
  for (const auto& field : type.fields)
    if (!field.is_optional) out.emplace_back(field.name, field.default_value);
  return out;
}

std::string golden_text(const WireModel& model, const WireStruct& type) {
  return protocol::print_json_pretty(
             Json::Object{{"full", full_sample(model, type)}, {"minimal", minimal_sample(type)}}) +
         "\n";
}

}  // namespace ingle::protogen
