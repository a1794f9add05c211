// What the daemon and the picture worker (ingle-diffusion) say to each other, over the worker's
// unix socket:
//   GET  /health    200 when it is ready; 503 with DrawerHealth while it loads
//   GET  /info      DrawerInfo
//   GET  /memory    DrawerMemory
//   POST /generate  frames (protocol/frames.h) in both directions: a DrawRequest, then the pictures
//                   that are given as encoded files; back come DrawEvents, previews and pictures.
//                   One at a time: 409 while another one is under way. Closing the connection ends
//                   the generation within one operation of the executor.
//   POST /cancel    ends what is under way; 200 whether there was something or not
// All but /health want the worker's key as a Bearer token. Errors are ErrorBody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/errors.h"

namespace ingle::protocol {

struct DrawerHealth {
  DOC("\"loading\", \"ready\" or \"failed\".") std::string status{};
  DOC("Share of the weights that is loaded, 0 to 1.") double progress = 0;
};

struct DrawerInfo {
  DOC("Wire version of the worker.") std::int64_t protocol_version = 0;
  DOC("Family of the model, such as \"sd1\".") std::string family{};
  DOC("Executor in words, such as \"onednn\".") std::string executor{};
  DOC("Width that it draws unless told otherwise, in pixels.") std::int64_t width = 0;
  DOC("The same for the height.") std::int64_t height = 0;
  DOC("Widths and heights are multiples of this.") std::int64_t multiple = 0;
  DOC("Steps unless told otherwise.") std::int64_t steps = 0;
  DOC("Guidance unless told otherwise.") double guidance = 0;
  DOC("Sampler unless told otherwise.") std::string sampler{};
  DOC("Samplers that it knows.") std::vector<std::string> samplers{};
  DOC("Whether a negative prompt has an effect.") bool negative_prompt = true;
  DOC("Whether it changes pictures.") bool image_to_image = false;
  DOC("Whether it fills in masked pictures.") bool inpaint = false;
  DOC("Whether it follows instructions about a given picture.") bool edit = false;
};

struct DrawerMemory {
  DOC("Packed weights of all parts, in bytes.") std::int64_t weights_bytes = 0;
  DOC("The same of each part, by its role; 0: it is not in memory.")
  std::map<std::string, std::int64_t> parts{};
  DOC("Activations that are held, in bytes.") std::int64_t activations_bytes = 0;
  DOC("The libraries' own buffers for runs, in bytes.") std::int64_t scratch_bytes = 0;
  DOC("Encoded prompts and the like, in bytes.") std::int64_t caches_bytes = 0;
  DOC("The most of all of these together during the last drawing, in bytes.")
  std::int64_t peak_bytes = 0;
};

struct DrawAdapter {
  DOC("Safetensors file with LoRA matrices.") std::string file{};
  DOC("How much of it is added.") double weight = 1;
};

enum class DOC("What a given picture is for, when there is no mask.") ImageUse {
  automatic,
  start,
  reference
};

struct HiresPass {
  DOC("How much larger the sides become, above 1 to 4.") double scale = 2;
  DOC("Share of the steps that change the larger picture, 0 to 1.") double strength = 0.5;
  DOC("Steps of the second pass; 0: as many as of the first.") std::int64_t steps = 0;
  DOC("Whether the pixels are made larger, rather than the latents.") bool pixels = false;
};

struct ImageExtension {
  DOC("Pixels added at the left.") std::int64_t left = 0;
  DOC("Pixels added above.") std::int64_t top = 0;
  DOC("Pixels added at the right.") std::int64_t right = 0;
  DOC("Pixels added below.") std::int64_t bottom = 0;
};

struct DrawExtras {
  DOC("What a given picture is for: automatic: a reference where the model edits, else the start.")
  ImageUse image_use = ImageUse::automatic;
  DOC("Pixels over which a mask's edge fades, 0 to 256.") std::int64_t mask_feather = 0;
  DOC("Grow the given picture; what is new is painted; absent: not.")
  std::optional<ImageExtension> extend{};
  DOC("Draw once more, larger; absent: not.") std::optional<HiresPass> hires{};
  DOC("How far guided contrast is drawn back, 0 to 1.") double guidance_rescale = 0;
  DOC("Guide from this share of the steps on.") double guidance_begin = 0;
  DOC("Guide up to this share of the steps.") double guidance_end = 1;
  DOC("With sampler ddim: noise added in each step, 0 to 1.") double eta = 0;
  DOC("Transformers: leave out blocks in steps that change less than this; 0: never. Faster, and a "
      "little off.")
  double step_cache = 0;
};

struct DrawRequest {
  DOC("What to draw.") std::string prompt{};
  DOC("What to avoid.") std::string negative_prompt{};
  DOC("Width in pixels; 0: the model's own, or the given picture's.") std::int64_t width =
      0;
  DOC("Height in pixels; 0: as the width.") std::int64_t height = 0;
  DOC("Steps; 0: the model's own.") std::int64_t steps = 0;
  DOC("Guidance; below 0: the model's own.") double guidance = -1;
  DOC("Seed of the first picture; each further one has one more.") std::int64_t seed = 0;
  DOC("How many pictures.") std::int64_t count = 1;
  DOC("Sampler; empty: the model's own.") std::string sampler{};
  DOC("How noise falls over the steps; empty: the model's own.") std::string schedule{};
  DOC("Layers of the text encoder that are left out at its end.") std::int64_t clip_skip =
      0;
  DOC("Share of the steps that change a given picture, 0 to 1.") double strength = 0.75;
  DOC("LoRA files to add.") std::vector<DrawAdapter> adapters{};
  DOC("Whether to decode in tiles, for less memory.") bool tile_decoder = false;
  DOC("Steps between two previews; 0: none.") std::int64_t preview_every = 0;
  DOC("What few requests use.") DrawExtras extras{};
};

enum class DOC("What a drawing is at.") DrawStage {
  encode_prompt,
  encode_image,
  denoise,
  decode
};

struct DrawEvent {
  DOC("What it is at.") DrawStage stage = DrawStage::encode_prompt;
  DOC("Which picture, from 0.") std::int64_t picture = 0;
  DOC("Steps done of this picture.") std::int64_t step = 0;
  DOC("Steps in all of a picture.") std::int64_t steps = 0;
  DOC("The part of the model that is being loaded for it, such as \"transformer\"; empty: none.")
  std::string loading{};
  DOC("Share of that part that is loaded, 0 to 1.") double loaded = 0;
};

struct DrawEnd {
  DOC("Pictures that were sent.") std::int64_t pictures = 0;
  DOC("Time from the request to here, in milliseconds.") double took_ms = 0;
  DOC("Steps as used.") std::int64_t steps = 0;
  DOC("Guidance as used.") double guidance = 0;
  DOC("Sampler as used.") std::string sampler{};
  DOC("The worker's memory.") DrawerMemory memory{};
};

}  // namespace ingle::protocol
