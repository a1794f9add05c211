#include "tensor/onednn_packing.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "tensor/onednn_kernels.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kReadElements = 1 << 16;  // brought to f32 at once
constexpr Size kPanelBytes = 1 << 20;    // of rows that stay as they are

// Elements of storage the kernels know; false for all others.
bool convert(StorageType from, const std::byte* source, Size begin, Size n, Type type,
             std::byte* to) {
  const Kernels& k = kernels();
  auto* const floats = reinterpret_cast<float*>(to);
  auto* const halves = reinterpret_cast<Bf16*>(to);
  const auto bytes = static_cast<std::size_t>(n * type_bytes(type));
  if (from == kF32) {
    const auto* data = reinterpret_cast<const float*>(source) + begin;
    if (type == Type::f32)
      std::memcpy(to, data, bytes);
    else
      k.narrow(data, halves, n);
  } else if (from == kBf16) {
    const auto* data = reinterpret_cast<const Bf16*>(source) + begin;
    if (type == Type::f32)
      k.widen_bf16(data, floats, n);
    else
      std::memcpy(to, data, bytes);
  } else if (from == kF16) {
    const auto* data = reinterpret_cast<const F16*>(source) + begin;
    if (type == Type::f32)
      k.widen_f16(data, floats, n);
    else
      k.f16_to_bf16(data, halves, n);
  } else {
    return false;
  }
  return true;
}

bool is_convertible(StorageType type) { return type == kF32 || type == kBf16 || type == kF16; }

std::optional<PairedLayout> paired_layout(const WeightUse& use, const Md& layout) {
  const bool conv = use.form == WeightForm::conv;
  const int input = conv ? 1 : 0, output = conv ? 0 : 1;
  auto blocks = layout.get_inner_blks(), axes = layout.get_inner_idxs();
  const auto steps = layout.get_strides();
  if (blocks.size() == 2) {
    blocks.insert(blocks.begin(), 1);
    axes.insert(axes.begin(), input);
  }
  if (layout.get_data_type() != dnnl::memory::data_type::bf16 || blocks.size() != 3 ||
      axes[0] != input || axes[1] != output || axes[2] != input || blocks[2] != 2 ||
      blocks[1] % 16 != 0)
    return std::nullopt;
  PairedLayout out{.inputs_block = blocks[0] * 2,
                   .outputs_block = blocks[1],
                   .inputs_step = steps[static_cast<std::size_t>(input)],
                   .outputs_step = steps[static_cast<std::size_t>(output)],
                   .height_step = conv ? steps[2] : 0,
                   .width_step = conv ? steps[3] : 0};
  // Blocks that follow each other are one.
  const Size inputs = layout.get_padded_dims()[static_cast<std::size_t>(input)];
  if (out.inputs_step == out.inputs_block * out.outputs_block) {
    out.inputs_step *= inputs / out.inputs_block;
    out.inputs_block = inputs;
  }
  return out;
}

}  // namespace

Md plain_layout(const WeightUse& use, Type type) {
  const Shape& s = use.shape;
  if (use.form == WeightForm::linear)
    return Md({s[1], s[0]}, data_type(type), dnnl::memory::format_tag::ba);
  if (use.form == WeightForm::conv)
    return Md({s[0], s[1], s[2], s[3]}, data_type(type), dnnl::memory::format_tag::oihw);
  return Md({s.elements()}, data_type(type), dnnl::memory::format_tag::a);
}

Packing::Packing(const WeightSource& source, const WeightUse& use, Type type)
    : source_(&source),
      use_(&use),
      type_(type),
      rows_(use.shape.rank() == 0 ? 1 : use.shape[0]),
      width_(use.shape.elements() / rows_),
      panel_rows_(std::max<Size>(1, kPanelBytes / (width_ * type_bytes(type)))) {}

std::optional<Packing> Packing::create(const WeightSource& source, const WeightUse& use, Type type,
                                       const Md& layout) {
  Packing out(source, use, type);
  if (layout == plain_layout(use, type)) return out;
  out.paired_ = paired_layout(use, layout);
  if (!out.paired_) return std::nullopt;
  out.panel_rows_ = out.paired_->outputs_block;
  return out;
}

Size Packing::bytes_of(Size begin, Size end) const {
  return (std::min(end * panel_rows_, rows_) - begin * panel_rows_) * width_ * type_bytes(type_);
}

