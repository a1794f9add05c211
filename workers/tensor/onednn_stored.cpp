#include "tensor/onednn_stored.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "gguf/tensor_types.h"
#include "tensor/onednn_packing.h"
#include "tensor/onednn_product.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kPanelBytes = 8 << 20;  // of unpacked weights
constexpr Size kPanelOutputs = 64;     // panels are a multiple of it, or the layer's rest
constexpr Size kAlignment = 64;

Size aligned(Size bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Operands with one value for each result: their stages, once for each. In a single row they are
// no other than those of one value for each channel.
std::vector<int> whole_operands(const LinearStep& step) {
  std::vector<int> out;
  if (step.out.shape.rows() == 1) return out;
  for (std::size_t i = 0; i < step.stages.size(); ++i)
    for (const auto& view : {step.stages[i].b, step.stages[i].c})
      if (view.there() && is_whole(view)) out.push_back(static_cast<int>(i));
  return out;
}

const View& added(const Stage& stage) { return stage.kind == Stage::Kind::add ? stage.b : stage.c; }

class PanelLinear : public ProductKernel {
 public:
  PanelLinear(const LinearStep& step, const WeightUse& use, std::shared_ptr<Library> library)
      : ProductKernel(std::move(library), step.a, step.b, step.bias, step.out), use_(use) {}

  base::Status prepare(const LinearStep& step, int in_place, WeightStore& weights) {
    auto cut = linear_calls(step);
    type_ = weights.packed_type();
    inputs_ = cut.inputs;
    outputs_ = cut.outputs;
    width_ = std::min(
        outputs_, std::max<Size>(1, kPanelBytes / (inputs_ * type_bytes(type_) * kPanelOutputs)) *
                      kPanelOutputs);
    // The library adds to what lies in the result when both are parts of something wider, and to
    // nothing else: so what is to be added is brought there first.
    int sum = in_place;
    if (const auto whole = whole_operands(step); sum < 0 && !whole.empty()) {
      sum = whole[0];
      before_ = make_row_kernel(
          {.in = added(step.stages[static_cast<std::size_t>(sum)]), .out = step.out});
    }
    for (const Size width : {width_, outputs_ % width_}) {
      packings_.push_back({});
      for (const Size rows : {cut.piece, cut.rest})
        add_primitive(step, sum, weights, rows, width, cut.stride);
    }
    Size library_bytes = 0, panel_bytes = 0;
    for (const auto& made : primitives_) {
      if (!made.primitive) continue;
      library_bytes = std::max(library_bytes, static_cast<Size>(made.scratchpad.get_size()));
      panel_bytes = std::max(panel_bytes, static_cast<Size>(made.weights.get_size()));
    }
    panel_at_ = aligned(library_bytes);
    scratch_ = panel_at_ + panel_bytes;
    calls_ = std::move(cut.calls);
    return {};
  }

  base::Status run(const Run& run) override {
    return guarded("a product with stored weights", [&]() -> base::Status {
      if (before_) TRY(before_->run(run));
      std::byte* const panel = run.scratch + panel_at_;
      for (Size channel = 0; channel < outputs_; channel += width_) {
        if (run.stop) return stopped();
        const std::size_t kind = channel + width_ <= outputs_ ? 0 : 1;
        TRY(unpack(run, channel, std::min(width_, outputs_ - channel), kind, panel));
        for (auto call : calls_) {
          if (run.stop) return stopped();
          call.primitive += 2 * kind;
          execute(run, call, run.bytes_at(a_, call.source), panel, channel);
        }
      }
      return {};
    });
  }

 private:
  // Primitives are numbered by rows, then by width; those that no call needs are empty.
  void add_primitive(const LinearStep& step, int sum, WeightStore& weights, Size m, Size n,
                     Size stride) {
    if (m == 0 || n == 0) {
      primitives_.emplace_back();
      return;
    }
    const auto rows = dnnl::memory::format_tag::ab;
    const Md source({m, inputs_}, data_type(step.a.type), Dims{stride, 1});
    const Md target({m, n}, data_type(step.out.type), Dims{outputs_, 1});
    const Md bias = step.bias.there() ? Md({1, n}, data_type(step.bias.type), rows) : Md();
    std::vector<Md> operands;
    post_ = {};
    append_stages(post_, operands, step.stages, sum,
                  {.whole = {m, n}, .vector = {1, n}, .tag = rows});
    const auto make = [&](const Md& layout) {
      return dnnl::matmul::primitive_desc(library_->engine, source, layout, bias, target,
                                          attributes(post_));
    };
    auto& packing = packings_.back();
    auto made = make(packing ? layout_ : any_layout({inputs_, n}, type_));
    if (!packing) packing = Packing::create(weights.source(), use_, type_, made.weights_desc());
    if (!packing) {
      // A layout that only the library can write: it reads rows as they are instead.
      packing = Packing::create(weights.source(), use_, type_, plain_layout(use_, type_));
      made = make(Md({inputs_, n}, data_type(type_), dnnl::memory::format_tag::ba));
    }
    layout_ = made.weights_desc();
    primitives_.push_back({dnnl::matmul(made), source, layout_, bias, target,
                           made.scratchpad_desc(), std::move(operands)});
  }

  base::Status unpack(const Run& run, Size channel, Size count, std::size_t kind,
                      std::byte* panel) const {
    const auto& packing = *packings_[kind];
    const Md& layout = primitives_[2 * kind].weights;
    // What no number lies in is zeros, as the library expects it.
    if (static_cast<Size>(layout.get_size()) != inputs_ * count * type_bytes(type_))
      std::memset(panel, 0, layout.get_size());
    const Size each = packing.panel_rows(), tasks = (count + each - 1) / each;
    std::vector<base::Status> done(static_cast<std::size_t>(tasks));
    parallel_tasks(
        tasks, run.threads, [] { return Packing::Local{}; },
        [&](Size task, Packing::Local& local) {
          const Size begin = channel + task * each;
          done[static_cast<std::size_t>(task)] = packing.pack_rows(
              begin, std::min(begin + each, channel + count), channel, panel, local);
        });
    for (auto& status : done) TRY(std::move(status));
    return {};
  }

  const WeightUse use_;  // packings refer to it
  Type type_{};
  Size inputs_ = 0, outputs_ = 0, width_ = 0;
  Size panel_at_ = 0;  // in the scratch memory, after the library's own
  std::vector<std::optional<Packing>> packings_{};  // by width
  Md layout_{};
  std::unique_ptr<StepKernel> before_{};
};

}  // namespace

