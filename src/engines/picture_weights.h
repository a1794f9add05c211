// Picture weights: what the weights of a part take in memory, by the precision of the run and by
// how they are held. Pure. Inside engines/ only.
#pragma once

#include <cstdint>
#include <string_view>

#include "catalog/pictures.h"

namespace ingle::engines {

enum class WeightsHeld : std::uint8_t {
  packed,  // as products read them
  stored,  // linear layers as their file has them, if that is smaller; on the processor only
};

// Padding and what has one axis apart. In int8 linear layers take a byte for a number; convolutions
// and what makes factors from the time of a step stay in bf16, so it depends on the kind of part.
std::uint64_t part_weight_bytes(const catalog::PicturePart& part, std::string_view precision,
                                WeightsHeld held);

// Whether some part takes less when it is held as stored.
bool gains_stored(const catalog::PictureFacts& picture, std::string_view precision);

}  // namespace ingle::engines
