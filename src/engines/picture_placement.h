// Picture placement: on which device each part of a picture model lies, whether all parts stay in
// memory or take turns in it, and what this takes. Pure. Inside engines/ only.
//
//   resident  all parts stay: what a device holds is their sum, and room for the largest of their
//             runs
//   staged    the parts on a device take turns: it holds the largest of them with room for its runs
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "catalog/catalog.h"
#include "engines/launch_settings.h"
#include "engines/picture_weights.h"

namespace ingle::engines {

enum class PartResidency : std::uint8_t { resident, staged };

struct PicturePlaces {
  std::size_t denoiser = resources::kHost;  // transformer or UNet
  std::size_t text = resources::kHost;
  std::size_t vae = resources::kHost;
  PartResidency residency = PartResidency::resident;

  bool on_host() const {
    return denoiser == resources::kHost && text == resources::kHost && vae == resources::kHost;
  }
};

// What a model is drawn with.
struct PictureNeeds {
  const catalog::ModelRecord& model;
  std::string_view precision{};  // f32, bf16, int8
  std::int64_t side = 0;         // of the largest picture that room is kept for, in pixels
  WeightsHeld weights = WeightsHeld::packed;  // on the processor
};

// What it takes of each device while it draws.
resources::Footprint picture_footprint(const PictureNeeds& needs, const PicturePlaces& places);

// Of that, what is there once it is loaded; the rest comes on the host with each drawing.
resources::Footprint picture_loaded(const resources::Footprint& whole, const PicturePlaces& places);

bool fits(const resources::Footprint& footprint, const LaunchRoom& room);

// What may be chosen; nothing: it is open.
struct PictureWish {
  std::optional<std::size_t> denoiser{}, text{}, vae{};
  std::optional<PartResidency> residency{};
  bool gpus = true;  // whether one may be chosen by itself
};

// The first that fits of: all on a GPU, the one with most room; the text encoders on the host
// beside it; the same in turns; the processor; in turns there. Where nothing fits, the last one.
PicturePlaces choose_places(const PictureNeeds& needs, const PictureWish& wish,
                            const LaunchRoom& room);

}  // namespace ingle::engines
