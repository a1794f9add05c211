#include "catalog/catalog.h"

#include <algorithm>
#include <format>
#include <span>
#include <system_error>

#include "catalog/names.h"
#include "catalog/persist.h"
#include "catalog/reading.h"
#include "catalog/snapshot.h"
#include "catalog/text.h"
#include "catalog/tokenizers.h"
#include "catalog/walk.h"
#include "storage/models_repository.h"
#include "storage/storage.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;
using base::Lane;
using base::Status;
using base::Task;

constexpr std::size_t kRowsPerTransaction = 256;
constexpr std::size_t kPathShownMax = 8192;

// "/a/b/" and "/a/./b" as "/a/b", relative ones from the current folder.
std::filesystem::path tidy(const std::filesystem::path& folder) {
  std::error_code failed;
  auto out = std::filesystem::absolute(folder, failed);
  if (failed) out = folder;
  out = out.lexically_normal();
  return out.has_filename() ? out : out.parent_path();
}

class FolderCatalog final : public Catalog {
 public:
  FolderCatalog(CatalogOptions options, platform::Files& files, storage::Storage& storage,
                base::Lanes& lanes, base::Loop& loop, base::Logger log)
      : options_(std::move(options)),
        files_(files),
        storage_(storage),
        lanes_(lanes),
        loop_(loop),
        log_(std::move(log)),
        loaded_(loop),
        scan_ended_(loop) {}

  Task<Status> load_known() override;
  Task<Status> scan() override;
  bool ready() const override { return ready_; }
  protocol::ModelList list() const override;
  base::Result<ModelRecord> find(std::string_view name) const override;

 private:
  // A file of the table that has to be read.
  using FileItem = FileTable::value_type;
  struct Compared {
    FileTable files{};
    std::vector<FileItem*> unread{};  // into files
  };

  Task<Status> load_rows();
  Task<Status> scan_folders();
  Task<Status> read_files(Compared& compared);
  Task<Status> save(std::shared_ptr<const Snapshot> snapshot);
  void report(const Walk& walk) const;
  // Folders with models: that of what came with ingle (first, for the limits), and the user's.
  std::vector<std::filesystem::path> walked() const {
    auto out = options_.folders;
    if (!options_.starters.empty()) out.insert(out.begin(), options_.starters);
    return out;
  }
  // Of parts that were named by path.
  std::vector<std::filesystem::path> named_paths() const {
    std::vector<std::filesystem::path> out;
    for (const auto& part : options_.parts) {
      const std::filesystem::path path(part.what);
      if (!path.is_absolute()) continue;
      out.push_back(is_tokenizer_file(path.filename().native()) ? path.parent_path() : path);
    }
    return out;
  }
  Snapshot shown(FileTable files) const;
  Status check_cancelled() const {
    if (options_.cancel.cancelled()) return fail(ErrorCode::cancelled, "the scan was cancelled");
    return {};
  }
  template <class F>
  auto in_bulk(const char* name, F work) {
    return base::run_on(lanes_, loop_, Lane::bulk, name, std::move(work));
  }
  static Compared compare(std::vector<FoundFile> found, const FileTable& before);

  const CatalogOptions options_;
  platform::Files& files_;
  storage::Storage& storage_;
  base::Lanes& lanes_;
  base::Loop& loop_;
  const base::Logger log_;

  // Both are replaced on the loop while a lane may still read the ones before: hence shared.
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
  std::shared_ptr<const FileTable> saved_;  // what the database has; null: unknown
  bool ready_ = false;
  bool scanned_ = false;
  bool loading_ = false;
  bool scanning_ = false;
  Status last_load_;
  Status last_scan_;
  base::Gate loaded_;
  base::Gate scan_ended_;
};

Task<Status> FolderCatalog::load_known() {
  if (loading_) {
    CO_TRY(co_await loaded_.wait());
    co_return last_load_;
  }
  loading_ = true;
  last_load_ = co_await load_rows();
  loading_ = false;
  loaded_.wake();
  co_return last_load_;
}

