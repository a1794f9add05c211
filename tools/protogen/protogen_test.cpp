// Goal: the generator reads the structs rightly, finds what is wrong with them, and what it makes
// agrees with the codecs. Method: the real wire, and small structs with known faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "protocol/codec.h"
#include "protocol/routes.h"
#include "protocol/wire_types.h"
#include "protogen/describe.h"
#include "protogen/generate.h"

namespace ingle::protogen {
namespace {

using protocol::Json;

enum class Undocumented { first, second };

struct Faulty {
  DOC("Has a meaning.") int good = 0;
  int without_meaning = 0;
  DOC("Is badly named.") std::string badName{};
  DOC("Has an enum without a meaning.") Undocumented choice{};
};

TEST(WireModel, FindsEveryFault) {
  WireModel model;
  model.structs.push_back(describe_struct<Faulty>(model.enums));
  model.unlisted = {"Forgotten"};
  const auto faults = wire_faults(model);
  ASSERT_EQ(faults.size(), 4u);
  EXPECT_EQ(faults[0], "Forgotten is not in wire_types.h: add it to INGLE_WIRE_TYPES");
  EXPECT_EQ(faults[1], "Faulty.without_meaning has no DOC: say what it means, with its unit");
  EXPECT_EQ(faults[2], "Faulty.badName is not snake_case");
  EXPECT_EQ(faults[3], "Undocumented has no DOC: say what it is");
}

TEST(WireModel, HasNoFaults) { EXPECT_EQ(wire_faults(wire_model()), std::vector<std::string>{}); }

TEST(WireModel, DescribesTypesDefaultsAndMeanings) {
  const WireModel model = wire_model();
  const auto& server = model.find_struct("ServerConfig");
  EXPECT_EQ(server.fields[1].name, "port");
  EXPECT_EQ(server.fields[1].doc, "Port to listen on; 0 picks a free one.");
  EXPECT_EQ(server.fields[1].type.kind, WireKind::integer);
  EXPECT_EQ(server.fields[1].type.maximum, INT64_MAX);
  EXPECT_EQ(server.fields[1].default_value, Json(46453));
  const auto& event = model.find_struct("Event");
  EXPECT_TRUE(is_tag(event.fields[0]));
  EXPECT_EQ(event.fields[4].name, "log");
  EXPECT_TRUE(event.fields[4].is_optional);
  EXPECT_EQ(event.fields[4].type.name, "LogEvent");
  EXPECT_EQ(model.find_enum("Topic").values,
            (std::vector<std::string>{"log", "model", "warmup", "job", "decision", "queue"}));
  EXPECT_TRUE(std::ranges::contains(model.error_codes, std::string("model_not_found")));
}

template <class T>
void expect_codec_agrees(const WireModel& model, const WireStruct& type) {
  for (const Json& sample : {full_sample(model, type), minimal_sample(type)}) {
    const auto value = protocol::decode<T>(protocol::print_json(sample));
    ASSERT_TRUE(value) << type.name << ": " << value.error().message;
    EXPECT_EQ(protocol::encode(*value), protocol::print_json(sample)) << type.name;
  }
  EXPECT_EQ(protocol::encode(T{}), protocol::print_json(minimal_sample(type)));
}

TEST(Samples, PassThroughTheCodecs) {
  const WireModel model = wire_model();
#define INGLE_EXPECT(Type) expect_codec_agrees<protocol::Type>(model, model.find_struct(#Type));
  INGLE_WIRE_TYPES(INGLE_EXPECT)
#undef INGLE_EXPECT
}

TEST(Samples, LeaveNoFieldAtItsDefault) {
  const WireModel model = wire_model();
  for (const auto& type : model.structs) {
    const Json full = full_sample(model, type);
    for (const auto& field : type.fields) {
      const Json* value = full.find(field.name);
      ASSERT_NE(value, nullptr) << type.name << "." << field.name;
      if (is_tag(field)) continue;
      EXPECT_NE(*value, field.default_value) << type.name << "." << field.name;
    }
  }
}

// Every "$ref" in a document, at any depth.
void collect_references(const Json& json, std::set<std::string>& out) {
  if (const auto* items = json.as_array())
    for (const auto& item : *items) collect_references(item, out);
  if (const auto* members = json.as_object())
    for (const auto& [key, value] : *members) {
      if (key == "$ref") out.insert(*value.as_string());
      collect_references(value, out);
    }
}

const Json* follow(const Json& document, std::string_view reference) {
  const Json* at = &document;
  for (std::size_t start = 2; at != nullptr && start <= reference.size();) {
    const auto end = std::min(reference.find('/', start), reference.size());
    at = at->find(reference.substr(start, end - start));
    start = end + 1;
  }
  return at;
}

TEST(OpenApi, RefersOnlyToWhatIsThere) {
  const WireModel model = wire_model();
  const Json document = openapi_document(model);
  std::set<std::string> references;
  collect_references(document, references);
  EXPECT_GT(references.size(), 30u);
  for (const auto& reference : references)
    EXPECT_NE(follow(document, reference), nullptr) << reference;
  EXPECT_EQ(follow(document, "#/components/schemas/Nothing"), nullptr);
}

TEST(OpenApi, DescribesEveryRoute) {
  const WireModel model = wire_model();
  const Json document = openapi_document(model);
  std::set<std::string_view> names;
  for (const auto& route : protocol::routes()) {
    EXPECT_TRUE(names.insert(route.name).second) << route.name << " is there twice";
    std::string method(route.method);
    std::ranges::transform(method, method.begin(), [](unsigned char c) { return std::tolower(c); });
    const Json* path = document.find("paths")->find(route.path);
    ASSERT_NE(path, nullptr) << route.path;
    const Json* operation = path->find(method);
    ASSERT_NE(operation, nullptr) << route.path;
    EXPECT_EQ(*operation->find("operationId")->as_string(), route.name);
    EXPECT_EQ(operation->find("requestBody") != nullptr, !route.request.empty());
    EXPECT_EQ(operation->find("security") == nullptr, route.needs_key);
  }
}

TEST(OpenApi, RequiresWhatAnswersAlwaysHave) {
  const WireModel model = wire_model();
  const Json answer = struct_schema(model.find_struct("ModelEvent"), "#/");
  EXPECT_EQ(*answer.find("required"), Json(Json::Array{"model", "state", "load_progress"}));
  const Json request = struct_schema(model.find_struct("LoadRequest"), "#/");
  EXPECT_EQ(request.find("required"), nullptr);
  EXPECT_EQ(*request.find("properties")->find("explain")->find("default"), Json(false));
}

TEST(Page, GetsItsTablesBetweenTheMarks) {
  const WireModel model = wire_model();
  const std::string page =
      "# P\n<!-- generated: routes -->\nstale line\n<!-- end -->\nkept\n"
      "<!-- generated: messages -->\n<!-- end -->\nkept, too\n";
  const auto made = page_with_tables(model, page);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->contains("| `GET` | `/livez` |"));
  EXPECT_TRUE(made->contains("| `protocol_version` | int32 |"));
  EXPECT_FALSE(made->contains("stale line"));
  EXPECT_TRUE(made->contains("<!-- end -->\nkept\n"));
  EXPECT_TRUE(made->ends_with("<!-- end -->\nkept, too\n"));
  EXPECT_EQ(page_with_tables(model, *made), made);
  EXPECT_FALSE(page_with_tables(model, "# No marks\n"));
}

TEST(Schema, StandsAlone) {
  const WireModel model = wire_model();
  const Json schema = standalone_schema(model, model.find_struct("Event"));
  EXPECT_EQ(*schema.find("title")->as_string(), "Event");
  for (const auto* name : {"LogEvent", "LogSeverity", "ModelEvent", "WorkerState", "ErrorInfo"})
    EXPECT_NE(schema.find("$defs")->find(name), nullptr) << name;
  EXPECT_EQ(schema.find("$defs")->find("Hello"), nullptr);
  std::set<std::string> references;
  collect_references(schema, references);
  for (const auto& reference : references)
    EXPECT_NE(follow(schema, reference), nullptr) << reference;
}

}  // namespace
}  // namespace ingle::protogen