base::Status Packing::pack(Size begin, Size end, std::byte* to, Local& local) const {
  for (Size panel = begin; panel < end; ++panel)
    TRY(pack_rows(panel * panel_rows_, std::min((panel + 1) * panel_rows_, rows_), 0, to, local));
  return {};
}

base::Status Packing::pack_rows(Size begin, Size end, Size first, std::byte* to,
                                Local& local) const {
  const Size row_bytes = width_ * type_bytes(type_);
  if (!paired_) return read_rows(begin, end, local.floats, to + (begin - first) * row_bytes);
  local.rows.resize(static_cast<std::size_t>((end - begin) * row_bytes));
  TRY(read_rows(begin, end, local.floats, local.rows.data()));
  pair(begin - first, end - begin, local, reinterpret_cast<Bf16*>(to));
  return {};
}

// Rows of the joined weight, from whichever part each is in.
base::Status Packing::read_rows(Size begin, Size end, std::vector<float>& floats,
                                std::byte* to) const {
  Size at = 0;  // the first row of the part
  for (const auto& name : use_->names) {
    const auto info = source_->find(name);
    CHECK(info.has_value(), "a weight that the graph has found");
    const Size rows = info->shape.elements() / width_;
    const Size first = std::max(begin, at) - at, last = std::min(end, at + rows) - at;
    at += rows;
    if (first >= last) continue;
    const Size n = (last - first) * width_;
    const auto stored = source_->stored(name);
    if (stored && is_convertible(info->type)) {
      convert(info->type, stored->data(), first * width_, n, type_, to);
    } else {
      // A little at a time, so that it is still in the caches when it is converted; but all at once
      // where each reading costs something of its own: rows that are longer in the file, adapters.
      const bool direct = stored && info->shape.rank() > 0 && info->shape[0] == rows;
      const Size step = direct ? std::max<Size>(1, kReadElements / width_) * width_ : n;
      for (Size done = 0; done < n; done += step) {
        const Size part = std::min(step, n - done);
        TRY(read_file_rows(name, *info, first * width_ + done, part, floats));
        convert(kF32, reinterpret_cast<const std::byte*>(floats.data()), 0, part, type_,
                to + done * type_bytes(type_));
      }
    }
    to += n * type_bytes(type_);
  }
  return {};
}

// Elements [begin, begin + n) by way of the rows that the file has, which may be longer than those
// of the use: [1, 77, 768] is one row there.
base::Status Packing::read_file_rows(const std::string& name, const WeightInfo& info, Size begin,
                                     Size n, std::vector<float>& floats) const {
  const Size rows = info.shape.rank() == 0 ? 1 : info.shape[0];
  const Size width = info.shape.elements() / rows;
  const Size first = begin / width, last = (begin + n + width - 1) / width;
  floats.resize(static_cast<std::size_t>((last - first) * width));
  TRY(source_->read(name, first, last, floats));
  std::copy_n(floats.begin() + (begin - first * width), n, floats.begin());
  return {};
}

// Rows [begin, begin + count), which lie in local.rows, into the library's blocks.
void Packing::pair(Size begin, Size count, Local& local, Bf16* to) const {
  const bool conv = use_->form == WeightForm::conv;
  const Size height = conv ? use_->shape[2] : 1, breadth = conv ? use_->shape[3] : 1;
  const Size places = height * breadth, inputs = use_->shape[1], even = inputs + inputs % 2;
  const Size lane = paired_->outputs_block;
  const auto* rows = reinterpret_cast<const Bf16*>(local.rows.data());
  auto& turned = local.turned;
  turned.resize(static_cast<std::size_t>(places > 1 || inputs % 2 != 0 ? lane * even : 0));
  for (Size place = 0; place < places; ++place) {
    if (!turned.empty()) {
      std::ranges::fill(turned, Bf16{0});
      for (Size row = 0; row < count; ++row)
        for (Size i = 0; i < inputs; ++i)
          turned[static_cast<std::size_t>(row * even + i)] =
              rows[(row * inputs + i) * places + place];
    }
    const Bf16* from = turned.empty() ? rows : turned.data();
    Bf16* const out = to + begin / lane * paired_->outputs_step +
                      place / breadth * paired_->height_step +
                      place % breadth * paired_->width_step;
    for (Size i = 0; i < even; i += paired_->inputs_block)
      kernels().pack_turned(from + i, even, count, std::min(paired_->inputs_block, even - i), lane,
                            out + i / paired_->inputs_block * paired_->inputs_step);
  }
}

}  // namespace ingle::tensor::cpu