Snapshot FolderCatalog::shown(FileTable files) const {
  return make_snapshot(std::move(files), options_.parts, options_.starters);
}

Task<Status> FolderCatalog::load_rows() {
  std::shared_ptr<FileTable> rows;
  std::shared_ptr<const Snapshot> known;
  CO_TRY(co_await storage_.run([&](storage::Connection& db) -> Status {
    TRY_ASSIGN(const auto kept, storage::list_model_files(db));
    rows = std::make_shared<FileTable>(files_of_rows(kept));
    FileTable here = *rows;
    const auto named = named_paths();
    const auto folders = walked();
    std::erase_if(here, [&](const auto& item) {
      return !lies_in(item.first, folders) && !lies_in(item.first, named);
    });
    known = std::make_shared<Snapshot>(shown(std::move(here)));
    // Rows that say nothing are removed with the next scan, like those of files that are gone.
    for (const auto& row : kept) rows->try_emplace(row.path);
    return {};
  }));
  saved_ = std::move(rows);
  if (scanned_) co_return Status{};  // the scan knows better
  snapshot_ = std::move(known);
  ready_ = true;
  log_.debug("catalog_known", "the models of the last run are known",
             {{"models", static_cast<std::int64_t>(snapshot_->models.size())}});
  co_return Status{};
}

Task<Status> FolderCatalog::scan() {
  if (scanning_) {
    CO_TRY(co_await scan_ended_.wait());
    co_return last_scan_;
  }
  scanning_ = true;
  // What the last run knew need not be read again. Without it, everything is: no error.
  if (!saved_) (void)co_await load_known();
  last_scan_ = co_await scan_folders();
  scanning_ = false;
  scanned_ = true;
  ready_ = true;
  scan_ended_.wake();
  co_return last_scan_;
}

Task<Status> FolderCatalog::scan_folders() {
  const auto started = loop_.clock().mono_now();
  Walk walk(walked(), {options_.files_max, options_.depth_max}, named_paths());
  while (!walk.done()) {
    CO_TRY(check_cancelled());
    CO_TRY(co_await in_bulk("catalog_walk", [&] { walk.step(files_); }));
  }
  report(walk);
  const auto before = snapshot_;
  CO_TRY_ASSIGN(auto compared, co_await in_bulk("catalog_compare", [&] {
                  return compare(walk.take_found(), before->files);
                }));
  const auto unread = static_cast<std::int64_t>(compared.unread.size());
  CO_TRY(co_await read_files(compared));
  CO_TRY_ASSIGN(auto next, co_await in_bulk("catalog_list", [&] {
                  return std::make_shared<const Snapshot>(shown(std::move(compared.files)));
                }));
  snapshot_ = next;
  scanned_ = true;  // from here on load_known() has nothing to add, also while this is saved
  const auto took =
      std::chrono::duration_cast<base::Micros>(loop_.clock().mono_now() - started).count();
  log_.info("catalog_scanned",
            std::format("{} models in {} files", next->models.size(), next->files.size()),
            {{"models", static_cast<std::int64_t>(next->models.size())},
             {"files", static_cast<std::int64_t>(next->files.size())},
             {"files_read", unread},
             {"scan_ms", static_cast<double>(took) / 1000}});
  if (auto saved = co_await save(next); !saved) log_.warning("catalog_not_saved", saved.error());
  co_return Status{};
}

void FolderCatalog::report(const Walk& walk) const {
  for (const auto& problem : walk.problems()) {
    if (problem.code == ErrorCode::not_found)
      log_.info("models_folder_missing", problem.text());
    else
      log_.warning("models_folder_skipped", problem);
  }
}

