// The parts of picture models, recognised by the names and shapes of their tensors, and what a
// model of each family needs of them. It knows no files. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/tensor_list.h"

namespace ingle::catalog {

enum class PartKind : std::uint8_t {
  unknown,
  unet,
  flux1,
  flux2,
  z_image,
  vae,        // of 4 or 16 channels
  flux2_vae,  // with statistics of its latents
  clip,
  t5,
  umt5,
  qwen3,
  clip_words,     // tokenizers: pairs with CLIP's ends of words
  unigram_words,  // T5's
  pair_words,     // pairs of bytes, as Qwen's
};
// Of the tokenizer that an encoder of this kind needs; unknown for what is no encoder.
PartKind words_for(PartKind encoder);
std::string_view part_kind_name(PartKind kind);  // "clip"; static storage
PartKind part_kind_from_name(std::string_view name);

struct PicturePart {
  std::string role{};  // "unet", "transformer", "vae", "text_encoder", "tokenizer_2"; of a part
                       // that lies alone: what it usually is
  std::uint64_t elements = 0;
  std::uint64_t file_bytes = 0;
  PartKind kind = PartKind::unknown;
  std::uint64_t width = 0;     // of the text that a denoiser looks at, or an encoder gives
  std::uint64_t pooled = 0;    // the same of one vector for the whole text
  std::uint64_t channels = 0;  // of latents
  std::uint64_t words = 0;     // that an encoder or a tokenizer knows
  // Which models' latents a decoder is for, where shapes do not tell: "sd", "sdxl", "flux", "sd3".
  std::string latents{};
  std::string path{};  // of a part that is not the model's own: what the worker is given for it
  bool operator==(const PicturePart&) const = default;
};

// What lies in a file, in the roles it plays there.
std::vector<PicturePart> parts_in(const TensorList& tensors);
// What lies below a prefix, such as "unet." in a converted file; kind unknown when it is nothing
// that is known, but for its sizes.
PicturePart part_below(const TensorList& tensors, std::string_view prefix, std::string_view role);

// The family of a UNet or transformer: "sd1", "sdxl", "flux1"; empty for other parts.
std::string_view family_of(const PicturePart& part);

// What a family needs beside its UNet or transformer, tokenizers included, in an order in which
// each can be judged by those before it. Empty: the family is not known here.
std::span<const std::string_view> roles_needed(std::string_view family);

// Whether a part can play `role` in a model of this family that has the parts `have` (by their
// roles) so far.
bool fits(std::string_view family, std::string_view role, const PicturePart& part,
          std::span<const PicturePart> have);

// What would fit, in words: "a CLIP text encoder of width 768 (such as clip_l.safetensors)".
std::string wanted(std::string_view family, std::string_view role,
                   std::span<const PicturePart> have);
// The kind of what would fit.
PartKind wanted_kind(std::string_view family, std::string_view role,
                     std::span<const PicturePart> have);
// What a part is, in words: "a T5 text encoder of width 512".
std::string described(const PicturePart& part);

}  // namespace ingle::catalog
