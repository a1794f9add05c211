// make_gguf_corpus FOLDER: writes the small GGUF files that the gguf fuzzer begins with.
#include <filesystem>
#include <print>

#include "make_gguf/gguf_writer.h"

namespace {

using namespace ingle;
using gguf_writer::GgufWriter;
using gguf_writer::TensorType;

void rising(std::uint64_t row, std::span<float> values) {
  for (float& v : values) v = static_cast<float>(row);
}

GgufWriter every_kind() {
  GgufWriter out;
  out.add("u8", std::uint8_t{1});
  out.add("u32", std::uint32_t{2});
  out.add("i32", std::int32_t{-3});
  out.add("f32", 0.5f);
  out.add("bool", true);
  out.add("string", std::string("text"));
  out.add("u64", std::uint64_t{1} << 40);
  out.add("strings", std::vector<std::string>{"a", "", "bc"});
  out.add("i32s", std::vector<std::int32_t>{-1, 1});
  out.add("u32s", std::vector<std::uint32_t>{1, 2, 3});
  out.add("f32s", std::vector<float>{1.5f});
  out.add("bools", std::vector<bool>{true, false});
  return out;
}

GgufWriter decoder() {
  GgufWriter out;
  out.add("general.architecture", std::string("llama"));
  out.add("general.alignment", std::uint32_t{64});
  out.add("llama.block_count", std::uint32_t{2});
  out.add("llama.embedding_length", std::uint32_t{32});
  out.add("llama.feed_forward_length", std::uint32_t{32});
  out.add("llama.context_length", std::uint32_t{64});
  out.add("llama.attention.head_count", std::uint32_t{4});
  out.add("llama.attention.head_count_kv", std::vector<std::uint32_t>{2, 1});
  out.add("tokenizer.ggml.model", std::string("gpt2"));
  out.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  out.add("tokenizer.chat_template", std::string("{{ messages }}"));
  out.add_tensor("token_embd.weight", {32, 2}, TensorType::f16,
                 rising);  // 128 bytes: stays aligned
  out.add_tensor("output.weight", {32, 2}, TensorType::f16, rising);
  return out;
}

GgufWriter quantised() {
  GgufWriter out;
  out.add("general.architecture", std::string("bert"));
  out.add("bert.block_count", std::uint32_t{1});
  out.add("bert.attention.causal", false);
  out.add("bert.pooling_type", std::uint32_t{1});
  out.add_tensor("blk.0.ffn_up_exps.weight", {32, 2, 2}, TensorType::q8_0, rising);
  out.add_tensor("cls.weight", {8}, TensorType::f32, rising);
  return out;
}

GgufWriter shard() {
  GgufWriter out;
  out.add("split.count", std::uint32_t{2});
  out.add("split.no", std::uint32_t{1});
  out.add_tensor("blk.1.attn_q.weight", {4, 4, 1, 1}, TensorType::f32, rising);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::println(stderr, "usage: make_gguf_corpus FOLDER");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::pair<const char*, GgufWriter> files[] = {{"every_kind.gguf", every_kind()},
                                                      {"decoder.gguf", decoder()},
                                                      {"quantised.gguf", quantised()},
                                                      {"shard.gguf", shard()},
                                                      {"empty.gguf", GgufWriter()}};
  for (const auto& [name, writer] : files)
    if (const auto done = writer.write(folder / name); !done) {
      std::println(stderr, "make_gguf_corpus: {}", done.error().text());
      return 1;
    }
  return 0;
}
