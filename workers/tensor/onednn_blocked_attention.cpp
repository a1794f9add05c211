// Attention in bf16, block by block: a thread takes one head and some of its queries, packs that
// head's keys and values once, and for each block of queries walks over blocks of keys with a
// running maximum and sum, so that no score ever leaves the second cache.
//
// Every query is computed alike, whatever the batch, the number of threads and the other queries.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/onednn_kernels.h"
#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;
using Block = dnnl::ukernel::brgemm;

constexpr Size kQueries = 64;        // of a block
constexpr Size kKeys = 512;          // of a block
constexpr Size kLane = 64;           // columns that are packed together
constexpr Size kTaskQueries = 1024;  // of one task: its keys and values are packed once

constexpr std::size_t kWorkBytes = 1024;  // the library's own, in one product

constexpr Size round_up(Size value, Size to) { return (value + to - 1) / to * to; }

// Null where the processor has no such product.
const Block* block_product(Library& library, const BlockShape& s) {
  const auto [found, added] = library.blocks.try_emplace(s);
  if (added) {
    using enum dnnl::memory::data_type;
    auto made = std::make_unique<Block>(s.m, s.n, s.k, 1, s.a, s.b, s.c, bf16, bf16, f32, true);
    if (!made->get(true)) return nullptr;
    made->set_add_C(s.add);
    if (!made->finalize()) return nullptr;
    made->generate();
    if (made->get_scratchpad_size() > kWorkBytes) return nullptr;
    found->second = std::move(made);
  }
  return found->second.get();
}

class BlockedAttention : public StepKernel {
 public:
  BlockedAttention(AttentionStep step, std::shared_ptr<Library> library)
      : step_(std::move(step)),
        library_(std::move(library)),
        tokens_(step_.q.shape[1]),
        heads_(step_.q.shape[2]),
        width_(step_.q.shape[3]),
        keys_(step_.k.shape[1]),
        group_(heads_ / step_.k.shape[2]),
        keys_padded_(round_up(keys_, kLane)) {}

  // False where a product is not to be had.
  bool prepare() {
    for (const Size m : {std::min(kQueries, tokens_), tokens_ % kQueries}) {
      if (m == 0) continue;
      if (!scores(m)) return false;
      for (const Size k : {std::min(kKeys, keys_padded_), keys_padded_ % kKeys})
        for (Size column = 0; column < width_; column += kLane)
          if (k > 0 && !values(m, column, k)) return false;
    }
    return true;
  }

  base::Status run(const Run& run) override {
    const Size chunks = (tokens_ + kTaskQueries - 1) / kTaskQueries;
    // The last tasks of a step leave threads idle: the more tasks, the shorter.
    parallel_tasks(
        step_.q.shape[0] * heads_ * chunks, run.threads, [&] { return Local(*this); },
        [&](Size task, Local& local) {
          const Size chunk = task % chunks, head = task / chunks % heads_;
          const Size item = task / chunks / heads_;
          const Size begin = chunk * kTaskQueries, end = std::min(tokens_, begin + kTaskQueries);
          if (run.stop) return;
          pack(run, local, item, head / group_, step_.causal ? std::min(keys_, end) : keys_);
          for (Size query = begin; query < end && !run.stop; query += kQueries)
            block(run, local, item, head, query, std::min(kQueries, end - query));
        });
    return run.stop ? stopped() : base::Status{};
  }

 private:
  // What a thread works in.
  struct Local {
    explicit Local(const BlockedAttention& a)
        : keys(sized(a.keys_padded_ * a.width_)),
          values(sized(a.keys_padded_ * a.width_padded())),
          weights(sized(kQueries * kKeys)),
          scores(sized(kQueries * kKeys)),
          sums(sized(kQueries * a.width_)),
          bias(sized(kKeys)),
          most(sized(kQueries)),
          total(sized(kQueries)) {}
    static std::size_t sized(Size n) { return static_cast<std::size_t>(n); }

    std::vector<Bf16> keys, values, weights;
    std::vector<float> scores, sums, bias, most, total;
    alignas(64) std::byte work[kWorkBytes];
  };

  // Columns of values from `column` on that are packed together, and the step of their rows.
  Size lane_width(Size column) const { return std::min(kLane, width_ - column); }
  Size lane_step(Size column) const { return round_up(lane_width(column), 16); }
  Size width_padded() const { return round_up(width_, 16); }

  const Block* scores(Size m) const {
    return block_product(*library_, {.m = m,
                                     .n = kLane,
                                     .k = width_,
                                     .a = step_.q.strides[1],
                                     .b = kLane,
                                     .c = kKeys,
                                     .add = false});
  }
  const Block* values(Size m, Size column, Size k) const {
    return block_product(*library_, {.m = m,
                                     .n = lane_width(column),
                                     .k = k,
                                     .a = kKeys,
                                     .b = lane_step(column),
                                     .c = width_,
                                     .add = true});
  }

  void pack(const Run& run, Local& local, Size item, Size kv_head, Size count) const {
    const auto from = [&](const View& view, Size key) {
      return run.at<Bf16>(view) + item * view.strides[0] + key * view.strides[1] +
             kv_head * view.strides[2];
    };
    const Size padded = round_up(count, kLane);
    for (Size key = 0; key < padded; key += kLane)
      kernels().pack_turned(from(step_.k, key), step_.k.strides[1], std::min(kLane, count - key),
                            width_, kLane, local.keys.data() + key * width_);
    for (Size column = 0; column < width_; column += kLane) {
      Bf16* to = local.values.data() + column * keys_padded_;
      const Size n = lane_width(column), step = lane_step(column);
      for (Size key = 0; key < padded; key += 2, to += 2 * step) {
        if (key >= count)
          std::fill_n(to, 2 * step, Bf16{0});
        else
          kernels().pack_pairs(from(step_.v, key) + column,
                               key + 1 < count ? from(step_.v, key + 1) + column : nullptr, to, n);
      }
    }
  }

