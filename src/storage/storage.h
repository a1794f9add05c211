// Storage: the SQLite database of one home, owned by one storage thread. Work is handed to it as
// functions over a Connection and comes back on the loop. Schema changes are migrations/NNN_*.sql,
// embedded, applied in order in one transaction each. Errors: database_error, disk_full, io_error.
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

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

// One open database. Lives on the thread that uses it (the storage thread, or a short command).
class Connection {
 public:
  // Opens (or makes) the file in WAL mode, applies migrations. A file that is not a database, or
  // of a newer version, is an error that says so; nothing is deleted.
  static base::Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path);
  virtual ~Connection() = default;
  // Runs one statement with positional parameters; returns its rows.
  virtual base::Result<std::vector<SqlRow>> query(std::string_view sql,
                                                  std::span<const SqlValue> parameters = {}) = 0;
  // All statements in `body` or none.
  virtual base::Status transaction(const std::function<base::Status(Connection&)>& body) = 0;
  // Rises when another process changed the database.
  virtual base::Result<std::int64_t> data_version() = 0;
};

class Storage {
 public:
  // Starts the storage thread; the file is opened there. Work queued before that waits.
  static std::unique_ptr<Storage> create(std::filesystem::path path, base::Loop& loop,
                                         base::Logger log);
  virtual ~Storage() = default;
  // The result of the open.
  virtual base::Task<base::Status> opened() = 0;
  using Work = std::move_only_function<base::Status(Connection&)>;
  // Runs `work` on the storage thread. Errors: its own, overloaded (over 1024 wait), and the
  // open's error when the database could not be opened.
  virtual base::Task<base::Status> run(Work work) = 0;
};

}  // namespace ingle::storage
