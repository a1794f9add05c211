#include "weights/convert_rules.h"

#include <algorithm>
#include <array>

#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

// What suffers most from few bits, for little gain in size.
constexpr std::array kDelicate = std::to_array<std::string_view>({
    // Where numbers come in.
    "*img_in.*",
    "*txt_in.*",
    "*x_embedder.*",
    "*context_embedder.*",
    "*cap_embedder.*",
    "*conv_in.*",
    // Time, size and guidance, which all blocks depend on.
    "*time_in.*",
    "*vector_in.*",
    "*guidance_in.*",
    "*time_text_embed*",
    "*time_guidance_em*",
    "*time_embed*",
    "*label_emb*",
    "*add_embedding*",
    "*t_embedder.*",
    // Where they go out.
    "*final_layer.*",
    "*norm_out.*",
    "*conv_out.*",
    "proj_out.*",
    "transformer.proj*",
    "*text_projection*",
    // Tables of words and positions.
    "*token_embedding*",
    "*embed_tokens*",
    "token_embd*",
    "shared.weight",
    "*.shared.weight",
    "*position_embedding*",
    "*relative_attention_bias*",
    // Decoders of pictures, whose few matrices are small.
    "vae.*",
    "first_stage_model.*",
});

bool fits(std::string_view pattern, std::string_view name) {
  // Where the last '*' was, and how far it reaches.
  auto star = std::string_view::npos;
  std::size_t at = 0, in = 0, reach = 0;
  while (in < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      reach = in;
    } else if (at < pattern.size() && pattern[at] == name[in]) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++reach;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

bool whole_blocks(tensor::StorageType type, std::int64_t width) {
  return width % number_type(type)->block_elements == 0;
}

tensor::StorageType half_of(tensor::StorageType type) {
  return type == tensor::kBf16 ? tensor::kBf16 : tensor::kF16;
}

// Those that a GGUF file can hold as they are.
bool whole_number(tensor::StorageType type) {
  return type == kI8 || type == kI16 || type == kI32 || type == kI64;
}

TypeChoice fitted(TypeChoice choice, const tensor::WeightInfo& info) {
  const auto width = info.shape.last();
  if (whole_blocks(choice.type, width)) return choice;
  choice.reason = TypeReason::fallback;
  choice.wanted = choice.type;
  choice.type = whole_blocks(tensor::kQ8_0, width) ? tensor::kQ8_0 : half_of(info.type);
  return choice;
}

}  // namespace

TypeChoice choose_type(std::string_view name, const tensor::WeightInfo& info,
                       tensor::StorageType type, const std::vector<TypeRule>& rules) {
  for (std::size_t i = 0; i < rules.size(); ++i)
    if (fits(rules[i].pattern, name))
      return fitted({.type = rules[i].type, .reason = TypeReason::rule, .rule = i, .by_rule = true},
                    info);
  if (whole_number(info.type)) return {.type = info.type, .reason = TypeReason::no_matrix};
  if (info.shape.rank() < 2) return {.type = tensor::kF32, .reason = TypeReason::no_matrix};
  if (type == tensor::kF32) return {.type = type, .reason = TypeReason::asked};
  if (std::ranges::any_of(kDelicate, [name](auto pattern) { return fits(pattern, name); }))
    return {.type = half_of(info.type), .reason = TypeReason::delicate};
  return fitted({.type = type, .reason = TypeReason::asked}, info);
}

}  // namespace ingle::weights