FolderCatalog::Compared FolderCatalog::compare(std::vector<FoundFile> found,
                                               const FileTable& before) {
  Compared out;
  for (FoundFile& file : found) {
    FileEntry entry{.size_bytes = file.info.size_bytes,
                    .modified_ns = file.info.modified_ns,
                    .inode = file.info.inode,
                    .device = file.info.device,
                    .unfinished = std::move(file.unfinished)};
    const auto old = before.find(file.info.path.native());
    if (old != before.end()) {
      const FileEntry& known = old->second;
      entry.model_id = known.model_id;
      // Not by device: the number of a disk may be another after a restart.
      if (known.size_bytes == entry.size_bytes && known.modified_ns == entry.modified_ns &&
          known.inode == entry.inode && known.reading && known.reading->lasting)
        entry.reading = known.reading;
    }
    out.files.insert_or_assign(file.info.path.native(), std::move(entry));
  }
  for (FileItem& item : out.files)
    if (!item.second.reading && item.second.unfinished.empty()) out.unread.push_back(&item);
  return out;
}

// One file a task, one task at a time: other bulk work gets its turn between two files.
Task<Status> FolderCatalog::read_files(Compared& compared) {
  for (FileItem* item : compared.unread) {
    CO_TRY(check_cancelled());
    auto read = co_await in_bulk("catalog_read", [&]() -> base::Result<FileReading> {
      const std::filesystem::path path(item->first);
      return options_.read ? options_.read(path) : read_model_file(path);
    });
    if (!read && read.error().code == ErrorCode::not_found) {  // gone since it was listed
      compared.files.erase(compared.files.find(item->first));
      continue;
    }
    if (!read) co_return fail(std::move(read).error());
    if (!read->problem.empty())
      log_.warning("model_broken",
                   std::format("{}: {}", printable(item->first, kPathShownMax), read->problem));
    item->second.reading = std::make_shared<FileReading>(*std::move(read));
  }
  co_return Status{};
}

Task<Status> FolderCatalog::save(std::shared_ptr<const Snapshot> snapshot) {
  if (!saved_) co_return last_load_;
  const auto saved = saved_;
  CO_TRY_ASSIGN(const auto changes, co_await in_bulk("catalog_changes", [&] {
                  return changes_between(*saved, snapshot->files);
                }));
  std::span<const storage::ModelFileRow> put(changes.put);
  std::span<const std::string> removed(changes.removed);
  while (!put.empty() || !removed.empty()) {
    const auto rows = put.first(std::min(put.size(), kRowsPerTransaction));
    const auto paths = removed.first(std::min(removed.size(), kRowsPerTransaction));
    CO_TRY(co_await storage_.run(
        [&](storage::Connection& db) { return storage::save_model_files(db, rows, paths); }));
    put = put.subspan(rows.size());
    removed = removed.subspan(paths.size());
  }
  saved_ = std::shared_ptr<const FileTable>(snapshot, &snapshot->files);
  co_return Status{};
}

protocol::ModelList FolderCatalog::list() const {
  protocol::ModelList out;
  out.models.reserve(snapshot_->models.size());
  for (const ModelRecord& model : snapshot_->models) out.models.push_back(model.info);
  for (const auto& folder : options_.folders)
    out.folders.push_back(printable(folder.native(), kPathShownMax));
  out.scanning = !scanned_;
  return out;
}

base::Result<ModelRecord> FolderCatalog::find(std::string_view name) const {
  auto found = snapshot_->find(name, options_.folders);
  if (!found && found.error().code == ErrorCode::model_not_found && !scanned_)
    return fail(ErrorCode::pending,
                "the folders are still being searched for models; try again in a moment");
  return found;
}

}  // namespace

std::unique_ptr<Catalog> Catalog::create(CatalogOptions options, platform::Files& files,
                                         storage::Storage& storage, base::Lanes& lanes,
                                         base::Loop& loop, base::Logger log) {
  for (auto& folder : options.folders) folder = tidy(folder);
  if (!options.starters.empty()) options.starters = tidy(options.starters);
  return std::make_unique<FolderCatalog>(std::move(options), files, storage, lanes, loop,
                                         std::move(log));
}

}  // namespace ingle::catalog
