#include "storage/gallery_repository.h"

#include <array>

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

Result<GalleryRow> row_of(SqlRow& row) {
  const auto* number = std::get_if<std::int64_t>(&row.at(0));
  const auto* created = std::get_if<std::int64_t>(&row.at(1));
  auto* model = std::get_if<std::string>(&row.at(2));
  auto* words = std::get_if<std::string>(&row.at(3));
  auto* content = std::get_if<std::string>(&row.at(4));
  if (!number || !created || !model || !words || !content)
    return fail(ErrorCode::database_error, "a row of gallery in the database is damaged");
  return GalleryRow{*number, *created, std::move(*model), std::move(*words), std::move(*content)};
}

}  // namespace

base::Status add_gallery_row(Connection& db, const GalleryRow& row) {
  const std::array<SqlValue, 5> values{row.number, row.created_unix_ms, row.model, row.words,
                                       row.content};
  TRY(
      db.query("insert into gallery (number, created_unix_ms, model, words, content) values "
               "(?1, ?2, ?3, ?4, ?5)",
               values));
  return {};
}

Result<std::optional<GalleryRow>> find_gallery_row(Connection& db, std::int64_t number) {
  const std::array<SqlValue, 1> values{number};
  TRY_ASSIGN(auto rows, db.query("select number, created_unix_ms, model, words, content from "
                                 "gallery where number = ?1 and content <> ''",
                                 values));
  if (rows.empty()) return std::nullopt;
  TRY_ASSIGN(auto row, row_of(rows.front()));
  return row;
}

Result<GalleryRows> list_gallery_rows(Connection& db, const GalleryQuery& query) {
  const std::array<SqlValue, 3> values{
      query.words, query.before ? SqlValue(*query.before) : SqlValue(nullptr), query.count};
  TRY_ASSIGN(auto rows, db.query("select number, created_unix_ms, model, words, content from "
                                 "gallery where content <> '' and instr(words, ?1) > 0 and (?2 is "
                                 "null or number < ?2) order by number desc limit ?3",
                                 values));
  GalleryRows out;
  for (SqlRow& row : rows) {
    TRY_ASSIGN(auto picture, row_of(row));
    out.rows.push_back(std::move(picture));
  }
  const std::array<SqlValue, 1> words{query.words};
  TRY_ASSIGN(
      const auto count,
      db.query("select count(*) from gallery where content <> '' and instr(words, ?1) > 0", words));
  if (const auto* total = count.empty() ? nullptr : std::get_if<std::int64_t>(&count[0].at(0)))
    out.total = *total;
  return out;
}

Result<bool> remove_gallery_row(Connection& db, std::int64_t number) {
  bool was_there = false;
  const auto removed = db.transaction([&](Connection& in) -> base::Status {
    const std::array<SqlValue, 1> values{number};
    TRY_ASSIGN(const auto gone, in.query("update gallery set content = '', words = '' where number "
                                         "= ?1 and content <> '' returning number",
                                         values));
    was_there = !gone.empty();
    TRY(
        in.query("delete from gallery where content = '' and number < (select max(number) from "
                 "gallery)"));
    return {};
  });
  TRY(removed);
  return was_there;
}

Result<std::int64_t> newest_gallery_number(Connection& db) {
  TRY_ASSIGN(const auto rows, db.query("select max(number) from gallery"));
  const auto* number = rows.empty() ? nullptr : std::get_if<std::int64_t>(&rows[0].at(0));
  return number ? *number : 0;
}

}  // namespace ingle::storage
