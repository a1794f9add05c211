#include "tensor/onednn_int8.h"

#include <algorithm>

#include "tensor/onednn_packing.h"
#include "tensor/onednn_product.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;
using enum dnnl::memory::data_type;

constexpr Size kTaskElements = 1 << 16;  // rounded by one thread at once
constexpr Size kAlignment = 64;

Size aligned(Size bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Rounds a row to bytes; the scale that gives it back. A row of zeros has a scale of 0, one that is
// not finite one that is not finite either.
float round_row(const float* row, std::int8_t* to, Size n) {
  const float largest = kernels().largest(row, n);
  const float scale = largest / 127;
  kernels().to_int8(row, scale > 0 ? 1 / scale : 0, to, n);
  return scale;
}

// Layouts begin with two axes of 1: with them, and only so, the library takes operands of one value
// for each row beside those of one for each output.
class Int8Linear : public ProductKernel {
 public:
  Int8Linear(const LinearStep& step, std::shared_ptr<Library> library)
      : ProductKernel(std::move(library), step.a, step.b, step.bias, step.out) {}

  bool is_usable() const { return usable_; }

  base::Status prepare(const LinearStep& step, int in_place, const WeightUse* use,
                       WeightStore& weights) {
    auto cut = linear_calls(step);
    inputs_ = cut.inputs;
    stride_ = cut.stride;
    Size library_bytes = 0;
    for (const Size rows : {cut.piece, cut.rest})
      if (rows > 0 && usable_) add_primitive(step, in_place, rows, *use, weights);
    if (!usable_) return {};
    for (const auto& made : primitives_)
      library_bytes = std::max(library_bytes, static_cast<Size>(made.scratchpad.get_size()));
    calls_ = std::move(cut.calls);
    bytes_at_ = aligned(library_bytes);
    scales_at_ = bytes_at_ + aligned(cut.piece * inputs_);
    scratch_ = scales_at_ + cut.piece * Size{sizeof(float)};
    return {};
  }

  base::Status run(const Run& run) override {
    return guarded("a product in int8", [&]() -> base::Status {
      auto* const bytes = reinterpret_cast<std::int8_t*>(run.scratch + bytes_at_);
      auto* const scales = reinterpret_cast<float*>(run.scratch + scales_at_);
      for (const auto& call : calls_) {
        if (run.stop) return stopped();
        const auto& made = primitives_[call.primitive];
        round_rows(run, call.source, made.source.get_dims()[2], bytes, scales);
        const Md of_rows({1, 1, made.source.get_dims()[2], 1}, f32, kRows);
        const Md of_outputs({made.target.get_dims()[3]}, f32, dnnl::memory::format_tag::a);
        execute(
            run, call, reinterpret_cast<std::byte*>(bytes), weight_->data, 0,
            {{kRowScales, memory(of_rows, scales)},
             {DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, memory(of_outputs, int8_scales(*weight_))}});
      }
      return {};
    });
  }

 private:
  static constexpr auto kRows = dnnl::memory::format_tag::abcd;
  static constexpr int kRowScales = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

  void add_primitive(const LinearStep& step, int in_place, Size m, const WeightUse& use,
                     WeightStore& weights) {
    const Size k = inputs_, n = step.out.shape.last();
    const Md source({1, 1, m, k}, s8, kRows), target({1, 1, m, n}, data_type(step.out.type), kRows);
    const Md free({1, 1, k, n}, s8, dnnl::memory::format_tag::any);
    std::vector<Md> operands;
    post_ = {};
    post_.ops.append_binary(dnnl::algorithm::binary_mul, Md({1, 1, m, 1}, f32, kRows));
    // After the scales, unlike the library's own bias.
    if (step.bias.there()) {
      post_.ops.append_binary(
          dnnl::algorithm::binary_add,
          operands.emplace_back(Md({1, 1, 1, n}, data_type(step.bias.type), kRows)));
      post_.operands.push_back(
          {.argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1, .view = step.bias});
    }
    append_stages(post_, operands, step.stages, in_place,
                  {.whole = {1, 1, m, n}, .vector = {1, 1, 1, n}, .tag = kRows});
    auto attribute = attributes(post_);
    constexpr int kEachOutput = 1 << 3;
    attribute.set_scales_mask(DNNL_ARG_WEIGHTS, kEachOutput);
    if (!weight_) weight_ = weights.find_int8(use, version_);
    constexpr bool kAllowEmpty = true;
    const dnnl::matmul::primitive_desc made(library_->engine, source,
                                            weight_ ? weight_->layout : free, Md(), target,
                                            attribute, kAllowEmpty);
    if (!made.get(true) || is_reference(made)) {
      const dnnl::matmul::primitive_desc other(library_->engine, source, free, Md(), target,
                                               attribute, kAllowEmpty);
      slow_ = usable_ = weight_ && other.get(true) && !is_reference(other);
      return;
    }
    if (!weight_) weight_ = weights.want_int8(use, made.weights_desc(), version_);
    primitives_.push_back({dnnl::matmul(made), source, made.weights_desc(), Md(), target,
                           made.scratchpad_desc(), std::move(operands)});
  }

  void round_rows(const Run& run, Size source, Size rows, std::int8_t* to, float* scales) const {
    const Size k = inputs_, each = std::max<Size>(1, kTaskElements / k);
    parallel_tasks((rows + each - 1) / each, run.threads,
                   [&] { return std::vector<float>(static_cast<std::size_t>(k)); },
                   [&](Size task, std::vector<float>& local) {
                     for (Size row = task * each; row < std::min(rows, (task + 1) * each); ++row) {
                       const std::byte* from = run.bytes_at(a_, source + row * stride_);
                       const float* floats = reinterpret_cast<const float*>(from);
                       if (a_.type == Type::bf16) {
                         kernels().widen_bf16(reinterpret_cast<const Bf16*>(from), local.data(), k);
                         floats = local.data();
                       }
                       scales[row] = round_row(floats, to + row * k, k);
                     }
                   });
  }

  bool usable_ = true;
  Size inputs_ = 0, stride_ = 0;
  Size bytes_at_ = 0, scales_at_ = 0;  // in the scratch memory, after the library's own
};

}  // namespace

