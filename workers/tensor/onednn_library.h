// What of oneDNN its wrappers share. Private to workers/tensor: the one header that lets its types
// in, included by few files. A library that throws is caught by guarded(), and only there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "oneapi/dnnl/dnnl.hpp"
#include "oneapi/dnnl/dnnl_ukernel.hpp"
#include "tensor/onednn.h"
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
  bool large_pages = true;  // until they are found to be slow
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
  std::byte* data = nullptr;  // there once it is filled
};

class Packing;

// The weights of one module by use, each held once, in the layout of the first that wanted it.
// Steps say what they want while they are made; then all of it is packed at once.
class WeightStore {
 public:
  // `plain`: the precision of what is not int8: f32 or bf16.
  WeightStore(std::shared_ptr<Library> library, const WeightSource& source, Precision plain,
              const OnednnOptions& options)
      : library_(std::move(library)),
        source_(source),
        precision_(plain),
        options_(options),
        threads_(options.threads) {}

  // A weight has further versions where the layout of the first is a slow one for other sizes.
  static constexpr int kVersionsMax = 3;
  // Nothing when nobody wanted it yet.
  const PackedWeight* find(const WeightUse& use, int version = 0) const;
  // What is there, or a new one in this layout, which is empty before fill(). For
  // WeightForm::plain, `layout` is not looked at.
  const PackedWeight* want(const WeightUse& use, const Md& layout, int version = 0);
  // The same in int8, which is held beside the other.
  const PackedWeight* find_int8(const WeightUse& use, int version) const;
  const PackedWeight* want_int8(const WeightUse& use, const Md& layout, int version);
  // It stays where its source has it, and counts as it is stored there.
  void keep_stored(const WeightUse& use);
  // Packs what is wanted and empty. Errors: io_error, model_broken, out_of_memory, internal, and
  // the source's own; then what is still empty is forgotten.
  base::Status fill(const PackProgress& progress);
  // Nobody wants what is empty any more.
  void forget();

  const WeightSource& source() const { return source_; }
  const OnednnOptions& options() const { return options_; }
  Type packed_type() const { return precision_ == Precision::f32 ? Type::f32 : Type::bf16; }
  std::int64_t bytes() const { return bytes_; }

 private:
  struct Wanted {
    std::string key;
    WeightUse use;
    PackedWeight* weight;
    bool int8 = false;

    std::int64_t bytes() const;
  };
  struct Piece;
  struct Progress;

  Type type_of(const WeightUse& use) const;
  void read_stored(Progress& progress);
  std::optional<Packing> packing_of(const Wanted& wanted) const;
  base::Status fill_batch(std::span<const Wanted> batch, Progress& progress);
  static void cut(const Packing& packing, std::byte* to, std::vector<Piece>& pieces);
  base::Status pack(std::span<const Piece> pieces, Progress& progress) const;
  base::Status reorder(const WeightUse& use, const PackedWeight& weight, Progress& progress) const;

  const std::shared_ptr<Library> library_;
  const WeightSource& source_;
  const Precision precision_;
  const OnednnOptions options_;
  const int threads_;
  std::map<std::string, PackedWeight> weights_{};
  std::vector<Wanted> wanted_{};
  std::set<std::string> stored_{};                 // keys
  std::vector<WeightUse> unread_{};                // of them
  std::vector<std::unique_ptr<Pages>> batches_{};  // what the weights lie in
  std::int64_t bytes_ = 0;
};

// Called for a step while its primitives are made: wants its weight.
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
