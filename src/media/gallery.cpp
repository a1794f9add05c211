#include "media/gallery.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "media/a1111.h"
#include "pixels/encode.h"
#include "pixels/shrink.h"
#include "protocol/codec.h"
#include "storage/gallery_repository.h"

namespace ingle::media {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using base::Task;
using protocol::GalleryPicture;
using protocol::ImageFormat;

constexpr int kThumbnailQuality = 85;
constexpr std::size_t kSearchBytesMax = 500;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

struct FormatNames {
  ImageFormat format;
  pixels::Format file;
  std::string_view name;
  std::string_view extension;
};
constexpr std::array<FormatNames, 3> kFormats{{
    {ImageFormat::png, pixels::Format::png, "png", ".png"},
    {ImageFormat::jpeg, pixels::Format::jpeg, "jpeg", ".jpg"},
    {ImageFormat::webp, pixels::Format::webp, "webp", ".webp"},
}};

const FormatNames& names_of(ImageFormat format) {
  return *std::ranges::find(kFormats, format, &FormatNames::format);
}

Result<std::int64_t> number_of(std::string_view id) {
  const auto dash = id.find('-');
  std::int64_t number = 0;
  if (dash != std::string_view::npos) {
    const auto digits = id.substr(dash + 1);
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error == std::errc{} && stop == end && number > 0) return number;
  }
  return fail(ErrorCode::not_found,
              std::format("there is no picture '{}' in the gallery", id.substr(0, 100)));
}

Result<GalleryPicture> picture_of(const storage::GalleryRow& row) {
  auto picture = protocol::decode<GalleryPicture>(row.content);
  // The paths are made of these: a damaged database must not lead out of the gallery.
  const bool sound = picture && number_of(picture->id) == row.number && picture->id.size() < 40 &&
                     !picture->file.contains("..") && !picture->file.starts_with('/') &&
                     !picture->id.contains('/');
  if (sound) return picture;
  return fail(ErrorCode::database_error,
              std::format("picture {} in the database is damaged", row.number));
}

}  // namespace

std::optional<ImageFormat> image_format_of(std::string_view name) {
  const auto* const found = std::ranges::find(kFormats, name, &FormatNames::name);
  if (found == kFormats.end()) return std::nullopt;
  return found->format;
}

std::string_view format_name(const GalleryPicture& picture) {
  for (const auto& names : kFormats)
    if (picture.file.ends_with(names.extension)) return names.name;
  return "png";
}

Status Gallery::usable() const {
  if (next_number_) return {};
  return fail(ErrorCode::pending, "the gallery is still being opened; try again");
}

Task<Status> Gallery::load() {
  std::int64_t newest = 0;
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(newest, storage::newest_gallery_number(db));
    return {};
  }));
  next_number_ = newest + 1;
  co_return Status{};
}

std::filesystem::path Gallery::picture_path(const GalleryPicture& picture) const {
  return folder_ / picture.file;
}

std::filesystem::path Gallery::thumbnail_path(const GalleryPicture& picture) const {
  return folder_ / "thumbs" / std::filesystem::path(picture.file).replace_extension(".jpg");
}

FileKind Gallery::kind_of(const GalleryPicture& picture) const {
  FileKind out = kind_;
  if (!picture.request) return out;
  out.format = picture.request->format.value_or(out.format);
  out.quality = static_cast<int>(std::clamp<std::int64_t>(
      picture.request->quality.value_or(out.quality), 1, pixels::kQualityMax));
  return out;
}

// On a lane.
Status Gallery::write_files(GalleryPicture& picture, std::string_view payload) const {
  TRY_ASSIGN(const auto raw, protocol::decode_picture(payload));
  if (raw.channels != 3)
    return fail(ErrorCode::malformed, "the worker sent a picture of one channel");
  picture.width = raw.width;
  picture.height = raw.height;
  const auto kind = kind_of(picture);
  const pixels::Pixels all{raw.width, raw.height, raw.pixels};
  TRY_ASSIGN(const auto file,
             pixels::encode(names_of(kind.format).file, all, kind.quality,
                            {a1111_parameters(picture), protocol::encode(picture)}));
  TRY_ASSIGN(const auto thumbnail,
             pixels::encode(pixels::Format::jpeg, pixels::shrink(all, kThumbnailSide).pixels(),
                            kThumbnailQuality));
  picture.size_bytes = static_cast<std::int64_t>(file.size());
  const auto small = thumbnail_path(picture);
  const auto large = picture_path(picture);
  TRY(seams_.files.make_folder(small.parent_path()));
  TRY(seams_.files.make_folder(large.parent_path()));
  TRY(seams_.files.write_atomic(small, thumbnail));
  auto written = seams_.files.write_atomic(large, file);
  if (!written) std::ignore = seams_.files.remove(small);
  return written;
}

