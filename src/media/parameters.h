// A picture's settings as text in its file: the form that A1111's tools read and write. Pure.
#pragma once

#include <string>

#include "protocol/images.h"

namespace ingle::media {

// Prompt, negative prompt and "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512,
// Model: x", on a line each.
std::string a1111_parameters(const protocol::GalleryPicture& picture);

}  // namespace ingle::media
