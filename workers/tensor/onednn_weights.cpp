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
  to += begin * type_bytes(type);
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

}  // namespace

const PackedWeight* WeightStore::find(const WeightUse& use) const {
  const auto found = weights_.find(use.key());
  return found == weights_.end() ? nullptr : found->second.get();
}

std::int64_t WeightStore::bytes_of(const WeightUse& use) const {
  return use.shape.elements() *
         type_bytes(use.form == WeightForm::plain ? Type::f32 : packed_type());
}

base::Status WeightStore::read_part(const std::string& name, Type type, std::byte* to) const {
  const auto info = source_.find(name);
  CHECK(info.has_value(), "a weight that the graph has found");
  const Size elements = info->shape.elements();
  if (const auto stored = source_.stored(name); stored && is_convertible(info->type)) {
    parallel_tasks((elements + kPanelElements - 1) / kPanelElements, threads_, [] { return 0; },
                   [&](Size task, int&) {
                     const Size begin = task * kPanelElements;
                     convert(info->type, stored->data(), begin,
                             std::min(kPanelElements, elements - begin), type, to);
                   });
    return {};
  }
  const Size rows = info->shape.rank() == 0 ? 1 : info->shape[0], width = elements / rows;
  const Size panel = std::max<Size>(1, kPanelElements / width);
  const Size panels = (rows + panel - 1) / panel;
  std::vector<base::Status> done(static_cast<std::size_t>(panels));
  parallel_tasks(
      panels, threads_, [&] { return std::vector<float>(static_cast<std::size_t>(panel * width)); },
      [&](Size task, std::vector<float>& floats) {
        const Size begin = task * panel, end = std::min(rows, begin + panel);
        const auto out = std::span(floats).first(static_cast<std::size_t>((end - begin) * width));
        auto& status = done[static_cast<std::size_t>(task)];
        status = source_.read(name, begin, end, out);
        if (status)
          convert(kF32, reinterpret_cast<const std::byte*>(floats.data()), 0, (end - begin) * width,
                  type, to + begin * width * type_bytes(type));
      });
  for (auto& status : done) TRY(std::move(status));
  return {};
}

base::Status WeightStore::read_plain(const WeightUse& use, Type type, std::byte* to) const {
  for (const auto& name : use.names) {
    TRY(read_part(name, type, to));
    to += source_.find(name)->shape.elements() * type_bytes(type);
  }
  return {};
}

base::Result<const PackedWeight*> WeightStore::pack(const WeightUse& use, const Md& layout) {
  if (const auto* there = find(use)) return there;
  const Type type = use.form == WeightForm::plain ? Type::f32 : packed_type();
  const Md plain = plain_layout(use, type);
  auto out = std::make_unique<PackedWeight>();
  out->layout = use.form == WeightForm::plain ? plain : layout;
  TRY(out->pages.resize(static_cast<Size>(out->layout.get_size())));
  if (out->layout == plain) {
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
  return weights_.emplace(use.key(), std::move(out)).first->second.get();
}

}  // namespace ingle::tensor::cpu
