// Goal: parse() reads what the format allows and refuses every known way a header can be bad, with
// the right code and without a crash. Method: fields written one by one (raw_gguf.h), a case per
// fault; the names of cases say which published fault of other readers they stand for. Tensors are
// in directory_test.cpp.
#include "gguf/reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gguf/raw_gguf.h"
#include "make_gguf/gguf_writer.h"

namespace ingle::gguf {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// The error must have this code and speak of this.
void expect_error(const Parsed& parsed, ErrorCode code, std::string_view about) {
  ASSERT_FALSE(parsed.header.has_value()) << "accepted: " << about;
  EXPECT_EQ(base::error_code_name(parsed.error().code), base::error_code_name(code))
      << parsed.error().text();
  EXPECT_TRUE(parsed.error().text().contains(about)) << parsed.error().text();
}

TEST(Reader, ReadsEveryScalarType) {
  RawGguf raw(0, 11);
  raw.key("u8", ValueType::u8).put(std::uint8_t{200});
  raw.key("i8", ValueType::i8).put(std::int8_t{-100});
  raw.key("u16", ValueType::u16).put(std::uint16_t{60000});
  raw.key("i16", ValueType::i16).put(std::int16_t{-30000});
  raw.key("u32", ValueType::u32).put(std::uint32_t{4000000000});
  raw.key("i32", ValueType::i32).put(std::int32_t{-2000000000});
  raw.key("f32", ValueType::f32).put(1.5f);
  raw.key("yes", ValueType::boolean).put(std::uint8_t{1});
  raw.key("text", ValueType::string).string("hearth");
  raw.key("u64", ValueType::u64).put(kHuge);
  raw.key("f64", ValueType::f64).put(-0.25);
  const auto parsed = parse_copy(raw);
  ASSERT_TRUE(parsed.header) << parsed.error().text();
  const auto& header = *parsed.header;
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.find("u8")->as_unsigned(), 200u);
  EXPECT_EQ(header.find("i8")->as_number(), -100.0);
  EXPECT_EQ(header.find("i8")->as_unsigned(), std::nullopt);
  EXPECT_EQ(header.find("u16")->as_unsigned(), 60000u);
  EXPECT_EQ(header.find("i16")->as_number(), -30000.0);
  EXPECT_EQ(header.find("u32")->as_unsigned(), 4000000000u);
  EXPECT_EQ(header.find("i32")->as_number(), -2000000000.0);
  EXPECT_EQ(header.find("f32")->as_number(), 1.5);
  EXPECT_EQ(header.find("yes")->as_bool(), true);
  EXPECT_EQ(header.find("text")->as_string(), "hearth");
  EXPECT_EQ(header.find("u64")->as_unsigned(), kHuge);
  EXPECT_EQ(header.find("f64")->as_number(), -0.25);
  EXPECT_EQ(header.find("absent"), nullptr);
}

TEST(Reader, ReadsArraysInPlace) {
  RawGguf raw(0, 3);
  raw.array("words", ValueType::string, 3).string("warm").string("").string("fire");
  raw.array("numbers", ValueType::i16, 2).put(std::int16_t{-1}).put(std::int16_t{7});
  raw.array("none", ValueType::string, 0);
  const auto parsed = parse_copy(raw);
  ASSERT_TRUE(parsed.header) << parsed.error().text();
  std::string joined;
  const auto* words = parsed.header->find("words")->as_array();
  words->for_each_string([&joined](std::string_view word) { (joined += word) += '|'; });
  EXPECT_EQ(joined, "warm||fire|");
  const auto* numbers = parsed.header->find("numbers")->as_array();
  ASSERT_EQ(numbers->count, 2u);
  EXPECT_EQ(numbers->at(0).as_number(), -1.0);
  EXPECT_EQ(numbers->at(1).as_unsigned(), 7u);
  parsed.header->find("none")->as_array()->for_each_string([](std::string_view) { FAIL(); });
}

TEST(Reader, AcceptsVersion2AndNoTensors) {
  EXPECT_TRUE(parse_copy(RawGguf(0, 0, 2)).header);
  EXPECT_TRUE(parse_copy(RawGguf(0, 0, 3)).header);
}

