// What is done to pictures and masks before and after a model sees them. Pure functions.
#pragma once

#include "diffusion/drawing.h"
#include "diffusion/picture.h"
#include "diffusion/pipeline.h"

namespace ingle::diffusion {

// 0 to 255 as -1 to 1, and back, clamped and rounded.
Pixels to_pixels(const Picture& picture);
Picture to_picture(const Pixels& pixels);

// A triangle filter, as wide as the scale when a picture shrinks. Any number of channels.
Picture resized(const Picture& from, std::int64_t width, std::int64_t height);
// The same of latents, [height, width, channels].
std::vector<float> resized(std::span<const float> map, const MapSize& from, const MapSize& to);

// A picture of one channel, 255 as 1.
Mask to_mask(const Picture& picture);
// The mask grown by `radius` pixels and fading over them.
Mask feathered(const Mask& mask, std::int64_t radius);
// `made` where the mask is 1, `original` where it is 0. All of one size.
Picture blended(const Picture& original, const Picture& made, const Mask& mask);

// The image on a larger canvas, whose new part repeats its edges, and the mask of what is new (and
// of what `mask`, if any, had).
struct Extended {
  Picture image{};
  Picture mask{};
};
Extended extended(const Picture& image, const Picture* mask, const Extension& by);

}  // namespace ingle::diffusion
