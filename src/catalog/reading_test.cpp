// Goal: a file's facts survive the database, and no file makes reading fail but a missing one.
// Method: files of the sample writer, cut, emptied and with hostile texts; JSON there and back.
#include "catalog/reading.h"

#include <gtest/gtest.h>

#include "catalog/text.h"
#include "make_gguf/sample_model.h"
#include "protocol/json.h"
#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

gguf_writer::GgufWriter sample() {
  return gguf_writer::make_sample({.layers = 1, .embedding_length = 64, .feed_forward_length = 64})
      .value();
}

TEST(Reading, AGoodFileIsReadAndKeptWhole) {
  ingle::testing::TempFolder folder;
  const auto reading = read_model_file(folder.write("a.gguf", sample().bytes())).value();
  EXPECT_EQ(reading.problem, "");
  EXPECT_TRUE(reading.lasting);
  EXPECT_EQ(reading.facts.architecture, "llama");
  EXPECT_EQ(reading.facts.layers, 1u);
  EXPECT_EQ(reading.facts.parameters, sample().parameter_count());
  const auto json = encode_reading(reading);
  const auto back = decode_reading(json);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(encode_reading(*back), json);
  EXPECT_EQ(back->facts.kv_heads, reading.facts.kv_heads);
  EXPECT_EQ(back->facts.chat_template, reading.facts.chat_template);
}

TEST(Reading, ExtremeFactsSurviveTheDatabase) {
  FileReading reading{.problem = "quotes \" and \\ and \n",
                      .type = "adapter",
                      .facts = {.parameters = UINT64_MAX,
                                .kv_heads = {0, UINT32_MAX},
                                .chat_template = "{{ x }}\n\t",
                                .causal = false,
                                .has_classifier = true}};
  const auto back = decode_reading(encode_reading(reading)).value();
  EXPECT_EQ(back.problem, reading.problem);
  EXPECT_EQ(back.type, "adapter");
  EXPECT_EQ(back.facts.parameters, UINT64_MAX);
  EXPECT_EQ(back.facts.kv_heads, reading.facts.kv_heads);
  EXPECT_EQ(back.facts.chat_template, reading.facts.chat_template);
  EXPECT_FALSE(back.facts.causal);
  EXPECT_TRUE(back.facts.has_classifier);
}

TEST(Reading, BrokenFilesAreProblemsNotErrors) {
  ingle::testing::TempFolder folder;
  const std::string whole = sample().bytes();
  const auto problem = [&](std::string_view bytes) {
    const auto reading = read_model_file(folder.write("x.gguf", bytes)).value();
    EXPECT_TRUE(reading.lasting);
    return reading.problem;
  };
  EXPECT_NE(problem("").find("empty"), std::string::npos);
  EXPECT_NE(problem("GGUF"), "");
  EXPECT_NE(problem(std::string(1000, 'x')), "");
  EXPECT_NE(problem(std::string_view(whole).substr(0, whole.size() / 2)), "");
  EXPECT_NE(problem(std::string_view(whole).substr(0, 100)), "");
  EXPECT_EQ(read_model_file(folder / "none.gguf").error().code, base::ErrorCode::not_found);
  const auto not_a_file = read_model_file(folder.path()).value();
  EXPECT_NE(not_a_file.problem, "");
  EXPECT_FALSE(not_a_file.lasting);
}

TEST(Reading, HostileTextsComeOutAsValidText) {
  ingle::testing::TempFolder folder;
  gguf_writer::GgufWriter hostile;
  hostile.add("general.architecture", std::string("llama"));
  hostile.add("general.type", std::string("mo\x1b[2Jdel"));
  hostile.add("general.name", "evil\r\n\x1b]0;" + std::string(5000, 'n'));
  hostile.add("tokenizer.chat_template", std::string("{{ x }}\n\xff"));
  hostile.add_tensor("token_embd.weight", {32, 1}, gguf_writer::TensorType::f32,
                     [](std::uint64_t, std::span<float>) {});
  const auto reading = read_model_file(folder.write("h.gguf", hostile.bytes())).value();
  EXPECT_EQ(reading.problem, "");
  EXPECT_TRUE(is_printable(reading.facts.name)) << reading.facts.name;
  EXPECT_LT(reading.facts.name.size(), 300u);
  EXPECT_TRUE(is_printable(reading.type));
  EXPECT_EQ(reading.facts.chat_template, "{{ x }}\n\xef\xbf\xbd");
  EXPECT_TRUE(decode_reading(encode_reading(reading)));
}

TEST(Reading, AnEndlessTemplateIsLeftOut) {
  ingle::testing::TempFolder folder;
  gguf_writer::GgufWriter writer;
  writer.add("general.architecture", std::string("llama"));
  writer.add("tokenizer.chat_template", std::string(kTemplateBytesMax + 1, 't'));
  writer.add_tensor("token_embd.weight", {32, 1}, gguf_writer::TensorType::f32,
                    [](std::uint64_t, std::span<float>) {});
  const auto reading = read_model_file(folder.write("t.gguf", writer.bytes())).value();
  EXPECT_EQ(reading.problem, "");
  EXPECT_EQ(reading.facts.chat_template, "");
}

TEST(Reading, KeptReadingsThatAreNotOursAreRefused) {
  const std::string good = encode_reading({});
  ASSERT_TRUE(decode_reading(good));
  auto changed = protocol::parse_json(good).value();
  changed.set("version", kReadingVersion + 1);
  EXPECT_EQ(decode_reading(protocol::print_json(changed)).error().code,
            base::ErrorCode::version_mismatch);
  for (const auto& [name, value] : {std::pair<const char*, protocol::Json>{"layers", -1},
                                    {"layers", 1ll << 32},
                                    {"layers", "many"},
                                    {"causal", 1},
                                    {"kv_heads", 3},
                                    {"name", nullptr}}) {
    auto wrong = protocol::parse_json(good).value();
    wrong.find("facts")->set(name, value);
    EXPECT_EQ(decode_reading(protocol::print_json(wrong)).error().code, base::ErrorCode::malformed)
        << name;
  }
  auto lacking = protocol::parse_json(good).value();
  lacking.find("facts")->erase("heads");
  EXPECT_FALSE(decode_reading(protocol::print_json(lacking)));
  for (const char* text : {"", "null", "[]", "{}", "{\"version\":1}", "not json"})
    EXPECT_FALSE(decode_reading(text)) << text;
}

}  // namespace
}  // namespace ingle::catalog
