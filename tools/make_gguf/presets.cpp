#include <array>
#include <format>

#include "make_gguf/sample_model.h"

namespace ingle::gguf_writer {
namespace {

SampleOptions memory_preset(std::string name, Architecture architecture,
                            std::uint32_t heads_per_kv_head, std::uint32_t layers,
                            std::uint32_t feed_forward_length) {
  return {.name = std::move(name),
          .architecture = architecture,
          .layers = layers,
          .embedding_length = 512,
          .head_length = 64,
          .heads_per_kv_head = heads_per_kv_head,
          .feed_forward_length = feed_forward_length,
          .vocabulary_size_min = 32'000,
          .context_tokens = 32'768,
          .type = TensorType::q8_0,
          .rows = Rows::repeated};
}

const std::array kPresets{
    // About 2 MB each, for tests.
    SampleOptions{.name = "tiny"},
    SampleOptions{.name = "tiny-qwen2", .architecture = Architecture::qwen2},
    SampleOptions{.name = "embedding", .architecture = Architecture::bert, .context_tokens = 2048},
    SampleOptions{
        .name = "reranker", .architecture = Architecture::reranker, .context_tokens = 2048},
    // About 150 million parameters, for benchmarks of generation.
    SampleOptions{.name = "bench150m",
                  .layers = 14,
                  .embedding_length = 768,
                  .head_length = 64,
                  .heads_per_kv_head = 3,
                  .feed_forward_length = 2304,
                  .vocabulary_size_min = 32'000,
                  .context_tokens = 32'768,
                  .type = TensorType::f16},
    // Mostly metadata, for benchmarks of readers.
    SampleOptions{.name = "vocab150k",
                  .layers = 1,
                  .embedding_length = 32,
                  .heads_per_kv_head = 1,
                  .feed_forward_length = 32,
                  .vocabulary_size_min = 150'000,
                  .type = TensorType::q8_0},
    // The shapes whose memory differs, of about 100 MB each; the tool's --size makes them larger.
    memory_preset("mem-dense", Architecture::llama, 1, 16, 1536),
    memory_preset("mem-gqa", Architecture::qwen2, 8, 20, 1536),
    memory_preset("mem-swa", Architecture::gemma3, 2, 18, 1536),
    memory_preset("mem-moe", Architecture::qwen3moe, 4, 8, 512),
    memory_preset("mem-recurrent", Architecture::mamba, 1, 30, 512),
};

}  // namespace

base::Result<SampleOptions> preset(std::string_view name) {
  std::string names;
  for (const auto& options : kPresets) {
    if (options.name == name) return options;
    names += (names.empty() ? "" : ", ") + options.name;
  }
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("no preset '{}': there are {}", name, names));
}

}  // namespace ingle::gguf_writer
