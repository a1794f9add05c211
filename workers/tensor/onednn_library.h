// What of oneDNN its wrappers share. Private to workers/tensor: the one header that lets its types
// in, included by few files. A library that throws is caught by guarded(), and only there.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "oneapi/dnnl/dnnl.hpp"
#include "oneapi/dnnl/dnnl_ukernel.hpp"
#include "tensor/onednn_kernels.h"
#include "tensor/onednn_memory.h"
#include "tensor/onednn_step.h"

namespace ingle::tensor::cpu {

using Md = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

// A product of blocks, bf16 times bf16 added to f32: m rows of k with a step of a, k by n in pairs
// with a step of b, m rows of n with a step of c.
struct BlockShape {
  std::int64_t m, n, k, a, b, c;
  bool add;
  auto operator<=>(const BlockShape&) const = default;
};

struct Library {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<BlockShape, std::unique_ptr<dnnl::ukernel::brgemm>> blocks{};
};

base::Error library_error(const dnnl::error& error, std::string_view what);
base::Error memory_error(std::string_view what);

// Runs `work`, which returns a Status or Result; what it throws becomes its error.
template <class Work>
auto guarded(std::string_view what, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const dnnl::error& error) {
    return std::unexpected(library_error(error, what));
  } catch (const std::bad_alloc&) {
    return std::unexpected(memory_error(what));
  }
}

dnnl::memory::data_type data_type(Type type);

// One weight as it lies in memory.
struct PackedWeight {
  Md layout{};
  Pages pages{};
};

// Where the blocks of a packed weight lie, in elements.
struct PairedLayout {
  std::int64_t inputs_block, outputs_block;
  std::int64_t inputs_step, outputs_step, height_step, width_step;
};

// The weights of one module by use: packed once in the layout of the first that asks.
class WeightStore {
 public:
  WeightStore(std::shared_ptr<Library> library, const WeightSource& source, Precision precision,
              int threads)
      : library_(std::move(library)), source_(source), precision_(precision), threads_(threads) {}

  // Nothing when it is not there yet.
  // A weight has a second version where the layout of the first is a slow one for other sizes.
  static constexpr int kVersionsMax = 3;
  const PackedWeight* find(const WeightUse& use, int version = 0) const;
  // For WeightForm::plain, `layout` is not looked at. Errors: io_error, out_of_memory, internal.
  base::Result<const PackedWeight*> pack(const WeightUse& use, const Md& layout, int version = 0);

  const WeightSource& source() const { return source_; }
  Type packed_type() const { return precision_ == Precision::f32 ? Type::f32 : Type::bf16; }
  std::int64_t bytes() const { return bytes_; }
  // What a use takes, padding apart.
  std::int64_t bytes_of(const WeightUse& use) const;

 private:
  base::Status read_plain(const WeightUse& use, Type type, std::byte* to) const;
  base::Status read_paired(const WeightUse& use, const PairedLayout& layout, Bf16* to) const;
  base::Status read_rows(const WeightUse& use, std::int64_t begin, std::int64_t end, Type type,
                         std::vector<float>& floats, std::byte* to) const;
  base::Status read_file_rows(const std::string& name, const WeightInfo& info, std::int64_t begin,
                              std::int64_t n, std::vector<float>& floats) const;
  template <class Take>
  base::Status each_panel(const WeightUse& use, std::int64_t panel, Type type,
                          const Take& take) const;

  const std::shared_ptr<Library> library_;
  const WeightSource& source_;
  const Precision precision_;
  const int threads_;
  std::map<std::string, std::unique_ptr<PackedWeight>> weights_{};
  std::int64_t bytes_ = 0;
};

// Called for a step while its primitives are made: packs its weight if it is not there.
base::Result<std::unique_ptr<StepKernel>> make_linear_kernel(
    const LinearStep& step, int in_place, const Plan& plan, const std::shared_ptr<Library>& library,
    WeightStore& weights);
base::Result<std::unique_ptr<StepKernel>> make_conv_kernel(const ConvStep& step, int in_place,
                                                           const Plan& plan,
                                                           const std::shared_ptr<Library>& library,
                                                           WeightStore& weights);
// In blocks that stay in the caches; null where this processor or the step does not allow it.
std::unique_ptr<StepKernel> make_blocked_attention(const AttentionStep& step,
                                                   const std::shared_ptr<Library>& library);
base::Result<std::unique_ptr<StepKernel>> make_attention_kernel(
    const AttentionStep& step, const std::shared_ptr<Library>& library);

}  // namespace ingle::tensor::cpu
