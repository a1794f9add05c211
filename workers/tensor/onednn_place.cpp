// Where buffers lie: which of them share memory with what they were made from, how long each lives,
// and its place in the arena.
#include <algorithm>
#include <ranges>

#include "tensor/onednn_plan.h"

namespace ingle::tensor::cpu {
namespace {

constexpr std::int64_t kPlaceBytes = 256;  // alignment of a place

using Index = std::uint32_t;

Index root(const Plan& plan, Index buffer) {
  while (plan.buffers[buffer].same_as != kNoBuffer) buffer = plan.buffers[buffer].same_as;
  return buffer;
}

void find_lives(Plan& plan) {
  const auto touch = [&](Index buffer, Index step) {
    if (buffer == kNoBuffer) return;
    auto& b = plan.buffers[buffer];
    b.first = std::min(b.first, step);
    b.last = std::max(b.last, step);
  };
  for (Index step = 0; step < plan.steps.size(); ++step) {
    for (const auto buffer : plan.steps[step].reads) touch(buffer, step);
    touch(plan.steps[step].writes, step);
    touch(plan.steps[step].writes_too, step);
  }
}

// Whether the step may write its result over this operand: it is the operand's last use, element by
// element, and nothing else in the step reads it.
bool may_overwrite(const Plan& plan, Index step, const View& operand, const View& out) {
  if (!operand.there() || operand.type != out.type || operand.offset != 0 || out.offset != 0)
    return false;
  const auto& from = plan.buffers[operand.buffer];
  const auto& to = plan.buffers[out.buffer];
  const auto& base = plan.buffers[root(plan, operand.buffer)];
  if (from.kind != Buffer::Kind::arena || to.first != step || base.last != step ||
      from.bytes != to.bytes || !is_dense(out) || !is_dense(operand) ||
      operand.shape.elements() * type_bytes(operand.type) != from.bytes)
    return false;
  const Index mine = root(plan, operand.buffer);
  return std::ranges::count_if(plan.steps[step].reads,
                               [&](Index read) { return root(plan, read) == mine; }) == 1;
}

void share(Plan& plan, Index step, int in_place, const View& operand, const View& out) {
  plan.steps[step].in_place = in_place;
  const Index base = root(plan, operand.buffer);
  plan.buffers[out.buffer].same_as = base;
  plan.buffers[base].last = std::max(plan.buffers[base].last, plan.buffers[out.buffer].last);
}

const View& residual(const Stage& stage) {
  return stage.kind == Stage::Kind::mul_add ? stage.c : stage.b;
}

void share_rows(Plan& plan, Index step, const RowStep& rows) {
  if (!rows.halved && may_overwrite(plan, step, rows.in, rows.out))
    return share(plan, step, Step::kOnInput, rows.in, rows.out);
  for (const auto& [i, stage] : std::views::enumerate(rows.stages)) {
    if (stage.kind == Stage::Kind::norm || stage.kind == Stage::Kind::rope) continue;
    if (may_overwrite(plan, step, residual(stage), rows.out))
      return share(plan, step, static_cast<int>(i), residual(stage), rows.out);
  }
}

// The result of a product may be added to what already lies there.
void share_product(Plan& plan, Index step, const std::vector<Stage>& stages, const View& out) {
  for (const auto& [i, stage] : std::views::enumerate(stages)) {
    if (stage.kind != Stage::Kind::add && stage.kind != Stage::Kind::mul_add) continue;
    if (may_overwrite(plan, step, residual(stage), out))
      return share(plan, step, static_cast<int>(i), residual(stage), out);
  }
}

struct Placed {
  Index first, last;
  std::int64_t begin, end;
};

// Largest first, each at the lowest place where nothing alive at the same time lies.
void place(Plan& plan) {
  std::vector<Index> order;
  for (Index i = 0; i < plan.buffers.size(); ++i)
    if (const auto& b = plan.buffers[i];
        b.kind == Buffer::Kind::arena && b.same_as == kNoBuffer && b.first != ~0u)
      order.push_back(i);
  std::ranges::stable_sort(order, std::greater(), [&](Index i) { return plan.buffers[i].bytes; });
  std::vector<Placed> placed;  // by begin
  for (const Index i : order) {
    auto& buffer = plan.buffers[i];
    const auto size = (buffer.bytes + kPlaceBytes - 1) / kPlaceBytes * kPlaceBytes;
    std::int64_t at = 0;
    for (const auto& other : placed) {
      if (other.last < buffer.first || buffer.last < other.first) continue;
      if (at + size <= other.begin) break;
      at = std::max(at, other.end);
    }
    buffer.place = at;
    plan.arena_bytes = std::max(plan.arena_bytes, at + size);
    const Placed mine{buffer.first, buffer.last, at, at + size};
    placed.insert(std::ranges::upper_bound(placed, at, {}, &Placed::begin), mine);
  }
  for (auto& buffer : plan.buffers)
    if (buffer.same_as != kNoBuffer) buffer.place = plan.buffers[buffer.same_as].place;
}

void count_live(Plan& plan) {
  std::vector<std::int64_t> change(plan.steps.size() + 1);
  for (const auto& buffer : plan.buffers) {
    if (buffer.kind != Buffer::Kind::arena || buffer.same_as != kNoBuffer || buffer.first == ~0u)
      continue;
    change[buffer.first] += buffer.bytes;
    change[buffer.last + 1] -= buffer.bytes;
  }
  std::int64_t live = 0;
  for (const auto by : change) plan.live_bytes_max = std::max(plan.live_bytes_max, live += by);
}

}  // namespace

void place_buffers(Plan& plan) {
  find_lives(plan);
  for (Index step = 0; step < plan.steps.size(); ++step) {
    const auto& work = plan.steps[step].work;
    if (const auto* rows = std::get_if<RowStep>(&work)) share_rows(plan, step, *rows);
    if (const auto* linear = std::get_if<LinearStep>(&work))
      share_product(plan, step, linear->stages, linear->out);
    if (const auto* conv = std::get_if<ConvStep>(&work))
      share_product(plan, step, conv->stages, conv->out);
  }
  place(plan);
  count_live(plan);
}

}  // namespace ingle::tensor::cpu
