// Pictures: POST /api/v1/images starts a job of kind image; GET /api/v1/images and below it is the
// gallery. Pictures themselves travel as files and binary bodies, never inside JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/jobs.h"

namespace ingle::protocol {

struct GalleryPicture {
  DOC("Its id, such as \"20260102-12\"; never used again.") std::string id{};
  DOC("When it was made: Unix time in milliseconds.") std::int64_t created_unix_ms = 0;
  DOC("Job that made it.") std::string job{};
  DOC("Name of the model.") std::string model{};
  DOC("What it shows, as asked for.") std::string prompt{};
  DOC("What it was to avoid; empty: nothing was said.") std::string negative_prompt{};
  DOC("Width in pixels.") std::int64_t width = 0;
  DOC("Height in pixels.") std::int64_t height = 0;
  DOC("Steps of the sampler.") std::int64_t steps = 0;
  DOC("How closely it follows the prompt; 0: the model has no such scale.") double guidance = 0;
  DOC("Seed of this very picture.") std::int64_t seed = 0;
  DOC("Sampler that made it.") std::string sampler{};
  DOC("Share of the steps that changed a given picture; absent: it was made from noise.")
  std::optional<double> strength{};
  DOC("Size of its file, in bytes.") std::int64_t size_bytes = 0;
  DOC("Its file below the gallery's folder, such as \"2026-01-02/20260102-12.png\".")
  std::string file{};
  DOC("The request that draws it again; absent in lists, and of pictures of earlier versions.")
  std::optional<ImageRequest> request{};
};

struct GalleryPage {
  DOC("The pictures, newest first.") std::vector<GalleryPicture> images{};
  DOC("Pictures in all that fit the question.") std::int64_t total = 0;
  DOC("Ask with before= this for the next page; absent: this is the last one.")
  std::optional<std::string> next{};
};

enum class DOC("Who wrote the settings that stand in a picture's file.") SettingsOrigin {
  ingle,
  a1111
};

struct FoundSettings {
  DOC("Who wrote them: ingle, or a program that writes A1111's form.") SettingsOrigin origin =
      SettingsOrigin::ingle;
  DOC("The request that draws it again, as far as the file tells.") ImageRequest request{};
  DOC("What the file tells and the request has no room for, such as \"Model hash: 6ce0161689\".")
  std::vector<std::string> left_out{};
};

}  // namespace ingle::protocol
