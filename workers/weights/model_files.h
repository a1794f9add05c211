// ModelFiles: a diffusion model as its parts, whatever it was stored as: a diffusers folder, one
// safetensors file in an original layout, a GGUF of the transformer or of everything, with parts
// named separately and shared between models. Parts have diffusers names: other layouts are renamed
// here, and nobody above knows. Any thread; opening blocks.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/config.h"
#include "weights/named_weights.h"

namespace ingle::weights {

struct Part {
  std::string kind{};  // class name as diffusers has it, such as "UNet2DConditionModel"
  Config config{};
  std::unique_ptr<NamedWeights> weights{};  // none for tokenizers and schedulers
  std::filesystem::path folder{};           // of tokenizer files; else where it lies
};

struct ModelFiles {
  std::string pipeline{};  // "StableDiffusionPipeline", "FluxPipeline", ...: model_index.json's
  Config index{};          // model_index.json; empty for single files
  std::map<std::string, Part> parts{};  // by role: "unet", "transformer", "vae", "text_encoder",
                                        // "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"
  // Errors: model_broken naming the role and what to do.
  base::Result<const Part*> part(std::string_view role) const;
};

struct ModelPaths {
  std::filesystem::path model{};  // folder or file
  // Parts that the model lacks or that replace its own: role to folder or file.
  std::map<std::string, std::filesystem::path> parts{};
};

// Opens and maps everything, reads headers only. Errors: not_found, malformed, limit_exceeded,
// unsupported (a layout or family that is not known: what was seen), model_broken.
base::Result<ModelFiles> open_model(const ModelPaths& paths);

}  // namespace ingle::weights
