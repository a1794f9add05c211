#include "tensor/onednn_plan.h"

#include <algorithm>
#include <format>
#include <map>
#include <utility>

#include "base/check.h"

namespace ingle::tensor::cpu {
namespace {

constexpr std::uint32_t kNobody = ~0u;

// One value for each item and channel, or one for each channel: what the library can add to or
// multiply with the result of a product as it writes it.
bool is_vector_for(const Shape& operand, const Shape& shape) {
  if (operand.rank() == 0 || shape.rank() == 0 || operand.last() != shape.last()) return false;
  for (std::size_t back = 1; back < operand.rank(); ++back) {
    const bool first = back + 1 == shape.rank();
    if (operand.last(back) != 1 && !(first && operand.last(back) == shape[0])) return false;
  }
  return true;
}

class Lowering {
 public:
  Lowering(const Graph& graph, Precision precision) : graph_(graph), precision_(precision) {}

  base::Result<Plan> run(std::span<const std::string> outputs);

 private:
  base::Status want(std::span<const std::string> outputs);
  void find_users();
  void find_chains();
  void find_chain(std::uint32_t head);
  bool follows(std::uint32_t current, std::uint32_t user, bool product) const;

  void lower(std::uint32_t id);
  void lower_chain(std::uint32_t head);
  void lower_view(std::uint32_t id);
  void lower_linear(std::uint32_t head, std::span<const std::uint32_t> rest);
  void lower_conv(std::uint32_t head, std::span<const std::uint32_t> rest);
  void lower_rows(std::uint32_t head, std::span<const std::uint32_t> rest);
  void lower_group_norm(const Node& node, RowStep& step);
  void lower_attention(std::uint32_t id);
  void lower_concat(std::uint32_t id);
  void lower_embedding(std::uint32_t id);
  void emit_outputs(std::uint32_t id);

  Stage stage(std::uint32_t id, std::uint32_t current, bool product);
  View stage_operand(Tensor tensor, const Shape& shape, bool product);

  const Node& node(std::uint32_t id) const { return graph_.nodes()[id]; }
  bool is_weight(Tensor tensor) const { return node(tensor.id).op == Op::weight; }
  Type type_for(const Shape& shape) const;
  Type product_type() const { return precision_ == Precision::f32 ? Type::f32 : Type::bf16; }
  View value(Tensor tensor);
  View plain_weight(const Node& node);
  std::uint32_t packed_weight(const Node& node, WeightForm form);
  View dense(Tensor tensor, std::optional<Type> type = {});
  View rows_for_product(Tensor tensor);
  View make_buffer(const Shape& shape, Type type);
  void push(Op op, Work work);

