// Pictures of the gallery, one row each. The database does not look into a picture: `content` is
// its JSON. On the thread of the Connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

struct GalleryRow {
  std::int64_t number = 0;
  std::int64_t created_unix_ms = 0;
  std::string model{};
  std::string words{};    // lower case
  std::string content{};  // never empty
  bool operator==(const GalleryRow&) const = default;
};

base::Status add_gallery_row(Connection& db, const GalleryRow& row);

// Errors: database_error.
base::Result<std::optional<GalleryRow>> find_gallery_row(Connection& db, std::int64_t number);

struct GalleryQuery {
  std::int64_t count = 50;
  std::optional<std::int64_t> before{};  // only lower numbers
  std::string words{};                   // in lower case; empty: any
};
struct GalleryRows {
  std::vector<GalleryRow> rows{};  // newest first
  std::int64_t total = 0;          // that fit, without `before` and `count`
};
base::Result<GalleryRows> list_gallery_rows(Connection& db, const GalleryQuery& query);

// Whether it was there.
base::Result<bool> remove_gallery_row(Connection& db, std::int64_t number);

// The highest number that was ever used; 0: none.
base::Result<std::int64_t> newest_gallery_number(Connection& db);

}  // namespace ingle::storage
