#include "media/parameters.h"

#include <format>

namespace ingle::media {

std::string a1111_parameters(const protocol::GalleryPicture& picture) {
  std::string out = picture.prompt + "\n";
  if (!picture.negative_prompt.empty()) out += "Negative prompt: " + picture.negative_prompt + "\n";
  out += std::format("Steps: {}, Sampler: {}, CFG scale: {:g}, Seed: {}, Size: {}x{}, Model: {}",
                     picture.steps, picture.sampler, picture.guidance, picture.seed, picture.width,
                     picture.height, picture.model);
  if (picture.strength) out += std::format(", Denoising strength: {:g}", *picture.strength);
  return out + ", Version: ingle";
}

}  // namespace ingle::media
