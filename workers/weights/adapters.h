// Adapters: LoRA matrices added to a model's weights as they are read: W + weight * alpha / rank *
// up * down. The model's files stay as they are. Any thread once made; reads block.
//
// Keys of the files are told apart by their beginning (the part) and end (the matrix):
//   - kohya: lora_unet_, lora_te_, lora_te1_, lora_te2_, then the module with '_' for '.', then
//     .lora_down.weight, .lora_up.weight, .alpha
//   - diffusers and PEFT: unet., transformer., text_encoder., text_encoder_2., then the module,
//   then
//     .lora_A.weight and .lora_B.weight, .lora.down.weight and .lora.up.weight, or older forms
//   - ComfyUI: diffusion_model., then as either
// Without an .alpha beside the matrices it is the header's ("lora_adapter_metadata"), or the rank.
// The module has diffusers' name or that of the original layout, where fused matrices are one.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "tensor/weights.h"
#include "weights/model_files.h"

namespace ingle::weights {

struct AdapterChoice {
  std::filesystem::path file{};
  double weight = 1;
};

// By role of the model's parts, those that the adapters change, each with all of them added. They
// refer to the model's own weights, which must outlive them. Errors: those of safetensors files;
// model_broken when keys fit nothing in the model (the first of them, and how many more), matrices
// have other shapes than the weight, or half a pair is missing.
base::Result<std::map<std::string, std::unique_ptr<tensor::WeightSource>>> with_adapters(
    const ModelFiles& model, std::span<const AdapterChoice> adapters);

}  // namespace ingle::weights