Task<Result<GalleryPicture>> Gallery::add(GalleryPicture picture, std::string payload) {
  CO_TRY(usable());
  const auto number = (*next_number_)++;
  const auto now = std::chrono::floor<base::Millis>(seams_.loop.clock().wall_now());
  const auto day = std::chrono::floor<std::chrono::days>(now);
  picture.created_unix_ms = now.time_since_epoch().count();
  picture.id = std::format("{:%Y%m%d}-{}", day, number);
  picture.file =
      std::format("{:%F}/{}{}", day, picture.id, names_of(kind_of(picture).format).extension);
  CO_TRY(co_await base::run_on(seams_.lanes, seams_.loop, base::Lane::normal, "keep a picture",
                               [&] { return write_files(picture, payload); }));
  const storage::GalleryRow row{.number = number,
                                .created_unix_ms = picture.created_unix_ms,
                                .model = picture.model,
                                .words = lower(picture.prompt + "\n" + picture.model),
                                .content = protocol::encode(picture)};
  auto kept = co_await seams_.storage.run(
      [&](storage::Connection& db) { return storage::add_gallery_row(db, row); });
  if (kept) co_return picture;
  std::ignore = co_await base::run_on(seams_.lanes, seams_.loop, base::Lane::normal,
                                      "remove a picture", [&]() -> Status {
                                        TRY(seams_.files.remove(thumbnail_path(picture)));
                                        return seams_.files.remove(picture_path(picture));
                                      });
  co_return fail(std::move(kept).error());
}

Task<Result<protocol::GalleryPage>> Gallery::list(GalleryFilter filter) {
  CO_TRY(usable());
  if (filter.count < 1 || filter.count > kListMax)
    co_return fail(ErrorCode::invalid_argument,
                   std::format("count is {}; it must be 1 to {}", filter.count, kListMax));
  storage::GalleryQuery query{.count = filter.count + 1,
                              .words = lower(filter.search.substr(0, kSearchBytesMax))};
  if (filter.before) {
    CO_TRY_ASSIGN(query.before, number_of(*filter.before));
  }
  protocol::GalleryPage out;
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(const auto found, storage::list_gallery_rows(db, query));
    out.total = found.total;
    for (const auto& row : found.rows) {
      auto picture = picture_of(row);
      if (!picture) continue;  // one damaged row hides no others
      picture->request.reset();
      out.images.push_back(*std::move(picture));
    }
    return {};
  }));
  if (out.images.size() > static_cast<std::size_t>(filter.count)) {
    out.images.resize(static_cast<std::size_t>(filter.count));
    out.next = out.images.back().id;
  }
  co_return out;
}

Task<Result<GalleryPicture>> Gallery::get(std::string id) {
  CO_TRY(usable());
  CO_TRY_ASSIGN(const auto number, number_of(id));
  std::optional<storage::GalleryRow> row;
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(row, storage::find_gallery_row(db, number));
    return {};
  }));
  const auto none = [&id] {
    return fail(ErrorCode::not_found,
                std::format("there is no picture '{}' in the gallery", id.substr(0, 100)));
  };
  if (!row) co_return none();
  CO_TRY_ASSIGN(auto picture, picture_of(*row));
  if (picture.id != id) co_return none();
  co_return picture;
}

Task<Result<std::string>> Gallery::read(std::string id, What what) {
  CO_TRY_ASSIGN(const auto picture, co_await get(std::move(id)));
  const auto path = what == What::picture ? picture_path(picture) : thumbnail_path(picture);
  co_return co_await base::run_on(seams_.lanes, seams_.loop, base::Lane::interactive,
                                  "read a picture",
                                  [&] { return seams_.files.read(path, kPictureFileBytesMax); });
}

// The row first: files without a row are only waste, a row without files would be a lie.
Task<Result<GalleryPicture>> Gallery::remove(std::string id) {
  CO_TRY_ASSIGN(auto picture, co_await get(std::move(id)));
  CO_TRY_ASSIGN(const auto number, number_of(picture.id));
  CO_TRY(co_await seams_.storage.run([&](storage::Connection& db) -> Status {
    const auto removed = storage::remove_gallery_row(db, number);
    return removed ? Status{} : fail(removed.error());
  }));
  const auto removed = co_await base::run_on(seams_.lanes, seams_.loop, base::Lane::normal,
                                             "remove a picture", [&]() -> Status {
                                               TRY(seams_.files.remove(thumbnail_path(picture)));
                                               return seams_.files.remove(picture_path(picture));
                                             });
  if (!removed) seams_.log.warning("picture_not_removed", removed.error(), {{"id", picture.id}});
  co_return picture;
}

}  // namespace ingle::media
