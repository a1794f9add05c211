#include "engines/picture_weights.h"

#include <algorithm>

namespace ingle::engines {
namespace {

using catalog::PartKind;

// Bytes for a number in int8, from the shapes of the published models, a little on the high side.
double int8_bytes(PartKind kind) {
  switch (kind) {
    case PartKind::unet:
      return 1.6;  // SD 1.5; SDXL has fewer convolutions
    case PartKind::flux1:
      return 1.3;  // its modulations are a quarter of it
    case PartKind::flux2:
    case PartKind::z_image:
    case PartKind::t5:
    case PartKind::umt5:
    case PartKind::qwen3:
    case PartKind::clip:
      return 1.1;
    default:
      return 2;
  }
}

double bytes_per_number(PartKind kind, std::string_view precision) {
  if (precision == "f32") return 4;
  return precision == "int8" ? int8_bytes(kind) : 2;
}

}  // namespace

std::uint64_t part_weight_bytes(const catalog::PicturePart& part, std::string_view precision,
                                WeightsHeld held) {
  const auto packed = static_cast<std::uint64_t>(static_cast<double>(part.elements) *
                                                 bytes_per_number(part.kind, precision));
  // A file of 16 bits a number, or more, is packed whatever was asked for.
  const bool small = part.file_bytes > 0 && part.file_bytes < part.elements * 2;
  return held == WeightsHeld::stored && small ? std::min(packed, part.file_bytes) : packed;
}

bool gains_stored(const catalog::PictureFacts& picture, std::string_view precision) {
  return std::ranges::any_of(picture.parts, [&](const catalog::PicturePart& part) {
    return part_weight_bytes(part, precision, WeightsHeld::stored) <
           part_weight_bytes(part, precision, WeightsHeld::packed);
  });
}

}  // namespace ingle::engines
