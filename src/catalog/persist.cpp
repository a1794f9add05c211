#include "catalog/persist.h"

#include "catalog/names.h"

namespace ingle::catalog {
namespace {

bool is_kept(const FileEntry& entry) {
  return entry.reading != nullptr && entry.reading->lasting && entry.unfinished.empty();
}

bool same_row(const FileEntry& a, const FileEntry& b) {
  return a.size_bytes == b.size_bytes && a.modified_ns == b.modified_ns && a.inode == b.inode &&
         a.device == b.device && a.reading == b.reading && a.model_id == b.model_id;
}

}  // namespace

FileTable files_of_rows(const std::vector<storage::ModelFileRow>& rows) {
  FileTable out;
  for (const auto& row : rows) {
    auto reading = decode_reading(row.content);
    if (!reading) continue;
    out.emplace(row.path, FileEntry{.size_bytes = row.size_bytes,
                                    .modified_ns = row.modified_ns,
                                    .inode = row.inode,
                                    .device = row.device,
                                    .reading = std::make_shared<FileReading>(*std::move(reading)),
                                    .model_id = is_id(row.model_id) ? row.model_id : ""});
  }
  return out;
}

RowChanges changes_between(const FileTable& saved, const FileTable& files) {
  RowChanges out;
  for (const auto& [path, entry] : files) {
    if (!is_kept(entry)) continue;
    const auto old = saved.find(path);
    if (old != saved.end() && same_row(old->second, entry)) continue;
    out.put.push_back({.path = path,
                       .size_bytes = entry.size_bytes,
                       .modified_ns = entry.modified_ns,
                       .inode = entry.inode,
                       .device = entry.device,
                       .model_id = entry.model_id,
                       .content = encode_reading(*entry.reading)});
  }
  for (const auto& [path, entry] : saved) {
    const auto now = files.find(path);
    if (now == files.end() || !is_kept(now->second)) out.removed.push_back(path);
  }
  return out;
}

}  // namespace ingle::catalog
