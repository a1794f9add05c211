// Picture settings: how ingle-diffusion is to run a model, derived from the model's parts, the
// machine, the configuration and the caller's overrides; every value with its reason. Pure.
//
//   threads       1 to 1024
//   precision     f32, bf16, int8
//   executor      auto, onednn (the processor), ggml (a GPU, or the processor)
//   weights       auto, packed, stored (on the processor: left in few bits as their file has them)
//   device        auto, host, gpu0, ...
//   text_device, vae_device  the same for the text encoders and the VAE, where they lie elsewhere
//   residency     auto, resident (all parts stay in memory), staged (they take turns)
//   vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2  parts to borrow (picture_parts.h)
//   picture_side  the largest side that room is kept for, in pixels: pictures of up to its square
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "engines/launch_settings.h"

namespace ingle::engines {

// Overrides (name=value) in one order, the last of a name winning. Errors: invalid_argument (no
// "=", an unknown name with near ones, a value out of its range).
base::Result<std::vector<std::string>> normalise_picture_overrides(
    const std::vector<std::string>& set);

// Overrides win over the configuration, that over what is derived. Errors: invalid_argument
// (values that contradict each other or the machine), and out_of_memory when the model cannot be
// run in this room; the first line of context says what would fit.
base::Result<LaunchSettings> derive_picture_settings(const catalog::ModelRecord& model,
                                                     const LaunchRoom& room,
                                                     const protocol::ImagesConfig& config,
                                                     const std::vector<std::string>& set);

// The value of picture_side that pictures of this size need; empty: the model's own is enough.
std::vector<std::string> picture_side_for(const catalog::ModelRecord& model, std::int64_t width,
                                          std::int64_t height);

// The arguments for ingle-diffusion, without the executable and the key.
std::vector<std::string> diffusion_arguments(const LaunchSettings& settings,
                                             const protocol::ModelInfo& model,
                                             const std::filesystem::path& socket);

}  // namespace ingle::engines
