#include "diffusion/picture_ops.h"

#include <algorithm>
#include <cmath>

namespace ingle::diffusion {
namespace {

// What each place of a resized axis takes from the original one.
struct Taps {
  std::int64_t first = 0;
  std::vector<double> shares{};
};

std::vector<Taps> taps_of(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(scale, 1.0);
  std::vector<Taps> out;
  for (std::int64_t place = 0; place < to; ++place) {
    const double centre = (static_cast<double>(place) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(centre - reach), 0);
    const auto last = std::min<std::int64_t>(static_cast<std::int64_t>(centre + reach), from - 1);
    Taps taps{.first = first};
    double sum = 0;
    for (auto i = first; i <= last; ++i) {
      const double away = std::abs(static_cast<double>(i) + 0.5 - centre) / reach;
      taps.shares.push_back(std::max(1 - away, 0.0));
      sum += taps.shares.back();
    }
    for (double& share : taps.shares) share /= sum;
    out.push_back(std::move(taps));
  }
  return out;
}

// [rows, length, inner] along the middle axis.
std::vector<float> along(std::span<const float> from, std::size_t rows, std::size_t length,
                         std::size_t inner, const std::vector<Taps>& taps) {
  std::vector<float> out(rows * taps.size() * inner);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t place = 0; place < taps.size(); ++place)
      for (std::size_t k = 0; k < inner; ++k) {
        double sum = 0;
        auto at = (row * length + static_cast<std::size_t>(taps[place].first)) * inner + k;
        for (const double share : taps[place].shares) {
          sum += share * from[at];
          at += inner;
        }
        out[(row * taps.size() + place) * inner + k] = static_cast<float>(sum);
      }
  return out;
}

std::uint8_t byte_of(float value) {
  return static_cast<std::uint8_t>(std::nearbyint(std::clamp(value, 0.0f, 255.0f)));
}

// The largest value within `radius` along rows, then along columns.
std::vector<float> grown(std::vector<float> from, std::int64_t rows, std::int64_t columns,
                         std::int64_t radius) {
  const auto pass = [&](std::int64_t count, std::int64_t length, std::int64_t step,
                        std::int64_t stride) {
    std::vector<float> out(from.size());
    for (std::int64_t line = 0; line < count; ++line) {
      // The distance to the last value of 1 would do for masks of two values; fading ones need the
      // maximum itself, which two runs over blocks of the window's length give (van Herk 1992).
      const auto window = 2 * radius + 1;
      const auto at = [&](std::int64_t i) {
        const auto place = std::clamp<std::int64_t>(i - radius, 0, length - 1);
        return from[static_cast<std::size_t>(line * stride + place * step)];
      };
      const auto padded = length + 2 * radius;
      std::vector<float> ahead(static_cast<std::size_t>(padded)), behind(ahead.size());
      for (std::int64_t i = 0; i < padded; ++i) {
        const auto k = static_cast<std::size_t>(i);
        ahead[k] = i % window == 0 ? at(i) : std::max(ahead[k - 1], at(i));
      }
      for (std::int64_t i = padded - 1; i >= 0; --i) {
        const auto k = static_cast<std::size_t>(i);
        const bool ends = i == padded - 1 || (i + 1) % window == 0;
        behind[k] = ends ? at(i) : std::max(behind[k + 1], at(i));
      }
      for (std::int64_t i = 0; i < length; ++i)
        out[static_cast<std::size_t>(line * stride + i * step)] = std::max(
            behind[static_cast<std::size_t>(i)], ahead[static_cast<std::size_t>(i + window - 1)]);
    }
    from = std::move(out);
  };
  pass(rows, columns, 1, columns);
  pass(columns, rows, columns, 1);
  return from;
}

}  // namespace

Pixels to_pixels(const Picture& picture) {
  Pixels out{.height = picture.height, .width = picture.width};
  out.data.reserve(picture.data.size());
  for (const auto value : picture.data)
    out.data.push_back(static_cast<float>(value) / 255.0f * 2 - 1);
  return out;
}

