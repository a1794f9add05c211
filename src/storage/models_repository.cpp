#include "storage/models_repository.h"

#include <array>
#include <bit>

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

Result<ModelFileRow> row_of(SqlRow& row) {
  auto* path = std::get_if<Blob>(&row.at(0));
  const auto* size = std::get_if<std::int64_t>(&row.at(1));
  const auto* modified = std::get_if<std::int64_t>(&row.at(2));
  const auto* inode = std::get_if<std::int64_t>(&row.at(3));
  const auto* device = std::get_if<std::int64_t>(&row.at(4));
  auto* model_id = std::get_if<std::string>(&row.at(5));
  auto* content = std::get_if<std::string>(&row.at(6));
  if (!path || !size || !modified || !inode || !device || !model_id || !content)
    return fail(ErrorCode::database_error, "a row of model_files in the database is damaged");
  return ModelFileRow{.path = std::move(path->bytes),
                      .size_bytes = std::bit_cast<std::uint64_t>(*size),
                      .modified_ns = *modified,
                      .inode = std::bit_cast<std::uint64_t>(*inode),
                      .device = std::bit_cast<std::uint64_t>(*device),
                      .model_id = std::move(*model_id),
                      .content = std::move(*content)};
}

}  // namespace

Result<std::vector<ModelFileRow>> list_model_files(Connection& db) {
  TRY_ASSIGN(auto rows,
             db.query("select path, size_bytes, modified_ns, inode, device, model_id, content "
                      "from model_files order by path"));
  std::vector<ModelFileRow> files;
  files.reserve(rows.size());
  for (SqlRow& row : rows) {
    TRY_ASSIGN(auto file, row_of(row));
    files.push_back(std::move(file));
  }
  return files;
}

Status save_model_files(Connection& db, std::span<const ModelFileRow> put,
                        std::span<const std::string> removed_paths) {
  return db.transaction([&](Connection& in) -> Status {
    for (const std::string& path : removed_paths) {
      const std::array<SqlValue, 1> values{Blob{path}};
      TRY(in.query("delete from model_files where path = ?1", values));
    }
    for (const ModelFileRow& file : put) {
      const std::array<SqlValue, 7> values{Blob{file.path},
                                           std::bit_cast<std::int64_t>(file.size_bytes),
                                           file.modified_ns,
                                           std::bit_cast<std::int64_t>(file.inode),
                                           std::bit_cast<std::int64_t>(file.device),
                                           file.model_id,
                                           file.content};
      TRY(
          in.query("insert or replace into model_files (path, size_bytes, modified_ns, inode, "
                   "device, model_id, content) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   values));
    }
    return {};
  });
}

}  // namespace ingle::storage
