// Goal: messages of every released wire version can still be read, whole. Method: decodes each
// golden sample and encodes it again: no member may be lost or changed (later versions may add
// some). tests/protocol_ts does the same with the TypeScript schemas.
#include <gtest/gtest.h>

#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "protocol/codec.h"
#include "protocol/json.h"
#include "protocol/openapi.h"
#include "protocol/routes.h"
#include "protocol/version.h"
#include "protocol/wire_types.h"

namespace ingle::protocol {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = INGLE_GOLDEN_PROTOCOL;

using Recode = std::function<base::Result<std::string>(std::string_view)>;

template <class T>
base::Result<std::string> recode(std::string_view text) {
  return decode<T>(text).transform([](const T& value) { return encode(value); });
}

const std::map<std::string, Recode> kRecoders{
#define INGLE_RECODER(Type) {#Type, recode<Type>},
    INGLE_WIRE_TYPES(INGLE_RECODER)
#undef INGLE_RECODER
};

Json read_json(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  auto json = parse_json(text);
  EXPECT_TRUE(json) << path << ": " << json.error().message;
  return json ? *json : Json{};
}

// The path of the first thing of `old` that `now` lacks or has otherwise; empty when all is there.
std::string first_loss(const Json& old, const Json& now, const std::string& path) {
  if (const auto* members = old.as_object()) {
    for (const auto& [key, value] : *members) {
      const Json* kept = now.find(key);
      if (kept == nullptr) return path + "." + key;
      if (auto loss = first_loss(value, *kept, path + "." + key); !loss.empty()) return loss;
    }
    return now.as_object() ? "" : path;
  }
  if (const auto* items = old.as_array()) {
    const auto* kept = now.as_array();
    if (kept == nullptr || kept->size() != items->size()) return path;
    for (std::size_t i = 0; i < items->size(); ++i)
      if (auto loss = first_loss((*items)[i], (*kept)[i], std::format("{}[{}]", path, i));
          !loss.empty())
        return loss;
    return "";
  }
  return old == now ? "" : path;
}

TEST(Golden, FirstLossIsFound) {
  const auto loss = [](std::string_view old, std::string_view now) {
    return first_loss(*parse_json(old), *parse_json(now), "");
  };
  EXPECT_EQ(loss(R"({"a":[{"b":1}]})", R"({"a":[{"b":1,"c":2}],"d":0})"), "");
  EXPECT_EQ(loss(R"({"a":[{"b":1}]})", R"({"a":[{"b":2}]})"), ".a[0].b");
  EXPECT_EQ(loss(R"({"a":[1]})", R"({"a":[1,2]})"), ".a");
  EXPECT_EQ(loss(R"({"a":{}})", R"({"a":[]})"), ".a");
  EXPECT_EQ(loss(R"({"a":1})", "{}"), ".a");
}

TEST(Golden, EveryVersionCanBeRead) {
  int samples = 0;
  for (int version = kProtocolVersionMin; version <= kProtocolVersion; ++version) {
    const fs::path folder = kGolden / std::format("v{}", version);
    ASSERT_TRUE(fs::is_directory(folder)) << folder << ": run ./dev gen";
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != ".json") continue;
      const std::string type = entry.path().stem().string();
      ASSERT_TRUE(kRecoders.contains(type)) << type << " is gone from the wire";
      const Json file = read_json(entry.path());
      for (const auto* kind : {"full", "minimal"}) {
        const Json* sample = file.find(kind);
        ASSERT_NE(sample, nullptr) << entry.path() << " has no " << kind;
        const auto again = kRecoders.at(type)(print_json(*sample));
        ASSERT_TRUE(again) << entry.path() << ": " << again.error().message;
        EXPECT_EQ(first_loss(*sample, *parse_json(*again), ""), "") << entry.path() << " " << kind;
        ++samples;
      }
    }
  }
  EXPECT_GE(samples, 2 * 35);
}

TEST(OpenApiJson, IsTheDocumentOfTheRoutes) {
  const auto document = parse_json(openapi_json());
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(*document->find("openapi")->as_string(), "3.1.0");
  for (const auto& route : routes())
    EXPECT_NE(document->find("paths")->find(route.path), nullptr) << route.path;
}

}  // namespace
}  // namespace ingle::protocol
