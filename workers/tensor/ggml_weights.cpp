#include "tensor/ggml_weights.h"

#include <algorithm>
#include <format>

#include "base/check.h"

namespace ingle::tensor {
namespace {

using base::ErrorCode;

// Of f32 values that are read and converted at a time.
constexpr std::int64_t kPanelElements = 1 << 20;
constexpr std::size_t kUploadBytes = 16 << 20;

enum class Use : std::uint8_t { none, product, convolution, table, values };

Use use_of(const Node& user, std::size_t operand) {
  if (user.op == Op::linear && operand == 1) return Use::product;
  if (user.op == Op::conv2d && operand == 1) return Use::convolution;
  if (user.op == Op::embedding && operand == 1) return Use::table;
  return Use::values;
}

bool is_ggml_type(StorageType type) {
  if (type >= GGML_TYPE_COUNT) return false;
  if (type == kF32) return true;
  const auto* traits = ggml_get_type_traits(static_cast<ggml_type>(type));
  return traits->type_size > 0 && traits->to_float != nullptr;
}

// What the files have, when all parts agree and ggml knows it. Blocks that cannot be taken as they
// are, since an adapter is added to them, would have to be made anew: most small types need more
// than the numbers for that.
ggml_type stored_type(const Node& node, const WeightSource& source) {
  const auto first = source.find(node.names[0])->type;
  bool whole = true;
  for (const auto& name : node.names) {
    if (source.find(name)->type != first) return GGML_TYPE_F16;
    whole = whole && source.stored(name).has_value();
  }
  if (!is_ggml_type(first)) return GGML_TYPE_F16;
  const auto type = static_cast<ggml_type>(first);
  return ggml_is_quantized(type) && !whole ? GGML_TYPE_Q8_0 : type;
}

ggml_type form(GgmlWeights weights, const Node& node, const WeightSource& source) {
  switch (weights) {
    case GgmlWeights::f32:
      return GGML_TYPE_F32;
    case GgmlWeights::f16:
      return GGML_TYPE_F16;
    case GgmlWeights::bf16:
      return GGML_TYPE_BF16;
    case GgmlWeights::q8_0:
      return GGML_TYPE_Q8_0;
    case GgmlWeights::stored:
      return stored_type(node, source);
  }
  std::unreachable();
}

// Whether the device multiplies by, or looks up in, weights of this type.
bool device_takes(const GgmlDevices& devices, Use use, ggml_type type, const Shape& shape) {
  const auto context = make_ggml_context(8 * ggml_tensor_overhead());
  auto* ctx = context.get();
  auto* weight = ggml_new_tensor_2d(ctx, type, shape.elements() / shape[0], shape[0]);
  if (use == Use::table)
    return devices.device_does(
        ggml_get_rows(ctx, weight, ggml_new_tensor_1d(ctx, GGML_TYPE_I32, 8)));
  auto* values = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, weight->ne[0], 8);
  return devices.device_does(ggml_mul_mat(ctx, weight, values));
}

ggml_type choose(const GgmlDevices& devices, Use use, const Node& node,
                 const WeightSource& source) {
  auto type = form(devices.weights(), node, source);
  const auto row = node.shape.elements() / node.shape[0];
  if (use == Use::convolution && ggml_is_quantized(type)) type = GGML_TYPE_F16;
  if (row % ggml_blck_size(type) != 0) type = GGML_TYPE_F16;
  for (const auto next : {type, GGML_TYPE_F16})
    if (device_takes(devices, use, next, node.shape)) return next;
  return GGML_TYPE_F32;
}

std::string key_of(const Node& node, ggml_type type) {
  std::string out = std::format("{} {}", static_cast<int>(type), node.shape.text());
  for (const auto& name : node.names) out += "\n" + name;
  return out;
}

// Numbers as f32 to those of a tensor. `from` is whole blocks.
void convert(ggml_type type, std::span<const float> from, std::vector<std::byte>& to,
             std::int64_t row) {
  const auto count = static_cast<std::int64_t>(from.size());
  to.resize(ggml_row_size(type, count));
  if (type == GGML_TYPE_F32)
    std::ranges::copy(std::as_bytes(from), to.begin());
  else if (type == GGML_TYPE_F16)
    ggml_fp32_to_fp16_row(from.data(), reinterpret_cast<ggml_fp16_t*>(to.data()), count);
  else if (type == GGML_TYPE_BF16)
    ggml_fp32_to_bf16_row(from.data(), reinterpret_cast<ggml_bf16_t*>(to.data()), count);
  else
    ggml_quantize_chunk(type, from.data(), to.data(), 0, count / row, row, nullptr);
}

}  // namespace

GgmlAxes::GgmlAxes(const Shape& shape) {
  for (std::size_t back = 0; back < shape.rank(); ++back)
    ne[std::min<std::size_t>(back, GGML_MAX_DIMS - 1)] *= shape.last(back);
}

