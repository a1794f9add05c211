// The forms of A1111's web UI, which its clients and many other programs write and read: settings
// as text in a picture's file, names of samplers, adapters inside prompts. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/images.h"

namespace ingle::media {

struct Sampler {
  std::string_view name;        // as A1111 calls it
  std::string_view own;         // as we do
  std::string_view schedule{};  // that goes with the name
};
// Static storage.
std::span<const Sampler> samplers();

// By A1111's name or ours, without case; what is not known stays as it is, for the worker to name.
// A schedule that goes with the name is taken where the request has none.
void take_sampler(std::string_view name, protocol::ImageRequest& request);

inline constexpr std::size_t kPromptAdaptersMax = 16;

// Takes each <lora:NAME:WEIGHT> (or <lora:NAME>: 1) out of the prompt, as an adapter of the request
// with that weight; one that is named twice has the sum. Other things in angle brackets stay.
// Errors: invalid_argument (no name, a weight that is not from -16 to 16, or different ones for
// text and picture), limit_exceeded (over kPromptAdaptersMax).
base::Status take_adapters(protocol::ImageRequest& request);

// Prompt, negative prompt and "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512,
// Model: x", on a line each; adapters stand in the prompt.
std::string a1111_parameters(const protocol::GalleryPicture& picture);

// The other way, of any program's text. What is missing or cannot be read is left out: every text
// is at least a prompt. Errors: those of take_adapters().
base::Result<protocol::FoundSettings> read_a1111(std::string_view text);

}  // namespace ingle::media
