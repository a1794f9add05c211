// A schema passes only when the grammar made from it enforces every part: each keyword that would
// be dropped silently is refused with its place.
#include "api/openai/schema.h"

#include <gtest/gtest.h>

namespace ingle::api::openai {
namespace {

base::Status check(const std::string& schema) {
  return check_schema(protocol::parse_json(schema).value());
}

TEST(Schema, EnforcedOnesPass) {
  for (const char* schema : {
           R"({"type": "object", "properties": {"a": {"type": "string", "maxLength": 9},
               "b": {"type": ["integer", "null"]}}, "required": ["a"],
               "additionalProperties": false})",
           R"({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"const": "x"}]})",
           R"({"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1, "maxItems": 3,
               "$defs": {"n": {"enum": [1, 2]}}})",
           R"({"type": "string", "pattern": "^(a|b)[(]\\)$"})",
           R"({"type": "string", "format": "date", "title": "t", "description": "d"})",
           R"({"$ref": "#"})",
       })
    EXPECT_TRUE(check(schema)) << schema << check(schema).error().message;
}

struct Refused {
  const char* schema;
  base::ErrorCode code;
  const char* words;
};

TEST(Schema, NotEnforcedOnesAreRefusedWithTheirPlace) {
  using enum base::ErrorCode;
  const Refused cases[] = {
      {R"({"not": {"type": "string"}})", unsupported, "'not'"},
      {R"({"properties": {"a": {"if": {}}}})", unsupported, "#/properties/a"},
      {R"({"type": "array", "uniqueItems": true})", unsupported, "'uniqueItems'"},
      {R"({"type": "number", "minimum": 1})", unsupported, "'minimum'"},
      {R"({"type": "integer", "minimum": 1.5})", unsupported, "fractional"},
      {R"({"type": "string", "pattern": "abc"})", unsupported, "anchored"},
      {R"({"type": "string", "pattern": "^(?=a)b$"})", unsupported, "look-around"},
      {R"({"type": "string", "pattern": "^(a$"})", invalid_argument, "open bracket"},
      {R"({"type": "string", "pattern": "^[a$"})", invalid_argument, "open bracket"},
      {R"({"type": "string", "format": "email"})", unsupported, "'format'"},
      {R"({"type": "bogus"})", invalid_argument, "unknown 'type'"},
      {R"({"type": []})", invalid_argument, "unknown 'type'"},
      {R"({"$ref": "#/nope"})", invalid_argument, "not there"},
      {R"({"$ref": "https://example.org/s"})", unsupported, "elsewhere"},
      {R"({"type": "string", "minLength": 100000})", unsupported, "at most 2000"},
      {R"({"type": "string", "minLength": -1})", invalid_argument, "no count"},
      {R"({"anyOf": []})", invalid_argument, "list of schemas"},
      {R"({"properties": []})", invalid_argument, "object of schemas"},
      {R"([])", invalid_argument, "must be an object"},
  };
  for (const auto& bad : cases) {
    const auto status = check(bad.schema);
    ASSERT_FALSE(status) << bad.schema;
    EXPECT_EQ(status.error().code, bad.code) << bad.schema;
    EXPECT_NE(status.error().message.find(bad.words), std::string::npos)
        << bad.schema << ": " << status.error().message;
  }
}

TEST(Schema, SizeIsBounded) {
  std::string properties;
  for (int i = 0; i < 6000; ++i)
    properties += (i ? ", \"p" : "\"p") + std::to_string(i) + "\": {\"type\": \"string\"}";
  const auto status = check("{\"properties\": {" + properties + "}}");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, base::ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace ingle::api::openai
