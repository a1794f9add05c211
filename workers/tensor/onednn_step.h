// StepKernel: one step of a plan made ready to run, and what it runs on. Confined to the thread
// that runs the program; kernels use the other threads themselves.
#pragma once

#include <omp.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "tensor/onednn_plan.h"

namespace ingle::tensor::cpu {

// Where everything lies during one run.
struct Run {
  std::vector<std::byte*> buffers;  // by number in the plan
  std::byte* scratch = nullptr;     // the largest that any step asks for
  std::span<float* const> outputs;  // by number in the plan; null when nobody asks
  int threads = 1;
  const std::atomic<bool>& stop;

  template <class T>
  T* at(const View& view) const {
    return reinterpret_cast<T*>(buffers[view.buffer]) + view.offset;
  }
  std::byte* bytes_at(const View& view, std::int64_t elements = 0) const {
    return buffers[view.buffer] + (view.offset + elements) * type_bytes(view.type);
  }
};

inline base::Status stopped() {
  return base::fail(base::ErrorCode::cancelled, "the computation was stopped");
}

class StepKernel {
 public:
  virtual ~StepKernel() = default;
  virtual base::Status run(const Run& run) = 0;
  virtual std::int64_t scratch_bytes() const { return 0; }
};

// Calls body(task, local) for tasks [0, count), in any order, on several threads; each has its own
// make_local().
template <class Make, class Body>
void parallel_tasks(std::int64_t count, int threads, Make&& make_local, Body&& body) {
  if (count <= 1 || threads <= 1) {
    auto local = make_local();
    for (std::int64_t i = 0; i < count; ++i) body(i, local);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    auto local = make_local();
#pragma omp for schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) body(i, local);
  }
}

std::unique_ptr<StepKernel> make_row_kernel(const RowStep& step);
std::unique_ptr<StepKernel> make_moments_kernel(const MomentsStep& step);
std::unique_ptr<StepKernel> make_upsample_kernel(const UpsampleStep& step);
std::unique_ptr<StepKernel> make_embedding_kernel(const EmbeddingStep& step,
                                                  const WeightSource& source);
std::unique_ptr<StepKernel> make_emit_kernel(const EmitStep& step);

}  // namespace ingle::tensor::cpu
