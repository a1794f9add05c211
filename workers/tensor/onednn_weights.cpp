#include <algorithm>
#include <atomic>
#include <format>
#include <ranges>

#include "tensor/onednn_int8.h"
#include "tensor/onednn_kernels.h"
#include "tensor/onednn_library.h"
#include "tensor/onednn_packing.h"
#include "tensor/onednn_stored.h"

namespace ingle::tensor::cpu {
namespace {

using Size = std::int64_t;

constexpr Size kBatchBytes = 256 << 20;  // packed at once: what a stop loses
constexpr Size kPieceBytes = 4 << 20;    // what a thread takes at once
constexpr Size kPlaceBytes = 64;         // alignment of a weight

Size rounded(Size bytes) { return (bytes + kPlaceBytes - 1) / kPlaceBytes * kPlaceBytes; }

constexpr std::string_view kInt8 = " in int8";

std::string key_of(const WeightUse& use, int version) {
  return version == 0 ? use.key() : std::format("{} version {}", use.key(), version);
}

}  // namespace

// Panels of one weight.
struct WeightStore::Piece {
  const Packing* packing;
  std::byte* to;
  Size begin, end;
};

// How much of all is packed, told on the thread that asked for it.
struct WeightStore::Progress {
  const PackProgress& told;
  const Size total;
  std::atomic<Size> done = 0;