std::vector<ggml_type> wanted_types(const Graph& graph, const std::vector<bool>& live,
                                    const WeightSource& source, const GgmlDevices& devices) {
  const auto nodes = graph.nodes();
  std::vector<Use> uses(nodes.size(), Use::none);
  const auto mark = [&](Tensor tensor, Use use) {
    auto& known = uses[tensor.id];
    known = known == Use::none || known == use ? use : Use::values;
  };
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (live[i])
      for (std::size_t at = 0; at < nodes[i].operands.size(); ++at)
        if (nodes[i].operands[at] != kNone) mark(nodes[i].operands[at], use_of(nodes[i], at));
  for (const auto& output : graph.outputs()) mark(output.tensor, Use::values);
  std::vector<ggml_type> out(nodes.size(), GGML_TYPE_COUNT);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (live[i] && nodes[i].op == Op::weight)
      out[i] = uses[i] == Use::values || uses[i] == Use::none
                   ? GGML_TYPE_F32
                   : choose(devices, uses[i], nodes[i], source);
  return out;
}

base::Status GgmlStore::add(const Graph& graph, std::span<const ggml_type> types,
                            const PackProgress& progress) {
  std::map<std::string, Wanted> missing;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] == GGML_TYPE_COUNT) continue;
    auto key = key_of(graph.nodes()[i], types[i]);
    if (!tensors_.contains(key))
      missing.try_emplace(std::move(key), Wanted{&graph.nodes()[i], types[i]});
  }
  if (missing.empty()) return {};

  auto context = make_ggml_context((missing.size() + 1) * ggml_tensor_overhead());
  std::uint64_t total = 0;
  for (auto& [key, wanted] : missing) {
    wanted.tensor =
        ggml_new_tensor(context.get(), wanted.type, GGML_MAX_DIMS, GgmlAxes(wanted.node->shape).ne);
    total += ggml_nbytes(wanted.tensor);
  }
  TRY(devices_.expect_room(total, "the model's weights"));
  ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors(context.get(), devices_.device()));
  if (!buffer)
    return base::fail(ErrorCode::out_of_memory, std::format("{} has no room for {} MiB of weights",
                                                            devices_.name(), total >> 20));
  ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);

  std::uint64_t done = 0;
  for (const auto& [key, wanted] : missing) TRY(fill(wanted, done, total, progress));
  for (const auto& [key, wanted] : missing) tensors_.emplace(key, wanted.tensor);
  contexts_.push_back(std::move(context));
  buffers_.push_back(std::move(buffer));
  return {};
}

base::Status GgmlStore::fill(const Wanted& wanted, std::uint64_t& done, std::uint64_t total,
                             const PackProgress& progress) const {
  std::size_t offset = 0;
  const auto advance = [&](std::uint64_t bytes) {
    done += bytes;
    if (progress) progress(done, total);
  };
  for (const auto& name : wanted.node->names) {
    TRY(fill_part(name, wanted.tensor, offset, advance));
    offset += ggml_row_size(wanted.tensor->type, source_.find(name)->shape.elements());
  }
  CHECK(offset == ggml_nbytes(wanted.tensor), "parts that fill their tensor");
  return {};
}

base::Status GgmlStore::fill_part(const std::string& name, ggml_tensor* tensor,
                                  std::size_t offset_bytes,
                                  const std::function<void(std::uint64_t)>& advance) const {
  const auto info = source_.find(name);
  CHECK(info.has_value(), "a weight that the graph has found");
  const auto elements = info->shape.elements();
  const auto bytes = ggml_row_size(tensor->type, elements);
  if (info->type == static_cast<StorageType>(tensor->type)) {
    if (const auto stored = source_.stored(name)) {
      CHECK(stored->size() == bytes, "stored weights of their size");
      for (std::size_t at = 0; at < bytes; at += kUploadBytes) {
        const auto part = std::min(kUploadBytes, bytes - at);
        ggml_backend_tensor_set(tensor, stored->data() + at, offset_bytes + at, part);
        advance(part);
      }
      return {};
    }
  }
  const auto rows = info->shape.rank() == 0 ? 1 : info->shape[0];
  const auto width = elements / rows;
  // Whole blocks in a panel, also when the file's rows are shorter than a block.
  auto step = std::max<std::int64_t>(1, kPanelElements / width);
  if (width % ggml_blck_size(tensor->type) != 0) step = rows;
  std::vector<float> values;
  std::vector<std::byte> packed;
  for (std::int64_t row = 0; row < rows; row += step) {
    const auto end = std::min(rows, row + step);
    values.resize(static_cast<std::size_t>((end - row) * width));
    TRY(source_.read(name, row, end, values));
    convert(tensor->type, values, packed, std::min(tensor->ne[0], elements));
    ggml_backend_tensor_set(tensor, packed.data(),
                            offset_bytes + ggml_row_size(tensor->type, row * width), packed.size());
    advance(packed.size());
  }
  return {};
}

ggml_tensor* GgmlStore::find(const Node& node, ggml_type type) const {
  const auto found = tensors_.find(key_of(node, type));
  CHECK(found != tensors_.end(), "a weight that was packed");
  return found->second;
}

std::uint64_t GgmlStore::bytes() const {
  std::uint64_t out = 0;
  for (const auto& buffer : buffers_) out += ggml_backend_buffer_get_size(buffer.get());
  return out;
}

}  // namespace ingle::tensor
