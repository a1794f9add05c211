// Catalog: the models found in the given folders. Knows files and their metadata, nothing of
// engines. The list in memory lives on the loop; scans run on the bulk lane, and results are kept
// in SQLite so that an unchanged file (path, size, time, inode) is not read again.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "gguf/facts.h"
#include "platform/files.h"
#include "protocol/models.h"

namespace ingle::storage {
class Storage;
}

namespace ingle::catalog {

// A usable model with what engines need to plan its launch.
struct ModelRecord {
  protocol::ModelInfo info;
  gguf::ModelFacts facts;
};

struct CatalogOptions {
  std::vector<std::filesystem::path> folders;
  std::size_t files_max = 20'000;  // over all folders
  int depth_max = 8;               // of sub-folders; links to folders are followed once
};

class Catalog {
 public:
  // All outlive the catalogue.
  static std::unique_ptr<Catalog> create(CatalogOptions options, platform::Files& files,
                                         storage::Storage& storage, base::Lanes& lanes,
                                         base::Loop& loop, base::Logger log);
  virtual ~Catalog() = default;
  // What the last run of the daemon knew, from the database: fast. Then scan() corrects it.
  virtual base::Task<base::Status> load_known() = 0;
  // Looks at every folder again; reads only files that are new or changed. One scan at a time:
  // a second call joins the first.
  virtual base::Task<base::Status> scan() = 0;
  // False until load_known() or the first scan ended.
  virtual bool ready() const = 0;
  virtual protocol::ModelList list() const = 0;
  // By id, exactly; else by a unique file name, or id without its quantisation suffix, or without
  // case. Errors: model_not_found with up to three near names, or, when nothing is in the
  // catalogue, with what to do; model_broken with why; pending while not ready().
  virtual base::Result<ModelRecord> find(std::string_view name) const = 0;
};

}  // namespace ingle::catalog
