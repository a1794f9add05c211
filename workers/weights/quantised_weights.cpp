#include "weights/quantised_weights.h"

#include <list>
#include <utility>

#include "base/check.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"

namespace ingle::weights {
namespace {

class BlockExecutor : public tensor::Executor {
 public:
  BlockExecutor(std::unique_ptr<tensor::Executor> executor, tensor::StorageType type)
      : executor_(std::move(executor)), type_(type) {}

  base::Result<std::unique_ptr<tensor::Module>> open(const tensor::WeightSource& source) override {
    return executor_->open(sources_.emplace_back(source, type_));
  }
  std::string name() const override { return executor_->name() + " with weights in blocks"; }
  tensor::MemoryUse memory() const override { return executor_->memory(); }
  void trim() override { executor_->trim(); }

 private:
  const std::unique_ptr<tensor::Executor> executor_;
  const tensor::StorageType type_;
  std::list<QuantisedWeights> sources_{};
};

}  // namespace

QuantisedWeights::QuantisedWeights(const tensor::WeightSource& source, tensor::StorageType type)
    : source_(source), type_(type) {
  CHECK(quantisable(type), "a type that can be written");
}

std::optional<tensor::WeightInfo> QuantisedWeights::find(std::string_view name) const {
  auto out = source_.find(name);
  if (out && out->shape.rank() == 2 && out->shape[1] % number_type(type_)->block_elements == 0)
    out->type = type_;
  return out;
}

base::Result<std::span<const std::byte>> QuantisedWeights::blocks(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  if (const auto found = blocks_.find(name); found != blocks_.end())
    return std::span<const std::byte>(found->second);
  const auto shape = source_.find(name)->shape;
  const auto type = *number_type(type_);
  const auto width = static_cast<std::size_t>(shape[1]);
  const auto row_bytes = width / type.block_elements * type.block_bytes;
  std::vector<std::byte> out(static_cast<std::size_t>(shape[0]) * row_bytes);
  std::vector<float> row(width);
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    TRY(source_.read(name, i, i + 1, row));
    quantise(type_, row, shape[1],
             std::span(out).subspan(static_cast<std::size_t>(i) * row_bytes, row_bytes));
  }
  return std::span<const std::byte>(blocks_.emplace(name, std::move(out)).first->second);
}

base::Status QuantisedWeights::read(std::string_view name, std::int64_t begin, std::int64_t end,
                                    std::span<float> out) const {
  const auto info = find(name);
  CHECK(info.has_value(), "a weight that find() knows");
  if (info->type != type_ || info->shape.rank() != 2) return source_.read(name, begin, end, out);
  TRY_ASSIGN(const auto all, blocks(name));
  const auto row_bytes = all.size() / static_cast<std::size_t>(info->shape[0]);
  blocks_to_f32(type_,
                all.subspan(static_cast<std::size_t>(begin) * row_bytes,
                            static_cast<std::size_t>(end - begin) * row_bytes),
                out);
  return {};
}

std::optional<std::span<const std::byte>> QuantisedWeights::stored(std::string_view name) const {
  const auto info = find(name);
  CHECK(info.has_value(), "a weight that find() knows");
  if (info->type != type_ || info->shape.rank() != 2) return source_.stored(name);
  const auto found = blocks(name);
  return found ? std::optional(*found) : std::nullopt;
}

std::unique_ptr<tensor::Executor> with_blocks(std::unique_ptr<tensor::Executor> executor,
                                              tensor::StorageType type) {
  return std::make_unique<BlockExecutor>(std::move(executor), type);
}

}  // namespace ingle::weights
