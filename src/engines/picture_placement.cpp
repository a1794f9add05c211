#include "engines/picture_placement.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <vector>

namespace ingle::engines {
namespace {

using protocol::MemoryKind;
using resources::Footprint;
using resources::kHost;

// What decoding a pixel takes in bf16 at its widest point: three tensors of 256 channels.
constexpr std::uint64_t kDecodeBytesPerPixel = 3 * 256 * 2;
// A step's values are fewer: an eighth of the sides, or a sixteenth, with some thousand channels.
constexpr std::uint64_t kStepBytesPerPixel = kDecodeBytesPerPixel / 2;
constexpr std::uint64_t kTextBytes = 64ull << 20;    // of a prompt's run
constexpr std::uint64_t kWorkerBytes = 96ull << 20;  // libraries, files' pages, small tensors

struct Stage {
  std::size_t device = kHost;
  MemoryKind kind{};
  std::uint64_t weights_bytes = 0;
  std::uint64_t run_bytes = 0;
};

std::array<Stage, 3> stages_of(const PictureNeeds& needs, const PicturePlaces& places) {
  std::array<Stage, 3> out{{{places.text, MemoryKind::encoder},
                            {places.denoiser, MemoryKind::weights},
                            {places.vae, MemoryKind::decoder}}};
  for (const auto& part : needs.model.picture.parts) {
    const auto i = part.role.starts_with("text_encoder") ? 0uz : part.role == "vae" ? 2uz : 1uz;
    out[i].weights_bytes += part_weight_bytes(
        part, needs.precision, out[i].device == kHost ? needs.weights : WeightsHeld::packed);
  }
  const auto pixels = static_cast<std::uint64_t>(needs.side) *
                      static_cast<std::uint64_t>(needs.side) * (needs.precision == "f32" ? 2 : 1);
  out[0].run_bytes = kTextBytes;
  out[1].run_bytes = pixels * kStepBytesPerPixel;
  out[2].run_bytes = pixels * kDecodeBytesPerPixel;
  return out;
}

void add(Footprint& to, std::size_t device, MemoryKind kind, std::uint64_t bytes) {
  if (bytes > 0) to.pieces.push_back({device, kind, bytes});
}

}  // namespace

Footprint picture_footprint(const PictureNeeds& needs, const PicturePlaces& places) {
  std::map<std::size_t, std::vector<Stage>> devices;
  for (const auto& stage : stages_of(needs, places)) devices[stage.device].push_back(stage);
  Footprint out;
  for (auto& [device, stages] : devices) {
    if (places.residency == PartResidency::staged)
      stages = {*std::ranges::max_element(
          stages, {}, [](const Stage& stage) { return stage.weights_bytes + stage.run_bytes; })};
    std::uint64_t run_bytes = 0;
    for (const auto& stage : stages) {
      add(out, device, stage.kind, stage.weights_bytes);
      run_bytes = std::max(run_bytes, stage.run_bytes);
    }
    add(out, device, MemoryKind::compute, run_bytes);
  }
  add(out, kHost, MemoryKind::other, kWorkerBytes);
  return out;
}

Footprint picture_loaded(const Footprint& whole, const PicturePlaces& places) {
  Footprint out = whole;
  std::erase_if(out.pieces, [&](const resources::Piece& piece) {
    if (piece.device != kHost || piece.kind == MemoryKind::other) return false;
    return places.residency == PartResidency::staged || piece.kind == MemoryKind::compute;
  });
  return out;
}

bool fits(const Footprint& footprint, const LaunchRoom& room) {
  for (std::size_t i = 0; i < room.devices.size(); ++i)
    if (footprint.on(i) > room.devices[i].bytes) return false;
  return true;
}

PicturePlaces choose_places(const PictureNeeds& needs, const PictureWish& wish,
                            const LaunchRoom& room) {
  using enum PartResidency;
  // Main devices in the order of preference.
  std::vector<std::size_t> mains;
  for (std::size_t i = 1; wish.gpus && i < room.devices.size(); ++i)
    if (!room.devices[i].engine_name.empty()) mains.push_back(i);
  std::ranges::stable_sort(mains, std::greater{},
                           [&](std::size_t i) { return room.devices[i].bytes; });
  mains.push_back(kHost);
  if (wish.denoiser) mains = {*wish.denoiser};
  PicturePlaces places;
  for (const auto main : mains)
    for (const auto residency : {resident, staged}) {
      if (wish.residency && residency != *wish.residency) continue;
      for (const auto text : {main, kHost}) {
        places = {.denoiser = main,
                  .text = wish.text.value_or(text),
                  .vae = wish.vae.value_or(main),
                  .residency = residency};
        if (room.devices.empty() || fits(picture_footprint(needs, places), room)) return places;
      }
    }
  return places;
}

}  // namespace ingle::engines