  void add(Size bytes) {
    done += bytes;
    if (told && omp_get_thread_num() == 0)
      told(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
  }
};

void WeightStore::cut(const Packing& packing, std::byte* to, std::vector<Piece>& pieces) {
  const Size step = std::max<Size>(1, kPieceBytes / packing.panel_bytes());
  for (Size at = 0; at < packing.panels(); at += step)
    pieces.push_back({&packing, to, at, std::min(at + step, packing.panels())});
}

const PackedWeight* WeightStore::find(const WeightUse& use, int version) const {
  const auto found = weights_.find(key_of(use, version));
  return found == weights_.end() ? nullptr : &found->second;
}

Type WeightStore::type_of(const WeightUse& use) const {
  return use.form == WeightForm::plain ? Type::f32 : packed_type();
}

const PackedWeight* WeightStore::want(const WeightUse& use, const Md& layout, int version) {
  const auto [at, is_new] = weights_.try_emplace(key_of(use, version));
  if (!is_new) return &at->second;
  at->second.layout = use.form == WeightForm::plain ? plain_layout(use, type_of(use)) : layout;
  wanted_.push_back({at->first, use, &at->second});
  return &at->second;
}

const PackedWeight* WeightStore::find_int8(const WeightUse& use, int version) const {
  const auto found = weights_.find(key_of(use, version).append(kInt8));
  return found == weights_.end() ? nullptr : &found->second;
}

const PackedWeight* WeightStore::want_int8(const WeightUse& use, const Md& layout, int version) {
  const auto [at, is_new] = weights_.try_emplace(key_of(use, version).append(kInt8));
  if (!is_new) return &at->second;
  at->second.layout = layout;
  wanted_.push_back({at->first, use, &at->second, true});
  return &at->second;
}

void WeightStore::keep_stored(const WeightUse& use) {
  if (stored_.insert(use.key()).second) unread_.push_back(use);
}

void WeightStore::forget() {
  for (const auto& wanted : wanted_) weights_.erase(wanted.key);
  for (const auto& use : unread_) stored_.erase(use.key());
  wanted_.clear();
  unread_.clear();
}

// What it takes, padding and all.
Size WeightStore::Wanted::bytes() const {
  return rounded(int8 ? int8_bytes(weight->layout, use.shape[0])
                      : static_cast<Size>(weight->layout.get_size()));
}

// Brings the pages of stored weights in, so that no run waits for the files.
void WeightStore::read_stored(Progress& progress) {
  for (const auto& use : unread_) {
    read_in(source_, use, threads_);
    const Size bytes = *small_stored_bytes(source_, use);
    bytes_ += bytes;
    progress.add(bytes);
  }
  unread_.clear();
}

base::Status WeightStore::fill(const PackProgress& progress) {
  const auto own_bytes = [&](const Wanted& w) {
    return w.use.shape.elements() * (w.int8 ? 1 : type_bytes(type_of(w.use)));
  };
  const auto stored_bytes = [&](const WeightUse& use) { return *small_stored_bytes(source_, use); };
  Progress all{.told = progress,
               .total = std::ranges::fold_left(wanted_ | std::views::transform(own_bytes), Size{0},
                                               std::plus()) +
                        std::ranges::fold_left(unread_ | std::views::transform(stored_bytes),
                                               Size{0}, std::plus())};
  read_stored(all);
  while (!wanted_.empty()) {
    std::size_t count = 0;
    for (Size bytes = 0; count < wanted_.size() && bytes < kBatchBytes; ++count)
      bytes += own_bytes(wanted_[count]);
    auto done = fill_batch(std::span(wanted_).first(count), all);
    if (!done) {
      forget();
      return done;
    }
    wanted_.erase(wanted_.begin(), wanted_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (progress && all.total > 0)
    progress(static_cast<std::uint64_t>(all.total), static_cast<std::uint64_t>(all.total));
  return {};
}

// Nothing where only the library can write the layout.
std::optional<Packing> WeightStore::packing_of(const Wanted& wanted) const {
  if (wanted.int8) return std::nullopt;
  return Packing::create(source_, wanted.use, type_of(wanted.use), wanted.weight->layout);
}

// In one go, so that no thread waits for the others between two weights.
base::Status WeightStore::fill_batch(std::span<const Wanted> batch, Progress& progress) {
  Size bytes = 0;
  for (const auto& wanted : batch) bytes += wanted.bytes();
  auto pages = std::make_unique<Pages>();
  TRY(pages->resize(bytes));
  if (library_->large_pages) library_->large_pages = pages->prefer_large();
  std::vector<Packing> packings;
  packings.reserve(batch.size());  // pieces point into it
  std::vector<Piece> pieces;
  std::byte* to = pages->data();
  for (const auto& wanted : batch) {
    wanted.weight->data = to;
    to += wanted.bytes();
    if (auto packing = packing_of(wanted))
      cut(packings.emplace_back(*packing), wanted.weight->data, pieces);
  }
  TRY(pack(pieces, progress));
  for (const auto& wanted : batch) {
    if (wanted.int8) {
      TRY(pack_int8(*library_, source_, wanted.use, threads_, *wanted.weight));
      progress.add(wanted.use.shape.elements());
    } else if (!packing_of(wanted)) {
      TRY(reorder(wanted.use, *wanted.weight, progress));
    }
  }
  bytes_ += pages->bytes();
  batches_.push_back(std::move(pages));
  return {};
}

base::Status WeightStore::pack(std::span<const Piece> pieces, Progress& progress) const {
  std::vector<base::Status> done(pieces.size());
  std::atomic<bool> failed = false;
  parallel_tasks(
      static_cast<Size>(pieces.size()), threads_, [] { return Packing::Local{}; },
      [&](Size i, Packing::Local& local) {
        if (failed) return;
        const auto& [packing, to, begin, end] = pieces[static_cast<std::size_t>(i)];
        auto& status = done[static_cast<std::size_t>(i)];
        status = packing->pack(begin, end, to, local);
        if (status)
          progress.add(packing->bytes_of(begin, end));
        else
          failed = true;
      });
  for (auto& status : done) TRY(std::move(status));
  return {};
}

// By way of a copy in the layout that files have.
base::Status WeightStore::reorder(const WeightUse& use, const PackedWeight& weight,
                                  Progress& progress) const {
  const Md plain = plain_layout(use, type_of(use));
  const auto packing = Packing::create(source_, use, type_of(use), plain);
  Pages copy;
  TRY(copy.resize(static_cast<Size>(plain.get_size())));
  std::vector<Piece> pieces;
  cut(*packing, copy.data(), pieces);
  TRY(pack(pieces, progress));
  return guarded("packing weights", [&]() -> base::Status {
    dnnl::memory from(plain, library_->engine, copy.data());
    dnnl::memory to(weight.layout, library_->engine, weight.data);
    dnnl::reorder(from, to).execute(library_->stream, from, to);
    library_->stream.wait();
    return {};
  });
}

}  // namespace ingle::tensor::cpu
