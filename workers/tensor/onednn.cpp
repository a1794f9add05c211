#include "tensor/onednn.h"

#include <algorithm>
#include <chrono>
#include <format>
#include <utility>

#include "base/check.h"
#include "tensor/onednn_library.h"

namespace ingle::tensor {
namespace cpu {
namespace {

using Size = std::int64_t;

constexpr int kThreadsMax = 1024;

// What all modules and programs of one executor use. Shared, because a program and its module may
// outlive the executor.
struct Shared {
  OnednnOptions options{};
  Precision plain{};  // of all that is not int8
  std::shared_ptr<Library> library{};
  Pages arena{}, scratch{};  // of whichever program runs
  OnednnProfile profile{};
};

base::Status at_least(Pages& pages, Size bytes) {
  return pages.bytes() >= bytes ? base::Status{} : pages.resize(bytes);
}

class OnednnProgram : public Program {
 public:
  OnednnProgram(std::shared_ptr<Shared> shared, Plan plan,
                std::vector<std::unique_ptr<StepKernel>> kernels,
                std::vector<const PackedWeight*> weights)
      : shared_(std::move(shared)),
        plan_(std::move(plan)),
        kernels_(std::move(kernels)),
        weights_(std::move(weights)) {
    for (const auto& kernel : kernels_) scratch_ = std::max(scratch_, kernel->scratch_bytes());
  }

  base::Status run(std::span<const Feed> feeds, std::span<const Fetch> fetches,
                   const std::atomic<bool>& stop) override {
    omp_set_num_threads(shared_->options.threads);
    TRY(at_least(shared_->arena, plan_.arena_bytes));
    TRY(at_least(shared_->scratch, scratch_));
    const auto outputs = find_outputs(fetches);
    Run run{.buffers = find_buffers(feeds),
            .scratch = shared_->scratch.data(),
            .outputs = outputs,
            .threads = shared_->options.threads,
            .stop = stop};
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      if (stop) return stopped();
      if (!shared_->options.profile) {
        TRY(kernels_[i]->run(run));
        continue;
      }
      const auto begin = std::chrono::steady_clock::now();
      TRY(kernels_[i]->run(run));
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      shared_->profile[std::to_underlying(plan_.steps[i].op)] += took.count();
    }
    return {};
  }

  MemoryUse memory() const override {
    return {.activations_bytes = static_cast<std::uint64_t>(plan_.arena_bytes),
            .scratch_bytes = static_cast<std::uint64_t>(scratch_)};
  }

 private:
  std::vector<float*> find_outputs(std::span<const Fetch> fetches) const {
    std::vector<float*> out(plan_.outputs.size());
    for (const auto& fetch : fetches) {
      const auto found = std::ranges::find(plan_.outputs, fetch.name, &PlanOutput::name);
      CHECK(found != plan_.outputs.end(), "an output that the program was compiled for");
      CHECK(static_cast<Size>(fetch.data.size()) == found->elements, "an output of its size");
      out[static_cast<std::size_t>(found - plan_.outputs.begin())] = fetch.data.data();
    }
    return out;
  }

  std::vector<std::byte*> find_buffers(std::span<const Feed> feeds) {
    std::vector<std::byte*> out;
    for (auto& buffer : plan_.buffers) {
      switch (buffer.kind) {
        case Buffer::Kind::arena:
          out.push_back(shared_->arena.data() + buffer.place);
          break;
        case Buffer::Kind::constant:
          out.push_back(reinterpret_cast<std::byte*>(buffer.data.data()));
          break;
        case Buffer::Kind::weight:
          out.push_back(weights_[buffer.weight]->data);
          break;
        case Buffer::Kind::input:
          out.push_back(fed(buffer, feeds));
      }
    }
    return out;
  }

  // Inputs are read where the caller has them; no step writes to one.
  static std::byte* fed(const Buffer& buffer, std::span<const Feed> feeds) {
    const auto found = std::ranges::find(feeds, buffer.name, &Feed::name);
    CHECK(found != feeds.end(), "every input is fed");
    const auto bytes =
        std::visit([](const auto& data) { return std::as_bytes(data); }, found->data);
    CHECK(static_cast<Size>(bytes.size()) == buffer.bytes, "an input of its size");
    return const_cast<std::byte*>(bytes.data());
  }

  const std::shared_ptr<Shared> shared_;
  Plan plan_;
  const std::vector<std::unique_ptr<StepKernel>> kernels_;
  const std::vector<const PackedWeight*> weights_;
  Size scratch_ = 0;
};

class OnednnModule : public Module {
 public:
  OnednnModule(std::shared_ptr<Shared> shared, const WeightSource& source)
      : shared_(std::move(shared)),
        weights_(shared_->library, source, shared_->plain, shared_->options) {}

  base::Result<std::unique_ptr<Program>> compile(const Graph& graph,
                                                 std::span<const std::string> outputs,
                                                 const PackProgress& progress) override {
    omp_set_num_threads(shared_->options.threads);
    TRY_ASSIGN(Plan plan, make_plan(graph, outputs, shared_->plain));
    for (const auto& use : plan.weights)
      if (use.form == WeightForm::plain) weights_.want(use, {});
    auto kernels = make_kernels(plan);
    if (!kernels) {
      weights_.forget();
      return std::unexpected(std::move(kernels).error());
    }
    TRY(weights_.fill(progress));
    std::vector<const PackedWeight*> plain;
    for (const auto& use : plan.weights) plain.push_back(weights_.find(use));
    return std::make_unique<OnednnProgram>(shared_, std::move(plan), *std::move(kernels),
                                           std::move(plain));
  }