  const Graph& graph_;
  const Precision precision_;
  Plan plan_{};
  std::vector<bool> needed_{};
  std::vector<std::vector<std::uint32_t>> wanted_{};  // outputs, by node
  std::vector<std::vector<std::uint32_t>> users_{};
  std::vector<std::uint32_t> chain_of_{};                         // the head, by node
  std::map<std::uint32_t, std::vector<std::uint32_t>> chains_{};  // by head: it and the rest
  std::vector<View> values_{};
  std::map<std::pair<std::uint32_t, Type>, View> copies_{};
  std::map<std::string, std::uint32_t> weights_{};
};

base::Status Lowering::want(std::span<const std::string> outputs) {
  const std::size_t count = graph_.nodes().size();
  needed_.resize(count);
  wanted_.resize(count);
  users_.resize(count);
  chain_of_.assign(count, kNobody);
  values_.resize(count);
  for (const auto& name : outputs) {
    const auto found = std::ranges::find(graph_.outputs(), name, &Output::name);
    if (found == graph_.outputs().end())
      return base::fail(base::ErrorCode::invalid_argument,
                        std::format("the graph has no output '{}'", name));
    needed_[found->tensor.id] = true;
    wanted_[found->tensor.id].push_back(static_cast<std::uint32_t>(plan_.outputs.size()));
    plan_.outputs.push_back({name, graph_.shape(found->tensor).elements()});
  }
  return {};
}

void Lowering::find_users() {
  for (auto id = static_cast<std::uint32_t>(graph_.nodes().size()); id-- > 0;) {
    if (!needed_[id]) continue;
    for (const auto operand : node(id).operands)
      if (operand != kNone) needed_[operand.id] = true;
  }
  for (std::uint32_t id = 0; id < graph_.nodes().size(); ++id)
    if (needed_[id])
      for (const auto operand : node(id).operands)
        if (operand != kNone) users_[operand.id].push_back(id);
}

bool starts_rows(Op op) {
  switch (op) {
    case Op::add:
    case Op::mul:
    case Op::mul_add:
    case Op::affine:
    case Op::unary:
    case Op::gated:
    case Op::group_norm:
    case Op::layer_norm:
    case Op::rms_norm:
    case Op::rope:
      return true;
    default:
      return false;
  }
}

// Products come first: what follows one costs nothing when it does it.
void Lowering::find_chains() {
  for (std::uint32_t id = 0; id < graph_.nodes().size(); ++id)
    if (needed_[id] && (node(id).op == Op::linear || node(id).op == Op::conv2d)) find_chain(id);
  for (std::uint32_t id = 0; id < graph_.nodes().size(); ++id)
    if (needed_[id] && chain_of_[id] == kNobody && starts_rows(node(id).op)) find_chain(id);
}

void Lowering::find_chain(std::uint32_t head) {
  const bool product = node(head).op == Op::linear || node(head).op == Op::conv2d;
  auto& chain = chains_[head];
  std::uint32_t current = head;
  for (;;) {
    chain.push_back(current);
    chain_of_[current] = head;
    if (!wanted_[current].empty() || users_[current].size() != 1) return;
    const std::uint32_t user = users_[current][0];
    if (chain_of_[user] != kNobody || !follows(current, user, product)) return;
    current = user;
  }
}

// Whether `user` can be one more stage on the row of `current`.
bool Lowering::follows(std::uint32_t current, std::uint32_t user, bool product) const {
  const Node& next = node(user);
  if (next.shape != node(current).shape) return false;
  const auto good = [&](Tensor operand) {
    const Shape& shape = graph_.shape(operand);
    return operand.id == current || !product || shape == next.shape ||
           is_vector_for(shape, next.shape);
  };
  switch (next.op) {
    case Op::affine:
    case Op::unary:
      return true;
    case Op::add:
    case Op::mul:
      return good(next.operands[0]) && good(next.operands[1]);
    case Op::mul_add:
      if (product && next.operands[2].id == current) return false;
      return std::ranges::all_of(next.operands, good);
    case Op::rope:
      return !product && next.operands[0].id == current;
    default:
      return false;
  }
}

base::Result<Plan> Lowering::run(std::span<const std::string> outputs) {
  if (!graph_.status()) return std::unexpected(graph_.status().error());
  TRY(want(outputs));
  find_users();
  find_chains();
  for (std::uint32_t id = 0; id < graph_.nodes().size(); ++id) {
    if (!needed_[id]) continue;
    if (const auto head = chain_of_[id]; head != kNobody) {
      if (chains_[head].back() != id) continue;
      lower_chain(head);
    } else {
      lower(id);
    }
    emit_outputs(id);
  }
  place_buffers(plan_);
  return std::move(plan_);
}

void Lowering::emit_outputs(std::uint32_t id) {
  for (const auto output : wanted_[id])
    push(node(id).op, EmitStep{.in = value({id}), .output = output});
}

void Lowering::lower(std::uint32_t id) {
  switch (node(id).op) {
    case Op::reshape:
    case Op::permute:
    case Op::slice:
    case Op::repeat:
      return lower_view(id);
    case Op::concat:
      return lower_concat(id);
    case Op::attention:
      return lower_attention(id);
    case Op::embedding:
      return lower_embedding(id);
    case Op::upsample_nearest: {
      const View in = dense(node(id).operands[0]);
      values_[id] = make_buffer(node(id).shape, in.type);
      return push(Op::upsample_nearest, UpsampleStep{.in = in, .out = values_[id]});
    }
    default:
      return;  // leaves: when somebody needs them
  }
}

void Lowering::lower_chain(std::uint32_t head) {
  const auto& chain = chains_[head];
  const auto rest = std::span(chain).subspan(1);
  if (node(head).op == Op::linear) return lower_linear(head, rest);
  if (node(head).op == Op::conv2d) return lower_conv(head, rest);
  lower_rows(head, rest);
}

void Lowering::lower_view(std::uint32_t id) {
  const Node& n = node(id);
  View from = value(n.operands[0]);
  View& out = values_[id];
  if (n.op == Op::repeat) {
    out = broadcast_to(from, n.shape);
  } else if (n.op == Op::reshape) {
    const auto view = reshaped(from, n.shape);
    out = view ? *view : *reshaped(dense(n.operands[0]), n.shape);
  } else {
    out = from;
    out.shape = n.shape;
    if (n.op == Op::slice) {
      out.offset += n.axes[1] * from.strides[static_cast<std::size_t>(n.axes[0])];
    } else {
      for (std::size_t axis = 0; axis < n.shape.rank(); ++axis)
        out.strides[axis] = from.strides[static_cast<std::size_t>(n.axes[axis])];
    }
  }
}

void Lowering::lower_linear(std::uint32_t head, std::span<const std::uint32_t> rest) {
  const Node& n = node(head);
  LinearStep step{.a = rows_for_product(n.operands[0])};
  if (is_weight(n.operands[1]))
    step.weight = packed_weight(node(n.operands[1].id), WeightForm::linear);
  else
    step.b = dense(n.operands[1], product_type());
  if (n.operands[2] != kNone) step.bias = dense(n.operands[2]);
  std::uint32_t last = head;
  for (const auto id : rest) step.stages.push_back(stage(id, std::exchange(last, id), true));
  step.out = values_[last] = make_buffer(n.shape, type_for(n.shape));
  push(Op::linear, std::move(step));
}

void Lowering::lower_conv(std::uint32_t head, std::span<const std::uint32_t> rest) {
  const Node& n = node(head);
  const Shape& kernel = graph_.shape(n.operands[1]);
  ConvStep step{.a = dense(n.operands[0], product_type()),
                .kernel_height = kernel[2],
                .kernel_width = kernel[3],
                .stride = n.axes[0],
                .padding = {n.axes[1], n.axes[2], n.axes[3], n.axes[4]}};
  if (is_weight(n.operands[1]))
    step.weight = packed_weight(node(n.operands[1].id), WeightForm::conv);
  else
    step.b = dense(n.operands[1], product_type());
  if (n.operands[2] != kNone) step.bias = dense(n.operands[2]);
  std::uint32_t last = head;
  for (const auto id : rest) step.stages.push_back(stage(id, std::exchange(last, id), true));
  step.out = values_[last] = make_buffer(n.shape, type_for(n.shape));
  push(Op::conv2d, std::move(step));
}

void Lowering::lower_rows(std::uint32_t head, std::span<const std::uint32_t> rest) {
  const Node& n = node(head);
  RowStep step;
  Tensor first = n.operands[0];
  switch (n.op) {
    case Op::gated:
      step.in = value(first);
      step.halved = true;
      step.unary = n.unary;
      step.gate = n.gate;
      break;
    case Op::group_norm:
      lower_group_norm(n, step);
      break;
    default:
      if (graph_.shape(first) != n.shape) first = n.operands[1];
      step.in = broadcast_to(value(first), n.shape);
      step.stages.push_back(stage(head, first.id, false));
  }
  std::uint32_t last = head;
  for (const auto id : rest) step.stages.push_back(stage(id, std::exchange(last, id), false));
  step.out = values_[last] = make_buffer(n.shape, type_for(n.shape));
  push(n.op, std::move(step));
}

void Lowering::lower_group_norm(const Node& n, RowStep& step) {
  const std::int64_t items = n.shape[0], channels = n.shape.last();
  step.in = value(n.operands[0]);
  auto flat = reshaped(step.in, {items, n.shape.elements() / items / channels, channels});
  if (!flat || flat->strides[2] != 1) {
    step.in = dense(n.operands[0]);
    flat = reshaped(step.in, {items, n.shape.elements() / items / channels, channels});
  }
  MomentsStep moments{.in = *flat,
                      .groups = n.axes[0],
                      .epsilon = n.x,
                      .scale = dense(n.operands[1], Type::f32),
                      .shift = dense(n.operands[2], Type::f32),
                      .factor = make_buffer({items, channels}, Type::f32),
                      .offset = make_buffer({items, channels}, Type::f32)};
  Shape shape = n.shape;
  for (std::size_t axis = 1; axis + 1 < shape.rank(); ++axis) shape[axis] = 1;
  step.stages.push_back({.kind = Stage::Kind::mul_add,
                         .b = broadcast_to(*reshaped(moments.factor, shape), n.shape),
                         .c = broadcast_to(*reshaped(moments.offset, shape), n.shape)});
  push(Op::group_norm, std::move(moments));
}

View Lowering::stage_operand(Tensor tensor, const Shape& shape, bool product) {
  View view = value(tensor);
  // Products read whole tensors and vectors without gaps.
  if (product && !is_dense(view)) view = dense(tensor);
  return broadcast_to(view, shape);
}

Stage Lowering::stage(std::uint32_t id, std::uint32_t current, bool product) {
  const Node& n = node(id);
  const auto other = [&](Tensor tensor) { return stage_operand(tensor, n.shape, product); };
  const auto& on = n.operands;
  using enum Stage::Kind;
  switch (n.op) {
    case Op::add:
    case Op::mul:
      return {.kind = n.op == Op::add ? add : mul, .b = other(on[0].id == current ? on[1] : on[0])};
    case Op::mul_add:
      if (on[0].id == current) return {.kind = mul_add, .b = other(on[1]), .c = other(on[2])};
      if (on[1].id == current) return {.kind = mul_add, .b = other(on[0]), .c = other(on[2])};
      return {.kind = add_product, .b = other(on[0]), .c = other(on[1])};
    case Op::affine:
      return {.kind = affine, .x = n.x, .y = n.y};
    case Op::unary:
      return {.kind = unary, .unary = n.unary};
    case Op::layer_norm:
    case Op::rms_norm: {
      Stage out{.kind = norm, .x = n.x, .centred = n.op == Op::layer_norm};
      if (on[1] != kNone) out.b = broadcast_to(dense(on[1], Type::f32), n.shape);
      if (on.size() > 2 && on[2] != kNone) out.c = broadcast_to(dense(on[2], Type::f32), n.shape);
      return out;
    }
    case Op::rope: {
      // [t, d / 2] or [n, t, d / 2], the same for every head.
      const auto angles = [&](Tensor tensor) {
        const View table = value(tensor);
        View out = table;
        out.shape = {n.shape[0], n.shape[1], n.shape[2], n.shape[3] / 2};
        const std::size_t back = table.shape.rank() - 2;
        out.strides = {back == 1 && n.shape[0] > 1 ? table.strides[0] : 0, table.strides[back], 0,
                       table.strides[back + 1]};
        return out;
      };
      return {.kind = rope, .b = angles(on[1]), .c = angles(on[2]), .rope = n.rope};
    }
    default:
      std::unreachable();
  }
}

void Lowering::lower_attention(std::uint32_t id) {
  const Node& n = node(id);
  const auto heads = [&](Tensor tensor) {
    const View view = value(tensor);
    // oneDNN takes a matrix of one row within others for a turned one.
    const bool plain = view.strides[3] == 1 && (view.shape[1] > 1 || is_dense(view));
    return view.type == product_type() && plain ? view : dense(tensor, product_type());
  };
  AttentionStep step{.q = heads(n.operands[0]),
                     .k = heads(n.operands[1]),
                     .v = heads(n.operands[2]),
                     .scale = n.x,
                     .causal = n.causal};
  if (n.operands[3] != kNone)
    step.bias = broadcast_to(dense(n.operands[3]),
                             {n.shape[0], n.shape[2], n.shape[1], graph_.shape(n.operands[1])[1]});
  step.out = values_[id] = make_buffer(n.shape, product_type());
  push(Op::attention, std::move(step));
}

void Lowering::lower_concat(std::uint32_t id) {
  const Node& n = node(id);
  const auto axis = static_cast<std::size_t>(n.axes[0]);
  values_[id] = make_buffer(n.shape, type_for(n.shape));
  View part = values_[id];
  for (const auto operand : n.operands) {
    part.shape = graph_.shape(operand);
    push(Op::concat, RowStep{.in = value(operand), .out = part});
    part.offset += part.shape[axis] * part.strides[axis];
  }
}

void Lowering::lower_embedding(std::uint32_t id) {
  const Node& n = node(id);
  EmbeddingStep step{.ids = value(n.operands[0]), .rows = graph_.shape(n.operands[1])[0]};
  const Node& table = node(n.operands[1].id);
  if (table.op == Op::weight && table.names.size() == 1)
    step.table = table.names[0];
  else
    step.b = dense(n.operands[1], Type::f32);
  step.out = values_[id] = make_buffer(n.shape, type_for(n.shape));
  push(Op::embedding, std::move(step));
}

// In bf16 what is one row for each item (an embedding of a time, a modulation) stays in f32: it
// costs nothing and everything after it depends on it.
Type Lowering::type_for(const Shape& shape) const {
  constexpr std::int64_t kBatchMax = 16;
  if (precision_ == Precision::f32 || shape.rank() < 2) return Type::f32;
  std::int64_t places = 1;
  for (std::size_t axis = 1; axis + 1 < shape.rank(); ++axis) places *= shape[axis];
  return places == 1 && shape[0] <= kBatchMax ? Type::f32 : Type::bf16;
}

View Lowering::make_buffer(const Shape& shape, Type type) {
  plan_.buffers.push_back(
      {.kind = Buffer::Kind::arena, .bytes = shape.elements() * type_bytes(type)});
  return {.buffer = static_cast<std::uint32_t>(plan_.buffers.size() - 1),
          .type = type,
          .shape = shape,
          .strides = dense_strides(shape)};
}

View Lowering::value(Tensor tensor) {
  View& out = values_[tensor.id];
  if (out.there()) return out;
  const Node& n = node(tensor.id);
  if (n.op == Op::weight) return out = plain_weight(n);
  CHECK(n.op == Op::input || n.op == Op::constant, "operands come before their users");
  out = make_buffer(n.shape, n.ids ? Type::i32 : Type::f32);
  auto& buffer = plan_.buffers.back();
  buffer.kind = n.op == Op::input ? Buffer::Kind::input : Buffer::Kind::constant;
  if (n.op == Op::input) buffer.name = n.names[0];
  buffer.data = n.data;
  return out;
}

View Lowering::plain_weight(const Node& n) {
  const auto weight = packed_weight(n, WeightForm::plain);
  View out = make_buffer(n.shape, Type::f32);
  plan_.buffers.back().kind = Buffer::Kind::weight;
  plan_.buffers.back().weight = weight;
  return out;
}

std::uint32_t Lowering::packed_weight(const Node& n, WeightForm form) {
  WeightUse use{.names = n.names, .shape = n.shape, .form = form};
  const auto [found, added] =
      weights_.try_emplace(use.key(), static_cast<std::uint32_t>(plan_.weights.size()));
  if (added) plan_.weights.push_back(std::move(use));
  return found->second;
}

View Lowering::dense(Tensor tensor, std::optional<Type> type) {
  const View from = value(tensor);
  if (is_dense(from) && from.type == type.value_or(from.type)) return from;
  const auto [found, added] = copies_.try_emplace({tensor.id, type.value_or(from.type)});
  if (added) {
    found->second = make_buffer(from.shape, type.value_or(from.type));
    push(node(tensor.id).op, RowStep{.in = from, .out = found->second});
  }
  return found->second;
}

// A product reads items whose rows are evenly spaced.
View Lowering::rows_for_product(Tensor tensor) {
  const View view = value(tensor);
  const std::size_t rank = view.shape.rank();
  const bool even = view.strides[rank - 1] == 1 && joint_stride(view, 0, rank - 1);
  return even && view.type == product_type() ? view : dense(tensor, product_type());
}

void Lowering::push(Op op, Work work) {
  Step step{.op = op, .work = std::move(work)};
  const auto read = [&](const View& view) {
    if (view.there()) step.reads.push_back(view.buffer);
  };
  const auto stages = [&](const std::vector<Stage>& all) {
    for (const auto& one : all) read(one.b), read(one.c);
  };
  std::visit(
      [&]<class W>(const W& w) {
        if constexpr (requires { w.in; }) read(w.in);
        if constexpr (requires { w.a; }) read(w.a);
        if constexpr (requires { w.b; }) read(w.b);
        if constexpr (requires { w.bias; }) read(w.bias);
        if constexpr (requires { w.stages; }) stages(w.stages);
        if constexpr (requires { w.q; }) read(w.q), read(w.k), read(w.v);
        if constexpr (requires { w.scale.buffer; }) read(w.scale), read(w.shift);
        if constexpr (requires { w.ids; }) read(w.ids);
        if constexpr (requires { w.out; }) step.writes = w.out.buffer;
        if constexpr (requires { w.factor; }) {
          step.writes = w.factor.buffer;
          step.writes_too = w.offset.buffer;
        }
      },
      step.work);
  plan_.steps.push_back(std::move(step));
}

}  // namespace

base::Result<Plan> make_plan(const Graph& graph, std::span<const std::string> outputs,
                             Precision precision) {
  return Lowering(graph, precision).run(outputs);
}

}  // namespace ingle::tensor::cpu