Picture to_picture(const Pixels& pixels) {
  Picture out{.width = pixels.width, .height = pixels.height};
  out.data.reserve(pixels.data.size());
  for (const float value : pixels.data) out.data.push_back(byte_of((value / 2 + 0.5f) * 255));
  return out;
}

std::vector<float> resized(std::span<const float> map, const MapSize& from, const MapSize& to) {
  const auto height = static_cast<std::size_t>(from.height);
  const auto width = static_cast<std::size_t>(from.width);
  const auto channels = static_cast<std::size_t>(from.channels);
  const auto wide = along(map, height, width, channels, taps_of(from.width, to.width));
  return along(wide, 1, height, static_cast<std::size_t>(to.width) * channels,
               taps_of(from.height, to.height));
}

Picture resized(const Picture& from, std::int64_t width, std::int64_t height) {
  if (from.width == width && from.height == height) return from;
  const std::vector<float> values(from.data.begin(), from.data.end());
  Picture out{.width = width, .height = height, .channels = from.channels};
  for (const float value :
       resized(values, {from.height, from.width, from.channels}, {height, width, from.channels}))
    out.data.push_back(byte_of(value));
  return out;
}

Mask to_mask(const Picture& picture) {
  Mask out{.height = picture.height, .width = picture.width};
  for (const auto value : picture.data) out.data.push_back(static_cast<float>(value) / 255.0f);
  return out;
}

Mask feathered(const Mask& mask, std::int64_t radius) {
  if (radius <= 0) return mask;
  auto out = mask;
  out.data = grown(out.data, mask.height, mask.width, radius);
  // Three boxes are nearly a bell.
  const auto reach = std::max<std::int64_t>(radius / 3, 1);
  for (int time = 0; time < 3; ++time) {
    const auto box = [&](std::int64_t length) {
      std::vector<Taps> taps;
      for (std::int64_t i = 0; i < length; ++i) {
        const auto first = std::max<std::int64_t>(i - reach, 0);
        const auto count = static_cast<std::size_t>(std::min(i + reach, length - 1) - first + 1);
        taps.push_back({first, std::vector<double>(count, 1.0 / static_cast<double>(count))});
      }
      return taps;
    };
    const auto height = static_cast<std::size_t>(mask.height);
    const auto width = static_cast<std::size_t>(mask.width);
    out.data = along(out.data, height, width, 1, box(mask.width));
    out.data = along(out.data, 1, height, width, box(mask.height));
  }
  return out;
}

Picture blended(const Picture& original, const Picture& made, const Mask& mask) {
  Picture out = made;
  const auto channels = static_cast<std::size_t>(made.channels);
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    const float share = mask.data[i / channels];
    out.data[i] = byte_of(share * made.data[i] + (1 - share) * original.data[i]);
  }
  return out;
}

Extended extended(const Picture& image, const Picture* mask, const Extension& by) {
  Extended out;
  out.image = {.width = image.width + by.left + by.right,
               .height = image.height + by.top + by.bottom,
               .channels = image.channels};
  out.mask = {.width = out.image.width, .height = out.image.height, .channels = 1};
  for (std::int64_t y = 0; y < out.image.height; ++y)
    for (std::int64_t x = 0; x < out.image.width; ++x) {
      const auto from_y = std::clamp<std::int64_t>(y - by.top, 0, image.height - 1);
      const auto from_x = std::clamp<std::int64_t>(x - by.left, 0, image.width - 1);
      const bool inside = from_y == y - by.top && from_x == x - by.left;
      const auto at = static_cast<std::size_t>(from_y * image.width + from_x);
      for (std::size_t c = 0; c < static_cast<std::size_t>(image.channels); ++c)
        out.image.data.push_back(image.data[at * static_cast<std::size_t>(image.channels) + c]);
      const std::uint8_t kept = mask != nullptr ? mask->data[at] : 0;
      out.mask.data.push_back(inside ? kept : 255);
    }
  return out;
}

}  // namespace ingle::diffusion
