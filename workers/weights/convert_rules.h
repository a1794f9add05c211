// Which type a tensor becomes in a conversion: rules as data. Pure. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/weights.h"

namespace ingle::weights {

struct TypeRule {
  std::string pattern{};  // of a tensor's whole name; '*' stands for anything
  tensor::StorageType type{};
};

enum class TypeReason : std::uint8_t {
  asked,      // the conversion's own type
  rule,       // a rule of the caller
  delicate,   // a rule of the house: few bits would cost too much there
  no_matrix,  // one axis (norms, biases), or whole numbers
  fallback,   // what was wanted has blocks that the rows are no multiples of
};

struct TypeChoice {
  tensor::StorageType type{};
  TypeReason reason{};
  tensor::StorageType wanted{};  // with fallback: what did not fit
  std::size_t rule = 0;          // which of the caller's rules decided, if one did
  bool by_rule = false;
};

// The first of `rules` that fits the name decides; then the house's own: tensors of one axis are
// f32, whole numbers stay, and what comes first and last, tables of words and positions, what
// embeds time and guidance, and decoders of pictures are f16 (bf16 where they were); all others are
// `type`. Where rows are no multiples of a type's blocks it is Q8_0, and where they are none of
// that either, f16 (or bf16).
TypeChoice choose_type(std::string_view name, const tensor::WeightInfo& info,
                       tensor::StorageType type, const std::vector<TypeRule>& rules);

}  // namespace ingle::weights