  void block(const Run& run, Local& local, Size item, Size head, Size query, Size m) const {
    std::ranges::fill(local.sums, 0.0f);
    std::ranges::fill(local.total, 0.0f);
    std::ranges::fill(local.most, -std::numeric_limits<float>::infinity());
    const Size seen = step_.causal ? std::min(keys_, query + m) : keys_;
    const auto* q = run.at<Bf16>(step_.q) + item * step_.q.strides[0] + query * step_.q.strides[1] +
                    head * step_.q.strides[2];
    const std::vector<std::pair<Size, Size>> whole{{0, 0}};
    const Block* const product = scores(m);
    for (Size key = 0; key < seen; key += kKeys) {
      const Size n = std::min(kKeys, seen - key), padded = round_up(n, kLane);
      for (Size lane = 0; lane < padded; lane += kLane)
        product->execute(q, local.keys.data() + (key + lane) * width_, whole,
                         local.scores.data() + lane, local.work);
      for (Size row = 0; row < m; ++row)
        softmax(run, local, item, head, query + row, row, key, n, block_keys(key));
      add_values(local, m, key, whole);
    }
    write(run, local, item, head, query, m);
  }

  // Keys of the block that begins at `key`, padded.
  Size block_keys(Size key) const { return std::min(kKeys, keys_padded_ - key); }

  void add_values(Local& local, Size m, Size key,
                  const std::vector<std::pair<Size, Size>>& whole) const {
    for (Size column = 0; column < width_; column += kLane)
      values(m, column, block_keys(key))
          ->execute(local.weights.data(),
                    local.values.data() + column * keys_padded_ + key * lane_step(column), whole,
                    local.sums.data() + column, local.work);
  }

  // One query and a block of keys: weights by the highest score so far; what was summed before is
  // made smaller when there is a higher one.
  void softmax(const Run& run, Local& local, Size item, Size head, Size query, Size row, Size key,
               Size n, Size padded) const {
    const Kernels& k = kernels();
    float* const scores = local.scores.data() + row * kKeys;
    Bf16* const weights = local.weights.data() + row * kKeys;
    float& most = local.most[static_cast<std::size_t>(row)];
    float& total = local.total[static_cast<std::size_t>(row)];
    const Size seen = step_.causal ? std::clamp(query + 1 - key, Size{0}, n) : n;
    float scale = step_.scale, highest = 0;
    if (step_.bias.there() || scale <= 0) {
      highest = k.highest_with(scores, scale, bias(run, local, item, head, query, key, seen), seen);
      scale = 1;
    } else {
      highest = k.highest(scores, seen) * scale;
    }
    highest = std::max(highest, most);
    if (std::isfinite(highest)) {
      const float smaller = most < highest ? std::exp(most - highest) : 1.0f;
      if (smaller != 1.0f) k.affine(local.sums.data() + row * width_, smaller, 0, width_);
      total = total * smaller + k.weights(scores, weights, scale, highest, seen);
      most = highest;
      std::fill(weights + seen, weights + padded, Bf16{0});
    } else {
      std::fill_n(weights, padded, Bf16{0});
    }
  }

  const float* bias(const Run& run, Local& local, Size item, Size head, Size query, Size key,
                    Size n) const {
    const View& view = step_.bias;
    if (!view.there()) return nullptr;
    const Size at = item * view.strides[0] + head * view.strides[1] + query * view.strides[2] +
                    key * view.strides[3];
    if (view.type == Type::f32) return run.at<float>(view) + at;
    kernels().widen_bf16(run.at<Bf16>(view) + at, local.bias.data(), n);
    return local.bias.data();
  }

  void write(const Run& run, Local& local, Size item, Size head, Size query, Size m) const {
    for (Size row = 0; row < m; ++row) {
      float* const sums = local.sums.data() + row * width_;
      const float total = local.total[static_cast<std::size_t>(row)];
      kernels().affine(sums, total > 0 ? 1 / total : 0, 0, width_);
      kernels().narrow(sums,
                       run.at<Bf16>(step_.out) + item * step_.out.strides[0] +
                           (query + row) * step_.out.strides[1] + head * step_.out.strides[2],
                       width_);
    }
  }

  const AttentionStep step_;
  const std::shared_ptr<Library> library_;
  const Size tokens_, heads_, width_, keys_, group_, keys_padded_;
};

}  // namespace

std::unique_ptr<StepKernel> make_blocked_attention(const AttentionStep& step,
                                                   const std::shared_ptr<Library>& library) {
  // Pairs of elements are moved as one; keys of a repeated axis have no step.
  const bool fits =
      step.q.type == Type::bf16 && step.q.shape[3] % 2 == 0 && step.q.strides[1] >= step.q.shape[3];
  if (!fits) return nullptr;
  auto out = std::make_unique<BlockedAttention>(step, library);
  return out->prepare() ? std::move(out) : nullptr;
}

}  // namespace ingle::tensor::cpu