std::optional<Size> small_stored_bytes(const WeightSource& source, const WeightUse& use) {
  Size out = 0;
  for (const auto& name : use.names) {
    const auto info = source.find(name);
    CHECK(info.has_value(), "a weight that the graph has found");
    const auto* type = gguf::tensor_type(info->type);
    const bool byte = info->type == kF8E4M3 || info->type == kF8E5M2;
    if (!byte && (!type || type->block_bytes >= 2 * type->block_elements)) return std::nullopt;
    const Size elements = info->shape.elements();
    out += byte ? elements
                : (elements + type->block_elements - 1) / type->block_elements * type->block_bytes;
  }
  return out;
}

void read_in(const WeightSource& source, const WeightUse& use, int threads) {
  constexpr Size kPage = 4096, kTaskPages = 1024;
  for (const auto& name : use.names) {
    const auto bytes = source.stored(name);
    if (!bytes) continue;  // an adapter is to be added: the first run reads it
    const Size pages = (static_cast<Size>(bytes->size()) + kPage - 1) / kPage;
    parallel_tasks((pages + kTaskPages - 1) / kTaskPages, threads, [] { return 0; },
                   [&](Size task, int&) {
                     for (Size page = task * kTaskPages;
                          page < std::min(pages, (task + 1) * kTaskPages); ++page)
                       std::ignore =
                           *static_cast<const volatile std::byte*>(bytes->data() + page * kPage);
                   });
  }
}

bool allows_panels(const LinearStep& step, int in_place, Size elements_min) {
  if (step.out.shape.last() * step.a.shape.last() < elements_min) return false;
  const auto whole = whole_operands(step);
  if (whole.empty()) return true;
  const auto& stage = step.stages[static_cast<std::size_t>(whole[0])];
  return whole.size() == 1 && (in_place < 0 || in_place == whole[0]) && added(stage).there() &&
         is_whole(added(stage)) && stage.kind != Stage::Kind::mul;
}

base::Result<std::unique_ptr<StepKernel>> make_panel_linear(const LinearStep& step, int in_place,
                                                            const WeightUse& use,
                                                            const std::shared_ptr<Library>& library,
                                                            WeightStore& weights) {
  return guarded("a linear layer with stored weights",
                 [&]() -> base::Result<std::unique_ptr<StepKernel>> {
                   auto out = std::make_unique<PanelLinear>(step, use, library);
                   TRY(out->prepare(step, in_place, weights));
                   weights.keep_stored(use);
                   return out;
                 });
}

}  // namespace ingle::tensor::cpu
