// Goal: file names are taken apart as people and tools write them; ids are safe whatever the name.
// Method: tables of names, good and hostile.
#include "catalog/names.h"

#include <gtest/gtest.h>

namespace ingle::catalog {
namespace {

TEST(FileNames, WholeFilesShardsAndPartialOnes) {
  struct Case {
    const char* name;
    const char* stem;
    std::uint32_t shard;
    std::uint32_t count;
    bool partial;
  };
  for (const Case& c :
       {Case{"tiny.gguf", "tiny", 0, 0, false}, Case{"Tiny.GGUF", "Tiny", 0, 0, false},
        Case{"tiny-00002-of-00003.gguf", "tiny", 2, 3, false},
        Case{"tiny-00001-of-00001.gguf", "tiny", 1, 1, false},
        Case{"tiny-00001-OF-00002.gguf.part", "tiny", 1, 2, true},
        Case{"tiny.gguf.partial", "tiny", 0, 0, true},
        Case{"tiny.gguf.downloading", "tiny", 0, 0, true},
        Case{"tiny-00000-of-00003.gguf", "tiny-00000-of-00003", 0, 0, false},
        Case{"tiny-00004-of-00003.gguf", "tiny-00004-of-00003", 0, 0, false},
        Case{"tiny-0001-of-0003.gguf", "tiny-0001-of-0003", 0, 0, false},
        Case{"-00001-of-00002.gguf", "-00001-of-00002", 0, 0, false}}) {
    const auto parsed = parse_file_name(c.name);
    ASSERT_TRUE(parsed) << c.name;
    EXPECT_EQ(parsed->stem, c.stem) << c.name;
    EXPECT_EQ(parsed->shard, c.shard) << c.name;
    EXPECT_EQ(parsed->shard_count, c.count) << c.name;
    EXPECT_EQ(parsed->partial, c.partial) << c.name;
  }
  for (const char* name : {"", ".gguf", "tiny.bin", "gguf", "tiny.gguf.txt", "tiny.part", ".part"})
    EXPECT_FALSE(parse_file_name(name)) << name;
  EXPECT_EQ(shard_file_name(*parse_file_name("a-00001-of-00012.gguf"), 7), "a-00007-of-00012.gguf");
}

TEST(Ids, OnlySafeCharactersStay) {
  EXPECT_EQ(id_part("Qwen2.5-7B_Instruct", 100), "Qwen2.5-7B_Instruct");
  EXPECT_EQ(id_part("my model (1)", 100), "my-model-1");
  EXPECT_EQ(id_part("../../etc/passwd", 100), "..-..-etc-passwd");
  EXPECT_EQ(id_part("--help", 100), "help");
  EXPECT_EQ(id_part("a\nb\x1b[0m", 100), "a-b-0m");
  EXPECT_EQ(id_part("模型", 100), "model");
  EXPECT_EQ(id_part("", 100), "model");
  EXPECT_EQ(id_part(std::string(5000, 'x'), 100).size(), 100u);
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = id_part("a" + std::string(1, static_cast<char>(byte)) + "b", 100);
    EXPECT_TRUE(is_id(id)) << byte;
  }
  for (const std::string& bad : {std::string(), std::string("-a"), std::string("a b"),
                                 std::string("a\n"), std::string(kIdBytesMax + 1, 'x')})
    EXPECT_FALSE(is_id(bad)) << bad;
}

TEST(Ids, QuantisationsAreKnown) {
  for (const char* name :
       {"llama-3-Q4_K_M", "llama-3-q8_0", "llama-3.f16", "llama-3-BF16", "llama-3-IQ2_XXS",
        "llama-3-UD-Q2_K_XL", "llama-3_q4_0", "llama-3-MXFP4", "llama-3-TQ1_0", "llama-3:Q6_K"})
    EXPECT_EQ(without_quantization(name), "llama-3") << name;
  for (const char* name : {"llama-3", "q4_0", "qwen", "phi-q", "model-quick", "a-Q4_K_MIXED",
                           "a-Q4_K_M-v2", "Q", "a-q4_"})
    EXPECT_EQ(without_quantization(name), name);
}

TEST(NearIds, FindWhatWasMeant) {
  const std::vector<std::string> ids{"llama-tiny", "mistral-7b", "qwen2-0.5b-Q4_K_M",
                                     "zoo/qwen2-0.5b-f16"};
  using Ids = std::vector<std::string>;
  EXPECT_EQ(near_ids("lama", ids), Ids{"llama-tiny"});
  EXPECT_EQ(near_ids("Llama-Tiny2", ids), Ids{"llama-tiny"});
  EXPECT_EQ(near_ids("mistrall-7b", ids), Ids{"mistral-7b"});
  EXPECT_EQ(near_ids("qwen3-0.5b", ids), (Ids{"qwen2-0.5b-Q4_K_M", "zoo/qwen2-0.5b-f16"}));
  EXPECT_EQ(near_ids("gpt-5", ids), Ids{});
  EXPECT_EQ(near_ids("", ids), Ids{});
  EXPECT_EQ(near_ids(std::string(100'000, 'x'), ids), Ids{});
  EXPECT_LE(near_ids("model", Ids(50, "model-x")).size(), 3u);
}

}  // namespace
}  // namespace ingle::catalog