  MemoryUse memory() const override {
    return {.weights_bytes = static_cast<std::uint64_t>(weights_.bytes())};
  }

 private:
  base::Result<std::vector<std::unique_ptr<StepKernel>>> make_kernels(const Plan& plan) {
    std::vector<std::unique_ptr<StepKernel>> out;
    for (const auto& step : plan.steps) {
      TRY_ASSIGN(auto kernel, make_kernel(step, plan));
      out.push_back(std::move(kernel));
    }
    return out;
  }

  base::Result<std::unique_ptr<StepKernel>> make_kernel(const Step& step, const Plan& plan) {
    return std::visit(
        [&]<class W>(const W& work) -> base::Result<std::unique_ptr<StepKernel>> {
          if constexpr (std::is_same_v<W, RowStep>)
            return make_row_kernel(work);
          else if constexpr (std::is_same_v<W, MomentsStep>)
            return make_moments_kernel(work);
          else if constexpr (std::is_same_v<W, LinearStep>)
            return make_linear_kernel(work, step.in_place, plan, shared_->library, weights_);
          else if constexpr (std::is_same_v<W, ConvStep>)
            return make_conv_kernel(work, step.in_place, plan, shared_->library, weights_);
          else if constexpr (std::is_same_v<W, AttentionStep>)
            return make_attention_kernel(work, shared_->library);
          else if constexpr (std::is_same_v<W, UpsampleStep>)
            return make_upsample_kernel(work);
          else if constexpr (std::is_same_v<W, EmbeddingStep>)
            return make_embedding_kernel(work, weights_.source());
          else
            return make_emit_kernel(work);
        },
        step.work);
  }

  const std::shared_ptr<Shared> shared_;
  WeightStore weights_;
};

class OnednnExecutor : public Executor {
 public:
  explicit OnednnExecutor(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  base::Result<std::unique_ptr<Module>> open(const WeightSource& source) override {
    return std::make_unique<OnednnModule>(shared_, source);
  }
  std::string name() const override { return "onednn"; }
  MemoryUse memory() const override {
    return {.activations_bytes = static_cast<std::uint64_t>(shared_->arena.bytes()),
            .scratch_bytes = static_cast<std::uint64_t>(shared_->scratch.bytes())};
  }
  void trim() override {
    // Of no bytes, they cannot fail.
    std::ignore = shared_->arena.resize(0);
    std::ignore = shared_->scratch.resize(0);
  }
  const OnednnProfile& profile() const { return shared_->profile; }

 private:
  const std::shared_ptr<Shared> shared_;
};

// Whether the library has products of bf16 for this processor: from AVX-512 on, where it may
// compute them in f32 inside.
bool has_bf16(const Library& library) {
  const Dims sizes{64, 64};
  const auto plain = dnnl::memory::format_tag::ab;
  const Md layout(sizes, dnnl::memory::data_type::bf16, plain);
  const dnnl::primitive_attr attributes;
  constexpr bool kAllowEmpty = true;
  const dnnl::matmul::primitive_desc made(library.engine, layout, layout, layout, attributes,
                                          kAllowEmpty);
  return made.get(true) != nullptr;
}

}  // namespace
}  // namespace cpu

base::Result<std::unique_ptr<Executor>> make_onednn_executor(OnednnOptions options) {
  if (options.threads < 0 || options.threads > cpu::kThreadsMax)
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("{} threads: choose 1 to {}, or 0 for one for each core",
                                  options.threads, cpu::kThreadsMax));
  if (options.threads == 0) options.threads = omp_get_num_procs();
  return cpu::guarded("to start", [&]() -> base::Result<std::unique_ptr<Executor>> {
    auto shared = std::make_shared<cpu::Shared>();
    shared->options = options;
    shared->library = std::make_shared<cpu::Library>();
    const bool f32 = options.precision == Precision::f32 || !cpu::has_bf16(*shared->library);
    shared->plain = f32 ? Precision::f32 : Precision::bf16;
    return std::make_unique<cpu::OnednnExecutor>(std::move(shared));
  });
}

OnednnProfile onednn_profile(const Executor& executor) {
  const auto* own = dynamic_cast<const cpu::OnednnExecutor*>(&executor);
  CHECK(own, "an executor of make_onednn_executor's");
  return own->profile();
}

std::string_view op_name(Op op) {
  static constexpr std::string_view kNames[]{
      "input",      "weight",           "constant", "add",
      "mul",        "mul_add",          "affine",   "unary",
      "gated",      "reshape",          "permute",  "slice",
      "concat",     "repeat",           "linear",   "conv2d",
      "group_norm", "layer_norm",       "rms_norm", "attention",
      "rope",       "upsample_nearest", "embedding"};
  return kNames[std::to_underlying(op)];
}

}  // namespace ingle::tensor
