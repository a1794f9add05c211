// The configurations of published models, as far as they say a network's shape: for benchmarks and
// for tests in real sizes.
#pragma once

#include <string_view>

namespace ingle::models {

inline constexpr std::string_view kUnetSd15 = R"({"block_out_channels": [320, 640, 1280, 1280],
  "attention_head_dim": 8, "cross_attention_dim": 768,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                       "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                     "CrossAttnUpBlock2D"]})";
inline constexpr std::string_view kUnetSdxl = R"({"block_out_channels": [320, 640, 1280],
  "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
  "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": true,
  "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
  "projection_class_embeddings_input_dim": 2816,
  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]})";
inline constexpr std::string_view kVaeSd = R"({"block_out_channels": [128, 256, 512, 512]})";

}  // namespace ingle::models