TEST(Reader, RefusesWhatIsNoGguf) {
  expect_error(parse_copy(""), ErrorCode::malformed, "magic");
  expect_error(parse_copy("<!DOCTYPE html><html>"), ErrorCode::malformed, "no GGUF file");
  expect_error(parse_copy(std::string(4096, '\0')), ErrorCode::malformed, "no GGUF file");
}

// CVE-2024-39720: a file of just the magic was read past its end.
TEST(Reader, RefusesFourByteFile) {
  expect_error(parse_copy("GGUF"), ErrorCode::malformed, "ends too early");
}

TEST(Reader, RefusesUnknownVersions) {
  expect_error(parse_copy(RawGguf(0, 0, 1)), ErrorCode::unsupported, "version 1");
  expect_error(parse_copy(RawGguf(0, 0, 4)), ErrorCode::unsupported, "version 4");
  expect_error(parse_copy(RawGguf(0, 0, 0)), ErrorCode::unsupported, "version 0");
}

TEST(Reader, RefusesBigEndianByName) {
  expect_error(parse_copy(RawGguf(0, 0, 0x03000000)), ErrorCode::unsupported, "big-endian");
}

// CVE-2024-21825, -21836, -23496 (Talos): counts and lengths that overflow an allocation;
// CVE-2025-0315: an allocation as large as the file says.
TEST(Reader, RefusesHugeCounts) {
  expect_error(parse_copy(RawGguf(0, kHuge)), ErrorCode::malformed, "metadata count");
  expect_error(parse_copy(RawGguf(kHuge, 0)), ErrorCode::malformed, "tensor count");
  expect_error(parse_copy(RawGguf(kHuge / 8 + 1, kHuge / 8 + 1)), ErrorCode::malformed, "count");
  // Within the limits, but not there.
  expect_error(parse_copy(RawGguf(0, 60'000)), ErrorCode::malformed, "ends too early");
  expect_error(parse_copy(RawGguf(200'000, 0)), ErrorCode::malformed, "ends too early");
}

TEST(Reader, RefusesCountsOverTheLimits) {
  RawGguf raw(0, 2);
  raw.u32("a", 1).u32("b", 2);
  expect_error(parse_copy(raw, {.metadata_count_max = 1}), ErrorCode::limit_exceeded,
               "metadata count");
  RawGguf long_key(0, 1);
  long_key.u32(std::string(100, 'k'), 1);
  expect_error(parse_copy(long_key, {.key_bytes_max = 99}), ErrorCode::limit_exceeded, "key");
  RawGguf text(0, 1);
  text.key("t", ValueType::string).string(std::string(100, 't'));
  expect_error(parse_copy(text, {.string_bytes_max = 99}), ErrorCode::limit_exceeded, "string");
  RawGguf array(0, 1);
  array.array("a", ValueType::u8, 100).text(std::string(100, 'a'));
  expect_error(parse_copy(array, {.array_count_max = 99}), ErrorCode::limit_exceeded, "array");
  expect_error(parse_copy(array, {.header_bytes_max = 60}), ErrorCode::limit_exceeded,
               "longer than the limit of 60 bytes");
}

// The beginning of a larger file: what is missing is our limit, not the file's fault.
TEST(Reader, SaysLimitWhenOnlyTheBeginningWasGiven) {
  RawGguf raw(0, 1);
  raw.key("t", ValueType::string).string(std::string(1000, 't'));
  const auto begin = std::as_bytes(std::span(raw.bytes())).first(100);
  const auto parsed = parse(begin, raw.bytes().size());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::limit_exceeded);
}

// CVE-2024-23605 and 2025-53630 with its bypass 2026-27940: a length near 2^64 that wraps when
// something is added to it.
TEST(Reader, RefusesStringLengthsThatWrap) {
  for (const auto length :
       {kHuge, kHuge - 7, kHuge - 8, std::uint64_t{1} << 63, std::uint64_t{40}}) {
    RawGguf in_key(0, 1);
    in_key.put(length).text("short");
    expect_error(parse_copy(in_key), ErrorCode::malformed, "metadata key");
    RawGguf in_value(0, 1);
    in_value.key("k", ValueType::string).put(length).text("short");
    expect_error(parse_copy(in_value), ErrorCode::malformed, "string value");
    RawGguf in_array(0, 1);
    in_array.array("k", ValueType::string, 2).string("fine").put(length).text("short");
    expect_error(parse_copy(in_array), ErrorCode::malformed, "element 1 of key 'k'");
  }
}

// CVE-2024-21802: count times element size overflows.
TEST(Reader, RefusesArrayCountsThatWrap) {
  for (const auto type : {ValueType::u8, ValueType::u16, ValueType::u32, ValueType::f64,
                          ValueType::string, ValueType::boolean})
    for (const auto count : {kHuge, kHuge / 2 + 1, kHuge / 4 + 1, kHuge / 8 + 1, kHuge / 8 + 2}) {
      RawGguf raw(0, 1);
      raw.array("k", type, count).text(std::string(64, '\0'));
      expect_error(parse_copy(raw), ErrorCode::malformed, "array");
    }
}

TEST(Reader, RefusesArraysOneElementTooLong) {
  RawGguf fits(0, 1);
  fits.array("k", ValueType::u32, 4).text(std::string(16, '\0'));
  EXPECT_TRUE(parse_copy(fits).header);
  RawGguf lacks(0, 1);
  lacks.array("k", ValueType::u32, 5).text(std::string(16, '\0'));
  expect_error(parse_copy(lacks), ErrorCode::malformed, "array");
}

// Arrays in arrays let a small file nest without end.
TEST(Reader, RefusesNestedArrays) {
  RawGguf raw(0, 1);
  raw.array("deep", ValueType::array, 1);
  for (int i = 0; i < 1000; ++i) raw.put(std::uint32_t{9}).put(std::uint64_t{1});
  expect_error(parse_copy(raw), ErrorCode::unsupported, "array of arrays");
}

// CVE-2024-12055: a type number past the table of types.
TEST(Reader, RefusesUnknownValueTypes) {
  for (const std::uint32_t type : {13u, 14u, 255u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    RawGguf scalar(0, 1);
    scalar.string("k").put(type).put(std::uint64_t{0});
    expect_error(parse_copy(scalar), ErrorCode::malformed, "value type");
    RawGguf array(0, 1);
    array.array("k", static_cast<ValueType>(type), 1).put(std::uint64_t{0});
    expect_error(parse_copy(array), ErrorCode::malformed, "value type");
  }
}

// A bool that is neither is undefined behaviour where it is read as one.
TEST(Reader, RefusesBooleansThatAreNeither) {
  RawGguf scalar(0, 1);
  scalar.key("b", ValueType::boolean).put(std::uint8_t{2});
  expect_error(parse_copy(scalar), ErrorCode::malformed, "boolean");
  RawGguf array(0, 1);
  array.array("b", ValueType::boolean, 2).put(std::uint8_t{1}).put(std::uint8_t{255});
  expect_error(parse_copy(array), ErrorCode::malformed, "boolean");
}

TEST(Reader, RefusesEmptyAndDoubleKeys) {
  RawGguf empty(0, 1);
  empty.u32("", 1);
  expect_error(parse_copy(empty), ErrorCode::malformed, "key is empty");
  RawGguf twice(0, 3);
  twice.u32("same", 1).u32("other", 2).u32("same", 3);
  expect_error(parse_copy(twice), ErrorCode::malformed, "'same' comes twice");
}

// CVE-2025-0317: an alignment of 0 divides by zero.
TEST(Reader, RefusesBadAlignments) {
  for (const std::uint32_t alignment : {0u, 3u, 33u, 2u << 20, 0x80000000u, 0xFFFFFFFFu}) {
    RawGguf raw(0, 1);
    raw.u32("general.alignment", alignment);
    expect_error(parse_copy(raw), ErrorCode::malformed, "general.alignment");
  }
  RawGguf text(0, 1);
  text.key("general.alignment", ValueType::string).string("32");
  expect_error(parse_copy(text), ErrorCode::malformed, "general.alignment");
  RawGguf good(0, 1);
  good.u32("general.alignment", 4096);
  const auto parsed = parse_copy(good);
  ASSERT_TRUE(parsed.header);
  EXPECT_EQ(parsed.header->alignment, 4096u);
}

// Whatever a key says, messages stay printable.
TEST(Reader, EscapesNamesInMessages) {
  RawGguf raw(0, 2);
  const std::string evil = "\x1b[2J\n\xff" + std::string(500, 'x');
  raw.u32(evil, 1).u32(evil, 2);
  const auto parsed = parse_copy(raw);
  ASSERT_FALSE(parsed.header);
  const auto text = parsed.error().text();
  EXPECT_TRUE(text.contains("\\x1b[2J\\x0a\\xff")) << text;
  EXPECT_LT(text.size(), 300u);
  for (const char c : text) EXPECT_TRUE(c >= 0x20 && c < 0x7F);
}

// A good file with every kind of field.
std::string small_file() {
  gguf_writer::GgufWriter writer;
  writer.add("general.architecture", std::string("llama"));
  writer.add("llama.block_count", std::uint32_t{2});
  writer.add("llama.attention.head_count_kv", std::vector<std::uint32_t>{2, 1});
  writer.add("flags", std::vector<bool>{true, false});
  writer.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "bc", ""});
  writer.add("scale", 0.5f);
  const auto fill = [](std::uint64_t row, std::span<float> values) {
    for (float& v : values) v = static_cast<float>(row);
  };
  writer.add_tensor("token_embd.weight", {32, 3}, gguf_writer::TensorType::f16, fill);
  writer.add_tensor("blk.0.attn_q.weight", {32, 16}, gguf_writer::TensorType::q8_0, fill);
  return writer.bytes();
}

// CVE-2024-8063 and kin: a download that was cut off anywhere.
TEST(Reader, RefusesTruncationAtEveryByte) {
  const auto whole = small_file();
  ASSERT_TRUE(parse_copy(whole).header) << parse_copy(whole).error().text();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = parse_copy(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(parsed.header) << "accepted at " << size << " of " << whole.size();
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

// Every byte of the header set to values that turn counts, lengths and types over: the result may
// be good or bad, but nothing outside the file is read (the sanitizers see it) and a good header
// keeps its promises.
TEST(Reader, SurvivesEveryByteChanged) {
  const auto whole = small_file();
  const auto good = parse_copy(whole);
  ASSERT_TRUE(good.header);
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < good.header->data_offset_bytes; ++at)
    for (const int value : {0x00, 0x01, 0x07, 0x08, 0x09, 0x20, 0x7F, 0x80, 0xFF}) {
      auto changed = whole;
      changed[at] = static_cast<char>(value);
      const auto parsed = parse_copy(changed);
      if (!parsed.header) continue;
      ++accepted;
      for (const auto& tensor : parsed.header->tensors)
        ASSERT_LE(parsed.header->data_offset_bytes + tensor.offset_bytes + tensor.size_bytes,
                  changed.size());
      for (const auto& [key, entry] : parsed.header->metadata)
        if (const auto* array = entry.as_array();
            array != nullptr && array->element == ValueType::string)
          array->for_each_string([](std::string_view text) { ASSERT_LE(text.size(), 64u); });
    }
  EXPECT_GT(accepted, 0u);
}

TEST(Reader, AgreesWithTheWriter) {
  const auto parsed = parse_copy(small_file());
  ASSERT_TRUE(parsed.header) << parsed.error().text();
  const auto& header = *parsed.header;
  EXPECT_EQ(header.metadata.size(), 6u);
  EXPECT_EQ(header.find("scale")->as_number(), 0.5);
  EXPECT_EQ(header.find("flags")->as_array()->at(0).as_bool(), true);
  EXPECT_EQ(header.find("flags")->as_array()->at(1).as_bool(), false);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "token_embd.weight");
  EXPECT_EQ(header.tensors[0].size_bytes, 32u * 3 * 2);
  EXPECT_EQ(header.tensors[1].size_bytes, 16u * 34);
  EXPECT_EQ(header.tensors[1].offset_bytes, 192u);
}

}  // namespace
}  // namespace ingle::gguf
