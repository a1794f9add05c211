// Gallery: the pictures that were made, as files by day, with an index in the database.
//   FOLDER/2026-01-02/20260102-12.png          or .jpg, .webp; with its settings in the file
//   FOLDER/thumbs/2026-01-02/20260102-12.jpg   at most kThumbnailSide wide and high
// A picture is in the index once both files are whole; a failed one leaves nothing. Ids are never
// used again. Lives on the loop; encoding and files are on lanes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "platform/files.h"
#include "protocol/frames.h"
#include "protocol/images.h"
#include "storage/storage.h"

namespace ingle::media {

inline constexpr std::uint32_t kThumbnailSide = 256;  // pixels
inline constexpr std::uint64_t kPictureFileBytesMax = 64ull << 20;

// All outlive the gallery.
struct GallerySeams {
  base::Loop& loop;
  base::Lanes& lanes;
  platform::Files& files;
  storage::Storage& storage;
  base::Logger log;
};

// How files are written when the request does not say.
struct FileKind {
  protocol::ImageFormat format = protocol::ImageFormat::png;
  int quality = 90;  // of JPEG and WebP, 1 to 100; WebP of 100 is exact
};
// Of a name ("png", "jpeg", "webp"); nothing for others.
std::optional<protocol::ImageFormat> image_format_of(std::string_view name);
// Of a picture in the gallery, by its file: "png", "jpeg" or "webp". Static storage.
std::string_view format_name(const protocol::GalleryPicture& picture);

struct GalleryFilter {
  std::int64_t count = 50;              // 1 to Gallery::kListMax
  std::optional<std::string> before{};  // an id: only older ones
  std::string search{};                 // in prompt and model, without case; empty: any
};

class Gallery {
 public:
  static constexpr std::int64_t kListMax = 500;

  Gallery(std::filesystem::path folder, GallerySeams seams, FileKind kind = {})
      : folder_(std::move(folder)), seams_(seams), kind_(kind) {}

  // Where the numbers stand; before anything else, which fails with `pending` until then. Errors:
  // those of Storage.
  base::Task<base::Status> load();
  // Keeps a picture of the worker; fills in id, time, sides, size and file. Its request says which
  // kind of file, if it does. `payload` is that of protocol::decode_picture(). Errors: malformed
  // (no RGB picture), disk_full and others of Files, those of Storage.
  base::Task<base::Result<protocol::GalleryPicture>> add(protocol::GalleryPicture facts,
                                                         std::string payload);
  // Errors: invalid_argument, those of Storage.
  base::Task<base::Result<protocol::GalleryPage>> list(GalleryFilter filter);
  // Errors: not_found, those of Storage.
  base::Task<base::Result<protocol::GalleryPicture>> get(std::string id);
  enum class What { picture, thumbnail };
  // The file's bytes. Errors: as get(), those of Files.
  base::Task<base::Result<std::string>> read(std::string id, What what);
  // Errors: as get(). A file that is gone already is no error.
  base::Task<base::Result<protocol::GalleryPicture>> remove(std::string id);

 private:
  base::Status usable() const;
  std::filesystem::path picture_path(const protocol::GalleryPicture& picture) const;
  std::filesystem::path thumbnail_path(const protocol::GalleryPicture& picture) const;
  FileKind kind_of(const protocol::GalleryPicture& picture) const;
  base::Status write_files(protocol::GalleryPicture& picture, std::string_view payload) const;

  const std::filesystem::path folder_;
  const GallerySeams seams_;
  const FileKind kind_;
  std::optional<std::int64_t> next_number_;
};

}  // namespace ingle::media
