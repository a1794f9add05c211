// What the kinds of products share: calls of the library's primitives that do what follows (bias,
// activation, residual) as they write. A step is cut into calls, one for each item where an item is
// large enough to fill the machine, so that an item's digits do not depend on the others beside it,
// and into pieces short enough that a stop is seen soon. Private to workers/tensor.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {

inline constexpr std::int64_t kItemRowsMin = 256;   // items of fewer rows go together
inline constexpr double kCallOperationsMax = 6e10;  // a call of more is cut: a fraction of a second

// An operand of what follows a product.
struct PostOperand {
  int argument = 0;
  View view{};         // repeated to the step's shape
  bool whole = false;  // one value for each result; else one for each channel (and item)
};

// How stages map to what the library does after a product.
struct PostOps {
  dnnl::post_ops ops{};
  std::vector<PostOperand> operands{};
};

// The layout of an operand with the primitive's own axes.
struct OperandLayouts {
  Dims whole, vector;
  dnnl::memory::format_tag tag;
  Md of(const View& view) const;
};
// Appends what the stages do, and the layouts of their operands to `layouts`. `in_place`: the stage
// whose sum is with what lies in the result's memory already.
void append_stages(PostOps& to, std::vector<Md>& layouts, const std::vector<Stage>& stages,
                   int in_place, const OperandLayouts& operands);

// One value for each result, rather than one for each channel.
inline bool is_whole(const View& view) { return is_dense(view); }
// Whether some operand of one value for each channel differs between items.
bool differs_by_item(const std::vector<Stage>& stages, std::int64_t items);

// oneDNN's own last resort, hundreds of times slower than the rest.
template <class Description>
bool is_reference(const Description& made) {
  return std::string_view(made.impl_info_str()).contains("ref");
}

dnnl::primitive_attr attributes(const PostOps& post);
inline Md any_layout(const Dims& dims, Type type) {
  return Md(dims, data_type(type), dnnl::memory::format_tag::any);
}

// One call of a primitive: from where to where, in elements.
struct Call {
  std::size_t primitive = 0;
  std::int64_t source = 0, target = 0, item = 0;
};

// A linear layer as calls of `piece` rows, the last of an item of `rest` (0: none): primitives 0
// and 1.
struct LinearCalls {
  std::int64_t inputs = 0, outputs = 0;
  std::int64_t stride = 0;  // between rows of the source
  std::int64_t piece = 0, rest = 0;
  std::vector<Call> calls{};
};
LinearCalls linear_calls(const LinearStep& step);

struct MadePrimitive {
  dnnl::primitive primitive;
  Md source, weights, bias, target, scratchpad;
  std::vector<Md> operands;
};

class ProductKernel : public StepKernel {
 public:
  std::int64_t scratch_bytes() const override { return scratch_; }
  // Before prepare().
  void use_version(int version) { version_ = version; }
  bool is_slow() const { return slow_; }

 protected:
  ProductKernel(std::shared_ptr<Library> library, View a, View b, View bias, View out)
      : library_(std::move(library)), a_(a), b_(b), bias_(bias), out_(out) {}

  using Arguments = std::unordered_map<int, dnnl::memory>;

  dnnl::memory memory(const Md& layout, void* data) const {
    return dnnl::memory(layout, library_->engine, data);
  }
  // Runs one call on a source and weights wherever they lie. Results and operands are taken
  // `channel` channels on; `more` are arguments that only this kind has.
  void execute(const Run& run, const Call& call, std::byte* source, std::byte* weights,
               std::int64_t channel = 0, Arguments more = {}) const;

  const std::shared_ptr<Library> library_;
  const View a_, b_, bias_, out_;
  const PackedWeight* weight_ = nullptr;
  int version_ = 0;    // of the packed weight: see WeightStore
  bool slow_ = false;  // oneDNN has nothing fast for these sizes and the layout of that version
  PostOps post_{};
  std::vector<MadePrimitive> primitives_{};
  std::vector<Call> calls_{};
  std::int64_t scratch_ = 0;
};

// Makes a kernel whose prepare(step, in_place, use, weights) packs its weight. The layout that
// other sizes chose may be a bad one for these: then they get their own.
template <class Kernel, class Step>
base::Result<std::unique_ptr<Kernel>> make_product(const Step& step, int in_place,
                                                   const WeightUse* use,
                                                   const std::shared_ptr<Library>& library,
                                                   WeightStore& weights, std::string_view what) {
  return guarded(what, [&]() -> base::Result<std::unique_ptr<Kernel>> {
    for (int version = 0;; ++version) {
      auto out = std::make_unique<Kernel>(step, library);
      out->use_version(version);
      TRY(out->prepare(step, in_place, use, weights));
      if (!out->is_slow() || version + 1 == WeightStore::kVersionsMax) return out;
    }
  });
}

}  // namespace ingle::tensor::cpu
