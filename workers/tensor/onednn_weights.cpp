#include <algorithm>
#include <cstring>
#include <format>

#include "base/check.h"
#include "tensor/onednn_kernels.h"
#include "tensor/onednn_library.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kPanelElements = 1 << 18;  // read or converted at once

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

// The plain layout that files have.
Md plain_layout(const WeightUse& use, Type type) {
  const Shape& s = use.shape;
  if (use.form == WeightForm::linear)
    return Md({s[1], s[0]}, data_type(type), dnnl::memory::format_tag::ba);
  if (use.form == WeightForm::conv)
    return Md({s[0], s[1], s[2], s[3]}, data_type(type), dnnl::memory::format_tag::oihw);
  return Md({s.elements()}, data_type(type), dnnl::memory::format_tag::a);
}

// Blocks of [inputs / 2][outputs][2], the form that bf16 products have on most processors; those of
// convolutions hold two inputs each.
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

std::string key_of(const WeightUse& use, int version) {
  return version == 0 ? use.key() : std::format("{} version {}", use.key(), version);
}

}  // namespace

const PackedWeight* WeightStore::find(const WeightUse& use, int version) const {
  const auto found = weights_.find(key_of(use, version));
  return found == weights_.end() ? nullptr : found->second.get();
}

std::int64_t WeightStore::bytes_of(const WeightUse& use) const {
  return use.shape.elements() *
         type_bytes(use.form == WeightForm::plain ? Type::f32 : packed_type());
}

// Rows of the joined weight, from whichever part each is in.
base::Status WeightStore::read_rows(const WeightUse& use, Size begin, Size end, Type type,
                                    std::vector<float>& floats, std::byte* to) const {
  const Size width = use.shape.rank() == 0 ? 1 : use.shape.elements() / use.shape[0];
  Size at = 0;  // the first row of the part
  for (const auto& name : use.names) {
    const auto info = source_.find(name);
    CHECK(info.has_value(), "a weight that the graph has found");
    const Size rows = info->shape.elements() / width;
    const Size first = std::max(begin, at) - at, last = std::min(end, at + rows) - at;
    at += rows;
    if (first >= last) continue;
    const Size n = (last - first) * width;
    if (const auto stored = source_.stored(name); stored && is_convertible(info->type)) {
      convert(info->type, stored->data(), first * width, n, type, to);
    } else {
      TRY(read_file_rows(name, *info, first * width, n, floats));
      convert(kF32, reinterpret_cast<const std::byte*>(floats.data()), 0, n, type, to);
    }
    to += n * type_bytes(type);
  }
  return {};
}

// Elements [begin, begin + n) by way of the rows that the file has, which may be longer than those
// of the use: [1, 77, 768] is one row there.
base::Status WeightStore::read_file_rows(const std::string& name, const WeightInfo& info,
                                         Size begin, Size n, std::vector<float>& floats) const {
  const Size rows = info.shape.rank() == 0 ? 1 : info.shape[0];
  const Size width = info.shape.elements() / rows;
  const Size first = begin / width, last = (begin + n + width - 1) / width;
  floats.resize(static_cast<std::size_t>((last - first) * width));
  TRY(source_.read(name, first, last, floats));
  std::copy_n(floats.begin() + (begin - first * width), n, floats.begin());
  return {};
}

// Panels of rows on all threads; `take(begin, end, data)` gets each.
template <class Take>
base::Status WeightStore::each_panel(const WeightUse& use, Size panel, Type type,
                                     const Take& take) const {
  const Size rows = use.shape.rank() == 0 ? 1 : use.shape[0], width = use.shape.elements() / rows;
  const Size panels = (rows + panel - 1) / panel;
  std::vector<base::Status> done(static_cast<std::size_t>(panels));
  struct Local {
    std::vector<std::byte> data;
    std::vector<float> floats{};
    std::vector<Bf16> turned{};
  };
  parallel_tasks(
      panels, threads_,
      [&] {
        return Local{
            std::vector<std::byte>(static_cast<std::size_t>(panel * width * type_bytes(type)))};
      },
      [&](Size task, Local& local) {
        const Size begin = task * panel, end = std::min(rows, begin + panel);
        auto& status = done[static_cast<std::size_t>(task)];
        status = read_rows(use, begin, end, type, local.floats, local.data.data());
        if (status) take(begin, end, local.data.data(), local.turned);
      });
  for (auto& status : done) TRY(std::move(status));
  return {};
}

