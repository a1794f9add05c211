// What the catalogue knows of model files, kept from one run to the next. The database does not
// look into what was read: `content` is the catalogue's own JSON. On the thread of the Connection.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace ingle::storage {

struct ModelFileRow {
  std::string path{};  // as the file system has it: any bytes
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since the epoch
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  std::string model_id{};  // empty: not the first file of a model
  std::string content{};
  bool operator==(const ModelFileRow&) const = default;
};

// Sorted by path.
base::Result<std::vector<ModelFileRow>> list_model_files(Connection& db);

// Puts rows (new, or instead of those with their path) and removes others, in one transaction.
base::Status save_model_files(Connection& db, std::span<const ModelFileRow> put,
                              std::span<const std::string> removed_paths);

}  // namespace ingle::storage