bool allows_int8(const Int8Rule& rule, const LinearStep& step) {
  const Size rows = step.a.shape.rows();
  return rows >= rule.rows_min && step.a.shape.last() >= rule.inputs_min &&
         step.out.shape.last() >= rule.outputs_min;
}

base::Result<std::unique_ptr<StepKernel>> make_int8_linear(const LinearStep& step, int in_place,
                                                           const WeightUse& use,
                                                           const std::shared_ptr<Library>& library,
                                                           WeightStore& weights) {
  TRY_ASSIGN(auto out, make_product<Int8Linear>(step, in_place, &use, library, weights,
                                                "a linear layer in int8"));
  if (!out->is_usable() || out->is_slow()) return nullptr;
  return out;
}

std::int64_t int8_bytes(const Md& layout, Size outputs) {
  return aligned(static_cast<Size>(layout.get_size())) + outputs * Size{sizeof(float)};
}

float* int8_scales(const PackedWeight& weight) {
  return reinterpret_cast<float*>(weight.data +
                                  aligned(static_cast<Size>(weight.layout.get_size())));
}

base::Status pack_int8(Library& library, const WeightSource& source, const WeightUse& use,
                       int threads, const PackedWeight& weight) {
  const Size outputs = use.shape[0], inputs = use.shape[1];
  Pages plain;
  TRY(plain.resize(outputs * inputs));
  auto* const bytes = reinterpret_cast<std::int8_t*>(plain.data());
  float* const scales = int8_scales(weight);
  const auto packing = Packing::create(source, use, Type::f32, plain_layout(use, Type::f32));
  const Size each = std::max<Size>(1, kTaskElements / inputs);
  const Size tasks = (outputs + each - 1) / each;
  std::vector<base::Status> done(static_cast<std::size_t>(tasks));
  struct Local {
    std::vector<float> rows;
    Packing::Local packing{};
  };
  parallel_tasks(
      tasks, threads,
      [&] { return Local{std::vector<float>(static_cast<std::size_t>(each * inputs))}; },
      [&](Size task, Local& local) {
        const Size begin = task * each, end = std::min(outputs, begin + each);
        auto& status = done[static_cast<std::size_t>(task)];
        status = packing->pack_rows(begin, end, begin,
                                    reinterpret_cast<std::byte*>(local.rows.data()), local.packing);
        for (Size row = begin; status && row < end; ++row)
          scales[row] =
              round_row(local.rows.data() + (row - begin) * inputs, bytes + row * inputs, inputs);
      });
  for (auto& status : done) TRY(std::move(status));
  return guarded("packing weights", [&]() -> base::Status {
    const Md stored({1, 1, inputs, outputs}, s8,
                    Dims{inputs * outputs, inputs * outputs, 1, inputs});
    dnnl::memory from(stored, library.engine, plain.data());
    dnnl::memory to(weight.layout, library.engine, weight.data);
    dnnl::reorder(from, to).execute(library.stream, from, to);
    library.stream.wait();
    return {};
  });
}

}  // namespace ingle::tensor::cpu
