// What models of each family need of their parts, and the same in words.
#include <algorithm>
#include <array>
#include <format>

#include "catalog/parts.h"

namespace ingle::catalog {
namespace {

using Parts = std::span<const PicturePart>;

constexpr std::array<std::pair<PartKind, std::string_view>, 14> kKindNames{{
    {PartKind::unknown, "unknown"},
    {PartKind::unet, "unet"},
    {PartKind::flux1, "flux1"},
    {PartKind::flux2, "flux2"},
    {PartKind::z_image, "z_image"},
    {PartKind::vae, "vae"},
    {PartKind::flux2_vae, "flux2_vae"},
    {PartKind::clip, "clip"},
    {PartKind::t5, "t5"},
    {PartKind::umt5, "umt5"},
    {PartKind::qwen3, "qwen3"},
    {PartKind::clip_words, "clip_words"},
    {PartKind::unigram_words, "unigram_words"},
    {PartKind::pair_words, "pair_words"},
}};

// The width of the text that SDXL's refiner looks at: the one model of that kind.
constexpr std::uint64_t kRefinerWidth = 1280;
constexpr std::uint64_t kSd2Width = 1024;
// SDXL takes the pooled text and this many numbers about the picture, each as a vector.
constexpr std::uint64_t kPictureNumbers = 6;
// FLUX.2 klein reads three layers of its encoder.
constexpr std::uint64_t kFlux2Layers = 3;

constexpr std::array<std::string_view, 3> kOneEncoder{"vae", "text_encoder", "tokenizer"};
// The second encoder tells how wide the first one is.
constexpr std::array<std::string_view, 5> kTwoEncoders{"vae", "text_encoder_2", "text_encoder",
                                                       "tokenizer", "tokenizer_2"};

const PicturePart* part_of(Parts have, std::string_view role) {
  const auto found = std::ranges::find(have, role, &PicturePart::role);
  return found == have.end() ? nullptr : &*found;
}

// The parts that decide which others fit; an empty one where there is none.
const PicturePart& denoiser_of(Parts have) {
  static const PicturePart kNone;
  const auto* unet = part_of(have, "unet");
  const auto* part = unet ? unet : part_of(have, "transformer");
  return part ? *part : kNone;
}

std::string_view latents_of(std::string_view family) {
  if (family == "sd1" || family == "sd2") return "sd";
  return family == "sdxl" ? "sdxl" : "flux";
}

// What the encoder for a role must be; a width of 0: unknown, so that nothing fits.
struct WantedEncoder {
  PartKind kind = PartKind::unknown;
  std::uint64_t width = 0;
  std::string_view usual{};  // name of its file
};

WantedEncoder wanted_encoder(std::string_view family, std::string_view role, Parts have) {
  const auto& denoiser = denoiser_of(have);
  const bool second = role == "text_encoder_2";
  if (family == "flux2")
    return {PartKind::qwen3, denoiser.width / kFlux2Layers, "a GGUF or safetensors file of Qwen3"};
  if (family == "z_image")
    return {PartKind::qwen3, denoiser.width, "qwen_3_4b.safetensors, or a GGUF of Qwen3 4B"};
  if (family == "flux1")
    return second ? WantedEncoder{PartKind::t5, denoiser.width, "t5xxl_fp16.safetensors"}
                  : WantedEncoder{PartKind::clip, denoiser.pooled, "clip_l.safetensors"};
  if (family != "sdxl") return {PartKind::clip, denoiser.width, "clip_l.safetensors"};
  const auto* other = part_of(have, second ? "text_encoder" : "text_encoder_2");
  const auto rest = other && other->width < denoiser.width ? denoiser.width - other->width : 0;
  return {PartKind::clip, rest, second ? "clip_g.safetensors" : "clip_l.safetensors"};
}

bool encoder_fits(std::string_view family, std::string_view role, const PicturePart& part,
                  Parts have) {
  const auto want = wanted_encoder(family, role, have);
  if (part.kind != want.kind) return false;
  if (family != "sdxl" || role != "text_encoder_2")
    return want.width != 0 && part.width == want.width;
  const auto& denoiser = denoiser_of(have);
  return part.pooled != 0 && part.pooled < denoiser.pooled && part.width < denoiser.width &&
         (denoiser.pooled - part.pooled) % kPictureNumbers == 0 &&
         (want.width == 0 || part.width == want.width);
}

const PicturePart* encoder_for(std::string_view tokenizer_role, Parts have) {
  constexpr std::string_view kStart = "tokenizer";
  return part_of(have, "text_encoder" + std::string(tokenizer_role.substr(kStart.size())));
}

bool tokenizer_fits(std::string_view role, const PicturePart& part, Parts have) {
  const auto* encoder = encoder_for(role, have);
  // Encoders have some rows that no word uses.
  return encoder != nullptr && part.kind != PartKind::unknown &&
         part.kind == words_for(encoder->kind) && part.words <= encoder->words &&
         part.words >= encoder->words / 10 * 9;
}

std::string_view kind_in_words(PartKind kind) {
  switch (kind) {
    case PartKind::unet:
      return "a UNet";
    case PartKind::flux1:
    case PartKind::flux2:
    case PartKind::z_image:
      return "a transformer";
    case PartKind::vae:
      return "a VAE";
    case PartKind::flux2_vae:
      return "FLUX.2's VAE";
    case PartKind::clip:
      return "a CLIP text encoder";
    case PartKind::t5:
      return "a T5 text encoder";
    case PartKind::umt5:
      return "a UMT5 text encoder";
    case PartKind::qwen3:
      return "a Qwen3 text encoder";
    case PartKind::clip_words:
      return "CLIP's tokenizer";
    case PartKind::unigram_words:
      return "T5's tokenizer";
    case PartKind::pair_words:
      return "a tokenizer of Qwen's kind";
    case PartKind::unknown:
      break;
  }
  return "something unknown";
}

}  // namespace

PartKind words_for(PartKind encoder) {
  switch (encoder) {
    case PartKind::clip:
      return PartKind::clip_words;
    case PartKind::t5:
    case PartKind::umt5:
      return PartKind::unigram_words;
    case PartKind::qwen3:
      return PartKind::pair_words;
    default:
      return PartKind::unknown;
  }
}

std::string_view part_kind_name(PartKind kind) {
  const auto* const found =
      std::ranges::find(kKindNames, kind, [](auto& entry) { return entry.first; });
  return found == kKindNames.end() ? "unknown" : found->second;
}

PartKind part_kind_from_name(std::string_view name) {
  const auto* const found =
      std::ranges::find(kKindNames, name, [](auto& entry) { return entry.second; });
  return found == kKindNames.end() ? PartKind::unknown : found->first;
}

std::string_view family_of(const PicturePart& part) {
  switch (part.kind) {
    case PartKind::unet:
      if (part.pooled != 0) return part.width == kRefinerWidth ? "sdxl_refiner" : "sdxl";
      return part.width == kSd2Width ? "sd2" : "sd1";
    case PartKind::flux1:
      return "flux1";
    case PartKind::flux2:
      return "flux2";
    case PartKind::z_image:
      return "z_image";
    default:
      return {};
  }
}

std::span<const std::string_view> roles_needed(std::string_view family) {
  if (family == "sdxl" || family == "flux1") return kTwoEncoders;
  if (family == "sd1" || family == "sd2" || family == "flux2" || family == "z_image")
    return kOneEncoder;
  return {};
}

bool fits(std::string_view family, std::string_view role, const PicturePart& part, Parts have) {
  if (role.starts_with("tokenizer")) return tokenizer_fits(role, part, have);
  if (role.starts_with("text_encoder")) return encoder_fits(family, role, part, have);
  if (role != "vae") return false;
  return part.kind == (family == "flux2" ? PartKind::flux2_vae : PartKind::vae) &&
         part.channels != 0 && part.channels == denoiser_of(have).channels &&
         (part.latents.empty() || part.kind == PartKind::flux2_vae ||
          part.latents == latents_of(family));
}

PartKind wanted_kind(std::string_view family, std::string_view role, Parts have) {
  if (role.starts_with("text_encoder")) return wanted_encoder(family, role, have).kind;
  if (!role.starts_with("tokenizer"))
    return family == "flux2" ? PartKind::flux2_vae : PartKind::vae;
  const auto* encoder = encoder_for(role, have);
  return encoder == nullptr ? PartKind::unknown : words_for(encoder->kind);
}

std::string wanted(std::string_view family, std::string_view role, Parts have) {
  if (role.starts_with("tokenizer")) {
    const auto* encoder = encoder_for(role, have);
    if (encoder == nullptr) return "the tokenizer of its text encoder";
    return std::format(
        "{}, for {} words: a folder with tokenizer.json{}", kind_in_words(words_for(encoder->kind)),
        encoder->words,
        encoder->kind == PartKind::t5 ? " or spiece.model" : ", or vocab.json and merges.txt");
  }
  if (role.starts_with("text_encoder")) {
    const auto want = wanted_encoder(family, role, have);
    if (want.width == 0) return std::format("{}, such as {}", kind_in_words(want.kind), want.usual);
    return std::format("{} of width {}, such as {}", kind_in_words(want.kind), want.width,
                       want.usual);
  }
  if (family == "flux2") return "FLUX.2's VAE";
  const auto latents = latents_of(family);
  return std::format("a VAE of {} channels{}", denoiser_of(have).channels,
                     latents == "flux"   ? ", such as ae.safetensors"
                     : latents == "sdxl" ? " for SDXL, such as sdxl_vae.safetensors"
                                         : " for Stable Diffusion");
}

std::string described(const PicturePart& part) {
  std::string out(kind_in_words(part.kind));
  if (part.width != 0) out += std::format(" of width {}", part.width);
  if (part.channels != 0) out += std::format(" of {} channels", part.channels);
  if (!part.latents.empty() && part.kind == PartKind::vae)
    out += std::format(" for {}", part.latents);
  if (part.words != 0 && part.width == 0) out += std::format(" with {} words", part.words);
  return out;
}

}  // namespace ingle::catalog
