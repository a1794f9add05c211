// Pipeline: a whole model that makes pictures from words: encoders, transformer or UNet, decoder
// and scheduler, each on an executor. It knows no sockets and no files but the model's. One thread
// at a time; blocking, for seconds to minutes.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "diffusion/part_store.h"
#include "diffusion/picture.h"
#include "tensor/executor.h"
#include "weights/model_files.h"

namespace ingle::diffusion {

struct AdapterUse {
  std::filesystem::path file{};  // safetensors with LoRA matrices, kohya's or diffusers' names
  double weight = 1;
};

// What an image is for, when there is no mask.
enum class ImageUse : std::uint8_t {
  automatic,  // reference where the model can edit, else start
  start,      // the picture begins from it
  reference,  // the picture is made while looking at it
};

// Pixels added on each side of the image, in whole multiples of what the model can make.
struct Extension {
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;
  bool any() const { return left != 0 || top != 0 || right != 0 || bottom != 0; }
};

// A second pass over the picture, made larger.
struct Hires {
  double scale = 0;        // of the sides, above 1 to 4; 0: no second pass
  double strength = 0.5;   // of the second pass
  std::int64_t steps = 0;  // 0: as in the first
  bool pixels = false;     // enlarge the decoded picture, instead of the latents
};

// What is absent is the model's own default.
struct Request {
  std::string prompt{};
  std::string negative_prompt{};
  std::int64_t width = 0;  // 0: the model's own, or that of `image`; rounded to what it can make
  std::int64_t height = 0;
  std::int64_t steps = 0;  // 0: the model's own
  double guidance = -1;    // classifier-free or distilled guidance; below 0: the model's own
  double guidance_rescale = 0;
  std::uint64_t seed = 0;  // picture i of a request has seed + i
  std::int64_t count = 1;
  std::string sampler{};       // sampler_names(); empty: the model's own
  std::string schedule{};      // "simple", "karras", "exponential", "ays"; empty: the model's own
  std::int64_t clip_skip = 0;  // layers of CLIP left out at the end
  std::optional<Picture> image{};  // image to image, inpainting with `mask`, editing
  std::optional<Picture> mask{};   // 1 channel, of the image's size
  double strength = 0.75;          // image to image: share of the steps that are run, 0 to 1
  std::vector<AdapterUse> adapters{};
  bool tile_decoder = false;       // decode in tiles, for less memory
  std::int64_t preview_every = 0;  // steps between previews; 0: none

  ImageUse image_use = ImageUse::automatic;
  std::int64_t mask_feather = 0;  // pixels over which the mask's edge fades, 0 to 256
  Extension extend{};             // outpainting: the image grows, and what is new is painted
  double guidance_begin = 0;      // classifier-free guidance from this share of the steps on,
  double guidance_end = 1;        // to this one
  double eta = 0;                 // ddim: noise that is added in each step, 0 to 1
  double step_cache = 0;  // transformers: how much a step may change for its blocks to be left out;
                          // 0: none is. Its error is the caller's trade (models/step_cache.h).
  Hires hires{};
};

enum class Stage : std::uint8_t { encode_prompt, encode_image, denoise, decode };

struct Progress {
  Stage stage{};
  std::int64_t picture = 0;  // of Request::count, from 0
  std::int64_t step = 0;     // done, of `steps`
  std::int64_t steps = 0;
  const Picture* preview = nullptr;  // an eighth of the size; valid during the call
  std::string_view loading{};        // the part that is being packed for the stage, by its role
  double loaded = 0;                 // share of it, 0 to 1
};

// Called on the thread that generates.
struct Observer {
  std::function<void(const Progress&)> progress{};
  std::function<void(std::int64_t picture, std::uint64_t seed, Picture result)> picture{};
};

struct ModelInfo {
  std::string family{};                // "sd1", "sd2", "sdxl", "flux1", "flux2", "z_image"
  std::int64_t width = 0, height = 0;  // default
  std::int64_t multiple = 8;           // sizes are multiples of this
  std::int64_t steps = 0;              // default
  double guidance = 0;                 // default
  std::string sampler{};               // default
  bool negative_prompt = true;         // whether one has an effect
  bool image_to_image = true, inpaint = true, edit = false;
};

struct PipelineOptions {
  tensor::Precision precision = tensor::Precision::bf16;
  Residency residency = Residency::resident;
  // Weights packed so far, of all.
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress{};
};

class Pipeline {
 public:
  // Recognises the family, checks every part, and packs all weights unless they are staged. The
  // executors outlive the pipeline. Errors: model_broken (which tensor or file, what was expected),
  // unsupported, out_of_memory, io_error.
  static base::Result<std::unique_ptr<Pipeline>> create(weights::ModelFiles files,
                                                        PartDevices devices,
                                                        PipelineOptions options);
  virtual ~Pipeline() = default;

  virtual const ModelInfo& info() const = 0;
  // Makes request.count pictures, each handed out as soon as it is there; staged, all are drawn
  // before the first is decoded. Errors: invalid_argument (which field, what is possible),
  // cancelled within one operation of the executor or one tensor that is packed; of a part that
  // cannot be loaded out_of_memory, io_error. After any, the pipeline is as usable as before.
  virtual base::Status generate(const Request& request, const Observer& observer,
                                const std::atomic<bool>& stop) = 0;
  virtual PipelineMemory memory() const = 0;
};

// Samplers that Request::sampler may name.
std::vector<std::string> sampler_names();

}  // namespace ingle::diffusion
