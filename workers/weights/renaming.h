// Renaming: the tensors of an original layout under diffusers names, by a table of rules. A rule is
// a pattern of one name: '#' stands for a number, a '*' at the end for the rest, and both come back
// in the new names in their order. Pure, but for the source. Any thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "weights/joined_weights.h"

namespace ingle::weights {

// What becomes of the rows of a tensor.
enum class Cut : std::uint8_t {
  whole,
  equal,            // as many equal parts as there are new names
  hidden_and_rest,  // parts of RenamingOptions::hidden rows each; the last one has what is left
  halves_swapped,   // the second half first
  squeezed,    // whole, with axes of length 1 at the end left out: a 1x1 convolution as a matrix
  transposed,  // whole, its two axes swapped
};

struct Rule {
  std::string_view from{};
  std::array<std::string_view, 4> to{};  // those that are not empty
  Cut cut = Cut::whole;
};

struct RenamingOptions {
  std::int64_t hidden = 0;  // rows, for Cut::hidden_and_rest
  // Applied to a name, its prefix taken off, before the rules; nothing: the tensor is left out.
  std::function<std::optional<std::string>(std::string_view)> first{};
};

// New names of one name: nothing when the pattern is another. "a.#.b.*" to "c.#.*" makes "c.3.bias"
// of "a.3.b.bias".
std::optional<std::string> rewritten(std::string_view name, std::string_view from,
                                     std::string_view to);

// All tensors of the source whose names begin with `prefix`, each by the first rule that fits its
// name without the prefix; what no rule fits is left out. A weight "x.weight" with a single number
// "x.scale_weight" or "x.weight_scale" beside it is multiplied with that. Errors: model_broken
// (rows that cannot be cut so, two tensors of one name).
base::Result<std::unique_ptr<NamedWeights>> rename(const SharedWeights& source,
                                                   std::string_view prefix,
                                                   std::span<const Rule> rules,
                                                   const RenamingOptions& options = {});

// The rule for tensors that have the right names already.
inline constexpr Rule kKeep{"*", {"*"}};

}  // namespace ingle::weights
