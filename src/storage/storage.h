// Storage: the SQLite database of one home, owned by one storage thread. Work is handed to it as
// functions over a Connection and comes back on the loop. Schema changes are migrations/NNN_*.sql,
// embedded, applied in order in one transaction each. The file is not trusted: its views and
// triggers are off, its cells are checked, its values are bounded.
// Errors everywhere: database_error (damaged, locked by another process for over 5 s), conflict (a
// unique value is taken), disk_full, io_error, permission_denied, limit_exceeded (a value over
// 64 MiB); the message says what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"

namespace ingle::storage {

// Bytes that need not be text: a path, a hash.
struct Blob {
  std::string bytes{};
  bool operator==(const Blob&) const = default;
};
using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string, Blob>;
using SqlRow = std::vector<SqlValue>;

// One open database. Lives on the thread that uses it (the storage thread, or a short command);
// other processes may have it open, too. Blocking.
class Connection {
 public:
  // Opens (or makes, private to the user) the file in WAL mode, applies migrations. Its folder must
  // be there. A file that is damaged or of another program (database_error), or of a newer ingle
  // (version_mismatch), is an error that says so; it stays as it is.
  static base::Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path);
  virtual ~Connection() = default;
  // Runs one statement with positional parameters (?1, ?2, ...); returns its rows.
  virtual base::Result<std::vector<SqlRow>> query(std::string_view sql,
                                                  std::span<const SqlValue> parameters = {}) = 0;
  // All statements in `body` or none: an Error from it undoes them. Holds the write lock from its
  // start. Not nested.
  virtual base::Status transaction(const std::function<base::Status(Connection&)>& body) = 0;
  // Rises when another process changed the database.
  virtual base::Result<std::int64_t> data_version() = 0;
};

class Storage {
 public:
  static constexpr std::size_t kQueueMax = 1024;
  static constexpr base::Seconds kStopLimit{5};

  // Starts the storage thread; the file is opened there. Work queued before that waits. The
  // loop outlives the storage.
  static std::unique_ptr<Storage> create(std::filesystem::path path, base::Loop& loop,
                                         base::Logger log);
  // Finishes what is queued, for at most kStopLimit (what then is left ends with shutting_down),
  // and closes the file. Blocks: only for the end of the daemon.
  virtual ~Storage() = default;
  // The result of the open, once it is known.
  virtual base::Task<base::Status> opened() = 0;
  using Work = std::move_only_function<base::Status(Connection&)>;
  // Runs `work` on the storage thread, in the order of asking, and resumes on the loop. What it
  // captures by reference lives until then. Errors: its own, overloaded (kQueueMax wait), and the
  // open's error when the database could not be opened.
  virtual base::Task<base::Status> run(Work work) = 0;
};

}  // namespace ingle::storage
