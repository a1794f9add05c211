// What is kept of conversations on disk, one record a model: FOLDER/<name>.json, which only the
// daemon writes, beside the folder FOLDER/<name>/, in which the model's worker writes
// slot-<number>.bin. What a worker leaves there is not trusted: links are not followed, and a file
// counts only while it is a regular one of the size and time that the record tells.
// Knows nothing of workers. Blocking: for lanes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "platform/files.h"

namespace ingle::engines {

struct KeptSlot {
  std::int64_t slot = 0;
  std::int64_t tokens = 0;
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const KeptSlot&) const = default;
};

struct KeptModel {
  std::string model{};  // its id
  std::string path{};   // its first file, and what that was like
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::string settings{};  // the engine and its settings under which the slots can be read
  std::int64_t saved_unix_ms = 0;
  std::vector<KeptSlot> slots{};

  std::uint64_t bytes() const;
  std::int64_t tokens() const;
  // Whether what `other` keeps could be read by a worker of this one.
  bool same_settings(const KeptModel& other) const;
  bool operator==(const KeptModel&) const = default;
};

inline constexpr std::int64_t kKeptSlotsMax = 256;  // of one model
inline constexpr std::size_t kKvEntriesMax = 4096;  // of one folder
inline constexpr std::uint64_t kKvRecordBytesMax = 64 * 1024;

// The model's folder: the id's own letters as far as they are safe, and a hash of it.
std::string kv_folder_name(std::string_view model);
std::string kv_file_name(std::int64_t slot);

std::string print_kept_model(const KeptModel& record);
// Errors: malformed, also for values out of range.
base::Result<KeptModel> parse_kept_model(std::string_view text);

class KvRecords {
 public:
  // `files` outlives it.
  KvRecords(std::filesystem::path folder, platform::Files& files)
      : folder_(std::move(folder)), files_(files) {}

  std::filesystem::path folder_of(std::string_view model) const;
  // The records whose model is still the same file and whose slots are all there, the one saved
  // longest ago first. Everything else in the folder is removed. Errors: those of Files.
  base::Result<std::vector<KeptModel>> open() const;
  // Whether all slots of the record are there as told. Errors: io_error, which says what differs.
  base::Status check(const KeptModel& record) const;
  // A slot file as it is now. Errors: io_error (not a regular file), not_found.
  base::Result<platform::FileInfo> look_at(std::string_view model, std::int64_t slot) const;
  base::Status write(const KeptModel& record) const;
  base::Status remove_record(std::string_view model) const;
  base::Status remove_slot(std::string_view model, std::int64_t slot) const;
  // Removes the record and what is in the model's folder; the folder itself stays, because a worker
  // that runs may write only in that very one.
  base::Status clear(std::string_view model) const;

 private:
  std::filesystem::path record_path(std::string_view model) const;

  const std::filesystem::path folder_;
  platform::Files& files_;
};

}  // namespace ingle::engines