base::Status WeightStore::read_plain(const WeightUse& use, Type type, std::byte* to) const {
  const Size rows = use.shape.rank() == 0 ? 1 : use.shape[0];
  const Size row_bytes = use.shape.elements() / rows * type_bytes(type);
  const Size panel = std::max<Size>(1, kPanelElements * 4 / row_bytes);
  return each_panel(use, panel, type,
                    [&](Size begin, Size end, const std::byte* data, std::vector<Bf16>&) {
                      std::memcpy(to + begin * row_bytes, data,
                                  static_cast<std::size_t>((end - begin) * row_bytes));
                    });
}

// Straight from the file's rows into the library's blocks, a panel at a time.
base::Status WeightStore::read_paired(const WeightUse& use, const PairedLayout& layout,
                                      Bf16* to) const {
  const Size height = use.form == WeightForm::conv ? use.shape[2] : 1;
  const Size breadth = use.form == WeightForm::conv ? use.shape[3] : 1;
  const Size places = height * breadth, inputs = use.shape[1], lane = layout.outputs_block;
  const auto pack = [&](Size begin, Size end, const std::byte* data, std::vector<Bf16>& turned) {
    const auto* rows = reinterpret_cast<const Bf16*>(data);
    Bf16* const outputs = to + begin / lane * layout.outputs_step;
    turned.resize(
        static_cast<std::size_t>(places > 1 || inputs % 2 != 0 ? lane * (inputs + inputs % 2) : 0));
    const Size even = inputs + inputs % 2;
    for (Size place = 0; place < places; ++place) {
      if (!turned.empty()) {
        std::ranges::fill(turned, Bf16{0});
        for (Size row = 0; row < end - begin; ++row)
          for (Size i = 0; i < inputs; ++i)
            turned[static_cast<std::size_t>(row * even + i)] =
                rows[(row * inputs + i) * places + place];
      }
      const Bf16* from = turned.empty() ? rows : turned.data();
      Bf16* const out =
          outputs + place / breadth * layout.height_step + place % breadth * layout.width_step;
      for (Size i = 0; i < even; i += layout.inputs_block)
        kernels().pack_turned(from + i, even, end - begin, std::min(layout.inputs_block, even - i),
                              lane, out + i / layout.inputs_block * layout.inputs_step);
    }
  };
  return each_panel(use, lane, Type::bf16, pack);
}

base::Result<const PackedWeight*> WeightStore::pack(const WeightUse& use, const Md& layout,
                                                    int version) {
  if (const auto* there = find(use, version)) return there;
  const Type type = use.form == WeightForm::plain ? Type::f32 : packed_type();
  const Md plain = plain_layout(use, type);
  auto out = std::make_unique<PackedWeight>();
  out->layout = use.form == WeightForm::plain ? plain : layout;
  TRY(out->pages.resize(static_cast<Size>(out->layout.get_size())));
  const auto paired = out->layout == plain ? std::nullopt : paired_layout(use, out->layout);
  if (paired) {
    TRY(read_paired(use, *paired, reinterpret_cast<Bf16*>(out->pages.data())));
  } else if (out->layout == plain) {
    TRY(read_plain(use, type, out->pages.data()));
  } else {
    Pages file;
    TRY(file.resize(static_cast<Size>(plain.get_size())));
    TRY(read_plain(use, type, file.data()));
    TRY(guarded("packing weights", [&]() -> base::Status {
      dnnl::memory from(plain, library_->engine, file.data());
      dnnl::memory to(out->layout, library_->engine, out->pages.data());
      dnnl::reorder(from, to).execute(library_->stream, from, to);
      library_->stream.wait();
      return {};
    }));
  }
  bytes_ += out->pages.bytes();
  return weights_.emplace(key_of(use, version), std::move(out)).first->second.get();
}

}  // namespace ingle::tensor::cpu
