// Snapshot: the catalogue at one moment, made from the files that were found and never changed
// after. Making one is pure and can take a while with many files: do it on a lane.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "catalog/catalog.h"
#include "catalog/reading.h"

namespace ingle::catalog {

struct FileEntry {
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since the epoch
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  std::string unfinished{};  // why its download is not whole; empty: it is
  // Shared by the snapshots that follow each other while the file stays as it is. Null: not read.
  std::shared_ptr<const FileReading> reading{};
  std::string model_id{};  // of the model whose first file it is; empty: none
};

// By path, as the file system has it.
using FileTable = std::map<std::string, FileEntry>;

struct Snapshot {
  FileTable files{};
  std::vector<ModelRecord> models{};  // sorted by id

  // As Catalog::find(), but for pending. `searched`: the folders, for the message.
  base::Result<ModelRecord> find(std::string_view name,
                                 const std::vector<std::filesystem::path>& searched) const;

  // Another way to name a model, in lower case. Lower ranks are tried first.
  struct Alias {
    std::string name{};
    int rank = 0;
    std::size_t model = 0;  // index into models
    auto operator<=>(const Alias&) const = default;
  };
  std::unordered_map<std::string, std::size_t> by_id{};
  std::vector<Alias> aliases{};  // sorted
};

// Groups files into models (shards of one model are one), tells their kinds and problems, and names
// them. A model keeps the id that its first file has in `files`, as long as it is free; the ids in
// use are written back there. Picture models get the parts that they lack (choose_parts.h), but
// none of what lies in `starters`, which came with ingle (empty: nothing did).
Snapshot make_snapshot(FileTable files, const std::vector<NamedPart>& named = {},
                       const std::filesystem::path& starters = {});

}  // namespace ingle::catalog
