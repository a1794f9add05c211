// Attention in f32, and in bf16 on processors without products of bf16: two batched products of
// oneDNN around an own softmax, for a block of queries of all heads at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "tensor/onednn_kernels.h"
#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kScoresBytesMax = 32 << 20;
constexpr Size kQueriesMin = 16;

class BatchedAttention : public StepKernel {
 public:
  BatchedAttention(AttentionStep step, std::shared_ptr<Library> library)
      : step_(std::move(step)), library_(std::move(library)) {
    const Size score_bytes = items() * kv_heads() * keys() * Size{sizeof(float)};
    block_ = std::max(kScoresBytesMax / score_bytes, kQueriesMin);
    block_ = std::min(block_, tokens());
  }

  base::Status prepare() {
    products_.reserve(2);
    for (const Size queries : {block_, tokens() % block_})
      if (queries > 0) products_.push_back(make_products(queries));
    return {};
  }

  std::int64_t scratch_bytes() const override { return library_scratch_ + scores_bytes() * 2; }

  base::Status run(const Run& run) override {
    return guarded("attention", [&]() -> base::Status {
      for (Size at = 0; at < tokens(); at += block_)
        for (Size member = 0; member < group(); ++member) {
          if (run.stop) return stopped();
          block(run, products_[at + block_ <= tokens() ? 0 : 1], at, member);
        }
      return {};
    });
  }

 private:
  struct Products {
    Size queries;
    dnnl::matmul::primitive_desc scores_made, values_made;
    dnnl::matmul scores, values;
  };

  Size items() const { return step_.q.shape[0]; }
  Size tokens() const { return step_.q.shape[1]; }
  Size heads() const { return step_.q.shape[2]; }
  Size width() const { return step_.q.shape[3]; }
  Size keys() const { return step_.k.shape[1]; }
  Size kv_heads() const { return step_.k.shape[2]; }
  Size group() const { return heads() / kv_heads(); }
  Size scores_bytes() const { return items() * kv_heads() * block_ * keys() * 4; }

  Md heads_layout(const View& view, Size queries, Size group, bool turned) const {
    auto s = view.strides;
    const Size width = view.shape[3];
    // A single row has any stride; oneDNN takes it for that of the items, too.
    if (view.shape[1] == 1) s[1] = s[0];
    return turned ? Md({items(), kv_heads(), width, queries}, data_type(view.type),
                       Dims{s[0], s[2] * group, 1, s[1]})
                  : Md({items(), kv_heads(), queries, width}, data_type(view.type),
                       Dims{s[0], s[2] * group, s[1], 1});
  }
  Md scores_layout(Size queries, Type type) const {
    return Md({items(), kv_heads(), queries, keys()}, data_type(type),
              dnnl::memory::format_tag::abcd);
  }

  Products make_products(Size queries) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::matmul::primitive_desc scores(
        library_->engine, heads_layout(step_.q, queries, group(), false),
        heads_layout(step_.k, keys(), 1, true), scores_layout(queries, Type::f32), attributes);
    dnnl::matmul::primitive_desc values(library_->engine, scores_layout(queries, step_.v.type),
                                        heads_layout(step_.v, keys(), 1, false),
                                        heads_layout(step_.out, queries, group(), false),
                                        attributes);
    for (const auto* made : {&scores, &values})
      library_scratch_ =
          std::max(library_scratch_, static_cast<Size>(made->scratchpad_desc().get_size()));
    library_scratch_ = (library_scratch_ + 63) / 64 * 64;
    return {queries, scores, values, dnnl::matmul(scores), dnnl::matmul(values)};
  }

  void execute(const dnnl::matmul& product, const dnnl::matmul::primitive_desc& made, void* a,
               void* b, void* out, void* scratch) const {
    const auto memory = [&](const Md& layout, void* data) {
      return dnnl::memory(layout, library_->engine, data);
    };
    product.execute(library_->stream,
                    {{DNNL_ARG_SRC, memory(made.src_desc(), a)},
                     {DNNL_ARG_WEIGHTS, memory(made.weights_desc(), b)},
                     {DNNL_ARG_DST, memory(made.dst_desc(), out)},
                     {DNNL_ARG_SCRATCHPAD, memory(made.scratchpad_desc(), scratch)}});
    library_->stream.wait();
  }

  void block(const Run& run, const Products& products, Size at, Size member) const {
    std::byte* const scores = run.scratch + library_scratch_;
    std::byte* const weights = scores + scores_bytes();
    const auto offset = [&](const View& view) {
      return at * view.strides[1] + member * view.strides[2];
    };
    execute(products.scores, products.scores_made, run.bytes_at(step_.q, offset(step_.q)),
            run.bytes_at(step_.k), scores, run.scratch);
    softmax(run, products.queries, at, member, reinterpret_cast<float*>(scores), weights);
    execute(products.values, products.values_made, weights, run.bytes_at(step_.v),
            run.bytes_at(step_.out, offset(step_.out)), run.scratch);
  }

  void softmax(const Run& run, Size queries, Size at, Size member, float* scores,
               std::byte* weights) const {
    const Kernels& k = kernels();
    parallel_tasks(
        items() * kv_heads() * queries, run.threads,
        [&] { return std::vector<float>(static_cast<std::size_t>(keys())); },
        [&](Size task, std::vector<float>& bias) {
          const Size query = at + task % queries;
          const Size head = task / queries % kv_heads() * group() + member;
          const Size item = task / queries / kv_heads();
          float* row = scores + task * keys();
          const float* added = bias_row(run, item, head, query, bias);
          const Size seen = step_.causal ? std::min(keys(), query + 1) : keys();
          const float most = k.highest_with(row, step_.scale, added, seen);
          float sum = 0;
          if (std::isfinite(most)) sum = k.exponentials(row, most, seen);
          std::fill_n(row + seen, keys() - seen, 0.0f);
          k.affine(row, sum > 0 ? 1 / sum : 0, 0, seen);
          if (!std::isfinite(most)) std::fill_n(row, keys(), 0.0f);
          if (step_.v.type == Type::f32)
            std::copy_n(row, keys(), reinterpret_cast<float*>(weights) + task * keys());
          else
            k.narrow(row, reinterpret_cast<Bf16*>(weights) + task * keys(), keys());
        });
  }

  const float* bias_row(const Run& run, Size item, Size head, Size query,
                        std::vector<float>& to) const {
    if (!step_.bias.there()) return nullptr;
    const auto& s = step_.bias.strides;
    const Size at = item * s[0] + head * s[1] + query * s[2];
    if (step_.bias.type == Type::f32) return run.at<float>(step_.bias) + at;
    kernels().widen_bf16(run.at<Bf16>(step_.bias) + at, to.data(), keys());
    return to.data();
  }

  const AttentionStep step_;
  const std::shared_ptr<Library> library_;
  Size block_ = 0;
  Size library_scratch_ = 0;
  std::vector<Products> products_{};
};

}  // namespace

base::Result<std::unique_ptr<StepKernel>> make_attention_kernel(
    const AttentionStep& step, const std::shared_ptr<Library>& library) {
  return guarded("attention", [&]() -> base::Result<std::unique_ptr<StepKernel>> {
    if (auto blocked = make_blocked_attention(step, library)) return blocked;
    auto out = std::make_unique<BatchedAttention>(step, library);
    TRY(out->prepare());
    return out;
  });
}

}  // namespace ingle::tensor::cpu
