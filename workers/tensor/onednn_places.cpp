// Steps over places and tables: the moments of group norms, nearest-neighbour enlarging, lookups.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "tensor/onednn_kernels.h"
#include "tensor/onednn_step.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

std::size_t idx(Size value) { return static_cast<std::size_t>(value); }

// Sums over blocks of a fixed number of places, joined in order, so that the result depends neither
// on the number of threads nor on the other items. Values are taken less the first place's, so that
// a mean far from zero costs no digits.
class MomentsKernel : public StepKernel {
 public:
  explicit MomentsKernel(MomentsStep step) : step_(std::move(step)) {}

  std::int64_t scratch_bytes() const override {
    return items() * blocks() * 2 * channels() * Size{sizeof(float)};
  }

  base::Status run(const Run& run) override {
    auto* sums = reinterpret_cast<float*>(run.scratch);
    parallel_tasks(
        items() * blocks(), run.threads, [&] { return std::vector<float>(idx(channels())); },
        [&](Size task, std::vector<float>& row) {
          const Size item = task / blocks(), begin = task % blocks() * kBlockPlaces;
          const Size count = std::min(kBlockPlaces, places() - begin), c = channels();
          float* const sum = sums + task * 2 * c;
          const float* const origin = place(run, item, 0, row.data());
          const Size step = step_.in.strides[1], at = item * step_.in.strides[0] + begin * step;
          if (step_.in.type == Type::f32)
            kernels().moments(run.at<float>(step_.in) + at, step, count, origin, sum, sum + c, c);
          else
            kernels().moments_bf16(run.at<Bf16>(step_.in) + at, step, count, origin, sum, sum + c,
                                   c);
        });
    for (Size item = 0; item < items(); ++item) finish(run, item, sums);
    return {};
  }

 private:
  static constexpr Size kBlockPlaces = 64;

  Size items() const { return step_.in.shape[0]; }
  Size places() const { return step_.in.shape[1]; }
  Size channels() const { return step_.in.shape[2]; }
  Size blocks() const { return (places() + kBlockPlaces - 1) / kBlockPlaces; }

  const float* place(const Run& run, Size item, Size p, float* to) const {
    const Size at = item * step_.in.strides[0] + p * step_.in.strides[1];
    if (step_.in.type == Type::f32) return run.at<float>(step_.in) + at;
    kernels().widen_bf16(run.at<Bf16>(step_.in) + at, to, channels());
    return to;
  }

  void finish(const Run& run, Size item, const float* sums) const {
    const Size c = channels(), width = c / step_.groups;
    std::vector<float> origin_row(idx(c));
    const float* origin = place(run, item, 0, origin_row.data());
    std::vector<double> sum(idx(c)), square(idx(c));
    for (Size block = 0; block < blocks(); ++block) {
      const float* from = sums + (item * blocks() + block) * 2 * c;
      for (Size i = 0; i < c; ++i) {
        sum[idx(i)] += double{from[i]};
        square[idx(i)] += double{from[c + i]};
      }
    }
    const auto count = static_cast<double>(places());
    const float *scale = run.at<float>(step_.scale), *shift = run.at<float>(step_.shift);
    float* factor = run.at<float>(step_.factor) + item * c;
    float* offset = run.at<float>(step_.offset) + item * c;
    for (Size group = 0; group < step_.groups; ++group) {
      double mean = 0, variance = 0;
      for (Size i = group * width; i < (group + 1) * width; ++i)
        mean += double{origin[i]} + sum[idx(i)] / count;
      mean /= static_cast<double>(width);
      for (Size i = group * width; i < (group + 1) * width; ++i) {
        const double own = sum[idx(i)] / count, apart = double{origin[i]} + own - mean;
        variance += square[idx(i)] / count - own * own + apart * apart;
      }
      variance = std::max(variance / static_cast<double>(width), 0.0);
      const double inverse = 1 / std::sqrt(variance + double{step_.epsilon});
      for (Size i = group * width; i < (group + 1) * width; ++i) {
        factor[i] = static_cast<float>(inverse * double{scale[i]});
        offset[i] = static_cast<float>(double{shift[i]} - mean * inverse * double{scale[i]});
      }
    }
  }

  const MomentsStep step_;
};

class UpsampleKernel : public StepKernel {
 public:
  explicit UpsampleKernel(UpsampleStep step) : step_(std::move(step)) {}

  base::Status run(const Run& run) override {
    const Shape &from = step_.in.shape, &to = step_.out.shape;
    const Size bytes = to[3] * type_bytes(step_.out.type);
    const std::byte* in = run.bytes_at(step_.in);
    std::byte* out = run.bytes_at(step_.out);
    parallel_tasks(
        to[0] * to[1], run.threads, [] { return 0; },
        [&](Size task, int&) {
          const Size item = task / to[1], y = task % to[1] * from[1] / to[1];
          const std::byte* row = in + (item * from[1] + y) * from[2] * bytes;
          for (Size x = 0; x < to[2]; ++x)
            std::memcpy(out + (task * to[2] + x) * bytes, row + x * from[2] / to[2] * bytes,
                        idx(bytes));
        });
    return {};
  }

 private:
  const UpsampleStep step_;
};

// Rows of a table that stays in its file: only those that are asked for are ever read.
class EmbeddingKernel : public StepKernel {
 public:
  EmbeddingKernel(EmbeddingStep step, const WeightSource& source)
      : step_(std::move(step)), source_(source) {}

  base::Status run(const Run& run) override {
    const Size width = step_.out.shape.last(), count = step_.out.shape.rows();
    const auto* ids = run.at<std::int32_t>(step_.ids);
    std::vector<float> row(idx(width));
    for (Size i = 0; i < count; ++i) {
      std::ranges::fill(row, 0.0f);
      if (const Size id = ids[i]; id >= 0 && id < step_.rows) {
        if (step_.table.empty())
          std::copy_n(run.at<float>(step_.b) + id * width, width, row.data());
        else
          TRY(source_.read(step_.table, id, id + 1, row));
      }
      if (step_.out.type == Type::f32)
        std::ranges::copy(row, run.at<float>(step_.out) + i * width);
      else
        kernels().narrow(row.data(), run.at<Bf16>(step_.out) + i * width, width);
    }
    return {};
  }

 private:
  const EmbeddingStep step_;
  const WeightSource& source_;
};

}  // namespace

std::unique_ptr<StepKernel> make_moments_kernel(const MomentsStep& step) {
  return std::make_unique<MomentsKernel>(step);
}
std::unique_ptr<StepKernel> make_upsample_kernel(const UpsampleStep& step) {
  return std::make_unique<UpsampleKernel>(step);
}
std::unique_ptr<StepKernel> make_embedding_kernel(const EmbeddingStep& step,
                                                  const WeightSource& source) {
  return std::make_unique<EmbeddingKernel>(step, source);
}

}  // namespace ingle::tensor::cpu
