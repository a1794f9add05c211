// The catalogue's files as rows of the database, and back. Pure.
#pragma once

#include <string>
#include <vector>

#include "catalog/snapshot.h"
#include "storage/models_repository.h"

namespace ingle::catalog {

// Rows that cannot be read (of another version, damaged) are left out: their files are read again.
FileTable files_of_rows(const std::vector<storage::ModelFileRow>& rows);

struct RowChanges {
  std::vector<storage::ModelFileRow> put{};
  std::vector<std::string> removed{};  // paths
};

// What makes the database that has `saved` have `files`. Only whole readings that last are kept.
RowChanges changes_between(const FileTable& saved, const FileTable& files);

}  // namespace ingle::catalog
