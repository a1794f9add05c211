// Catalog: the models found in the given folders. Knows files and their metadata, nothing of
// engines. The list in memory lives on the loop; scans run on the bulk lane, and results are kept
// in SQLite so that an unchanged file (path, size, time, inode) is not read again.
//
// Names are not trusted. Ids have only letters, digits and . _ - : /, at most 160 bytes, and stay
// the same as long as the first file stays. A path that is no valid UTF-8 or has control characters
// is shown with \xNN in their place, and its model is broken ("rename the file"): so the path of a
// usable model is always exactly the file's.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "catalog/pictures.h"
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
  gguf::ModelFacts facts;                      // of all shards together
  std::vector<std::filesystem::path> files{};  // every shard, the first one first
  PictureFacts picture{};                      // of kind image only
};

struct FileReading;

// A part that somebody chose for a model: "MODEL ROLE=WHAT".
struct NamedPart {
  std::string model{};  // its id, without case
  std::string role{};
  std::string what{};  // a component's id, or an absolute path
};
// Errors: invalid_argument.
base::Result<NamedPart> parse_named_part(std::string_view text);

struct CatalogOptions {
  std::vector<std::filesystem::path> folders;
  std::vector<NamedPart> parts{};    // paths among them are looked at, too, wherever they lie
  std::filesystem::path starters{};  // the folder of the models that came with ingle; empty: none
  std::size_t files_max = 20'000;    // entries of folders looked at, over all
  int depth_max = 8;                 // of sub-folders; links to folders are followed once
  // Ends a scan under way, with `cancelled`, between two files. The owner cancels and waits for its
  // scan() before it destroys the catalogue.
  base::CancelToken cancel{};
  // Reads one file; on a lane. Empty: read_model_file of reading.h.
  std::function<base::Result<FileReading>(const std::filesystem::path&)> read{};
};

class Catalog {
 public:
  // All outlive the catalogue.
  static std::unique_ptr<Catalog> create(CatalogOptions options, platform::Files& files,
                                         storage::Storage& storage, base::Lanes& lanes,
                                         base::Loop& loop, base::Logger log);
  virtual ~Catalog() = default;
  // What the last run of the daemon knew, from the database: fast. Then scan() corrects it. A
  // second call joins the first. Errors: the database's; a scan works all the same.
  virtual base::Task<base::Status> load_known() = 0;
  // Looks at every folder again; reads only files that are new or changed. One scan at a time:
  // a second call joins the first, and it waits for load_known(), or does it. Folders that cannot
  // be looked at, and a database that cannot be written, are logged and no error. Errors:
  // cancelled, overloaded, shutting_down.
  virtual base::Task<base::Status> scan() = 0;
  // False until load_known() or the first scan ended.
  virtual bool ready() const = 0;
  virtual protocol::ModelList list() const = 0;
  // By id, exactly; else by a unique file name, or id without its quantisation suffix, or without
  // case. Errors: model_not_found with up to three near names, or, when nothing is in the
  // catalogue, with what to do; model_broken with why; unsupported for components, which are no
  // models by themselves; pending while the first scan has not ended
  // and the model is not known yet.
  virtual base::Result<ModelRecord> find(std::string_view name) const = 0;
};

}  // namespace ingle::catalog
