#include "media/settings.h"

#include "media/a1111.h"
#include "pixels/texts.h"
#include "protocol/codec.h"

namespace ingle::media {
namespace {

using protocol::FoundSettings;
using protocol::GalleryPicture;
using protocol::ImageRequest;

// Pictures of earlier versions have no request in them.
ImageRequest request_of(const GalleryPicture& picture) {
  return {.model = picture.model,
          .prompt = picture.prompt,
          .negative_prompt = picture.negative_prompt,
          .width = picture.width,
          .height = picture.height,
          .steps = picture.steps,
          .guidance = picture.guidance,
          .seed = picture.seed,
          .sampler = picture.sampler,
          .strength = picture.strength};
}

FoundSettings settings_of(GalleryPicture picture) {
  FoundSettings out{.request = picture.request ? *std::move(picture.request) : request_of(picture)};
  auto& request = out.request;
  // The file may have come from elsewhere: how a model is loaded is this machine's matter, and ids
  // of the gallery mean other pictures there.
  request.set.clear();
  request.image.clear();
  if (picture.strength) out.left_out.emplace_back("the picture that it began with");
  return out;
}

}  // namespace

base::Result<FoundSettings> find_settings(std::string_view file) {
  TRY_ASSIGN(const auto texts, pixels::read_texts(file));
  if (!texts.ingle.empty()) {
    auto picture = protocol::decode<GalleryPicture>(texts.ingle);
    if (picture) return settings_of(*std::move(picture));
    if (texts.parameters.empty())
      return base::fail(std::move(picture).error().with_context("reading the picture's settings"));
  }
  if (!texts.parameters.empty()) return read_a1111(texts.parameters);
  return base::fail(base::ErrorCode::not_found,
                    "the picture's file says nothing of how it was made: programs that send "
                    "pictures on often remove it");
}

}  // namespace ingle::media
