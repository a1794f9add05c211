// The only file that knows SQLite's C interface.
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <system_error>

#include "base/check.h"
#include "storage/migrations.h"
#include "storage/storage.h"

namespace ingle::storage {
namespace {

using base::Error;
using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

constexpr int kBusyTimeoutMs = 5000;
constexpr int kWalTriesMax = 100;
constexpr int kValueBytesMax = 64 << 20;

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct EndStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementPtr = std::unique_ptr<sqlite3_stmt, EndStatement>;

// SQLite's result as an Error: `extended` is its extended code, `words` its own text.
Error sql_error(const std::filesystem::path& path, int extended, int system_errno,
                std::string_view words) {
  const std::string where = std::format("the database '{}'", path.string());
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return {ErrorCode::disk_full,
              std::format("{} cannot grow: {}; free some space on its disk", where, words)};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {ErrorCode::database_error,
              std::format("{} is damaged or no database ({}); move it away and start again: models "
                          "are found anew, API keys must be made anew",
                          where, words)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::database_error,
              std::format("{} was held by another process for over {} s; try again", where,
                          kBusyTimeoutMs / 1000)};
    case SQLITE_CONSTRAINT: {
      const bool taken =
          extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY;
      return {taken ? ErrorCode::conflict : ErrorCode::database_error,
              std::format("{} refused a value: {}", where, words)};
    }
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return {ErrorCode::permission_denied,
              std::format("{} cannot be written: {}; check the rights of the file and its folder",
                          where, words)};
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (system_errno != 0)
        return base::errno_error(system_errno, std::format("{}: {}", where, words));
      return {ErrorCode::io_error, std::format("{}: {}; check its disk and folder", where, words)};
    case SQLITE_NOMEM:
      return {ErrorCode::out_of_memory, std::format("{}: {}", where, words)};
    case SQLITE_TOOBIG:
      return {ErrorCode::limit_exceeded,
              std::format("{}: a value is over {} MiB", where, kValueBytesMax >> 20)};
    default:
      return {ErrorCode::database_error, std::format("{}: {}", where, words)};
  }
}

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(std::filesystem::path path, DatabasePtr db)
      : path_(std::move(path)), db_(std::move(db)) {}

  // Makes an opened handle safe and current.
  Status prepare() {
    configure();
    TRY(run("pragma cell_size_check = on"));
    TRY(check_owner());
    TRY(use_wal());
    TRY(run("pragma synchronous = normal"));
    TRY(run("pragma foreign_keys = on"));
    TRY(run("pragma temp_store = memory"));
    TRY(run("pragma journal_size_limit = 16777216"));
    return migrate();
  }

  Result<std::vector<SqlRow>> query(std::string_view sql,
                                    std::span<const SqlValue> parameters) override {
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    if (sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &raw, &tail) !=
        SQLITE_OK)
      return fail(last_error().with_context(std::format("running \"{}\"", sql)));
    const StatementPtr statement(raw);
    CHECK(sql.substr(static_cast<std::size_t>(tail - sql.data())).find_first_not_of(" \n;") ==
              std::string_view::npos,
          "query() takes one statement");
    CHECK(static_cast<std::size_t>(sqlite3_bind_parameter_count(raw)) == parameters.size(),
          "a statement gets as many parameters as it names");
    for (std::size_t i = 0; i < parameters.size(); ++i)
      TRY(bind(raw, static_cast<int>(i + 1), parameters[i]));
    std::vector<SqlRow> rows;
    while (true) {
      const int code = sqlite3_step(raw);
      if (code == SQLITE_DONE) return rows;
      if (code != SQLITE_ROW)
        return fail(last_error().with_context(std::format("running \"{}\"", sql)));
      rows.push_back(row_of(raw));
    }
  }

  Status transaction(const std::function<Status(Connection&)>& body) override {
    CHECK(sqlite3_get_autocommit(db_.get()) != 0, "transactions do not nest");
    TRY(run("begin immediate"));
    Status status = body(*this);
    if (status) status = run("commit");
    // SQLite has undone it by itself after some errors, such as a full disk.
    if (!status && sqlite3_get_autocommit(db_.get()) == 0) {
      const auto undone = run("rollback");
      CHECK(undone || sqlite3_get_autocommit(db_.get()) != 0, "a transaction must end");
    }
    return status;
  }

  Result<std::int64_t> data_version() override { return number("pragma data_version"); }

 private:
  Status run(std::string_view sql) {
    TRY(query(sql, {}));
    return {};
  }

  Result<std::int64_t> number(std::string_view sql) {
    TRY_ASSIGN(const auto rows, query(sql, {}));
    if (rows.empty() || rows[0].empty()) return 0;
    const auto* value = std::get_if<std::int64_t>(&rows[0][0]);
    return value ? *value : 0;
  }

  Error last_error() const {
    return sql_error(path_, sqlite3_extended_errcode(db_.get()), sqlite3_system_errno(db_.get()),
                     sqlite3_errmsg(db_.get()));
  }

  void configure() {
    sqlite3* db = db_.get();
    sqlite3_busy_timeout(db, kBusyTimeoutMs);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, kValueBytesMax);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  }

  // Before anything is written: is the file empty, or a database of ours that we can read?
  Status check_owner() {
    TRY(run("begin"));  // one view: another process may be making the database right now
    TRY_ASSIGN(const auto objects, number("select count(*) from sqlite_schema"));
    TRY_ASSIGN(const auto application, number("pragma application_id"));
    TRY_ASSIGN(const auto version, number("pragma user_version"));
    TRY(run("commit"));
    if (application != kApplicationId && (application != 0 || objects != 0))
      return fail(ErrorCode::database_error,
                  std::format("'{}' is a database of another program; move it away and start again",
                              path_.string()));
    const int newest = migrations().back().version;
    if (version > newest)
      return fail(ErrorCode::version_mismatch,
                  std::format("the database '{}' has version {}, and this ingle knows up to {}: a "
                              "newer ingle wrote it. Update ingle",
                              path_.string(), version, newest));
    return {};
  }

  // SQLite does not wait for other processes in this one change (it could wait for itself), so we
  // wait for the write lock, where it does, and try again.
  Status use_wal() {
    Status status = run("pragma journal_mode = wal");
    for (int tries = 0; !status && is_busy() && tries < kWalTriesMax; ++tries) {
      TRY(run("begin immediate"));
      TRY(run("commit"));
      status = run("pragma journal_mode = wal");
    }
    return status;
  }

  bool is_busy() const { return (sqlite3_errcode(db_.get()) & 0xff) == SQLITE_BUSY; }

  Status migrate() {
    for (const Migration& migration : migrations()) {
      TRY_ASSIGN(const auto version, number("pragma user_version"));
      if (version >= migration.version) continue;
      auto applied = transaction([&](Connection&) { return apply(migration); });
      if (!applied)
        return fail(std::move(applied).error().with_context(
            std::format("bringing the database to version {}", migration.version)));
    }
    return {};
  }

  // Under the write lock, so the version is looked at again: another process may have been here.
  Status apply(const Migration& migration) {
    TRY_ASSIGN(const auto version, number("pragma user_version"));
    if (version >= migration.version) return {};
    TRY(run_all(migration.sql));
    TRY(run(std::format("pragma application_id = {}", kApplicationId)));
    return run(std::format("pragma user_version = {}", migration.version));
  }

  Status run_all(std::string_view sql) {
    if (sqlite3_exec(db_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      return fail(last_error());
    return {};
  }

  Status bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
    struct Binder {
      sqlite3_stmt* statement;
      int index;
      int operator()(std::nullptr_t) const { return sqlite3_bind_null(statement, index); }
      int operator()(std::int64_t v) const { return sqlite3_bind_int64(statement, index, v); }
      int operator()(double v) const { return sqlite3_bind_double(statement, index, v); }
      // The values outlive the statement, so nothing is copied (a null destructor: SQLITE_STATIC).
      int operator()(const std::string& v) const {
        return sqlite3_bind_text64(statement, index, v.data(), v.size(), nullptr, SQLITE_UTF8);
      }
      int operator()(const Blob& v) const {
        return sqlite3_bind_blob64(statement, index, v.bytes.data(), v.bytes.size(), nullptr);
      }
    };
    if (std::visit(Binder{statement, index}, value) != SQLITE_OK) return fail(last_error());
    return {};
  }

  static SqlRow row_of(sqlite3_stmt* statement) {
    SqlRow row;
    const int columns = sqlite3_column_count(statement);
    row.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) row.push_back(value_of(statement, i));
    return row;
  }

  static SqlValue value_of(sqlite3_stmt* statement, int column) {
    const auto bytes = [&] {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      return data ? std::string(data, size) : std::string();
    };
    switch (sqlite3_column_type(statement, column)) {
      case SQLITE_INTEGER:
        return std::int64_t{sqlite3_column_int64(statement, column)};
      case SQLITE_FLOAT:
        return sqlite3_column_double(statement, column);
      case SQLITE_TEXT:
        return bytes();
      case SQLITE_BLOB:
        return Blob{bytes()};
      default:
        return nullptr;
    }
  }

  const std::filesystem::path path_;
  const DatabasePtr db_;
};

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(path, ignored);
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &raw,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  DatabasePtr db(raw);  // SQLite gives a handle even with an error
  if (code != SQLITE_OK) {
    if (!db) return fail(ErrorCode::out_of_memory, "no memory to open the database");
    return fail(sql_error(path, code, sqlite3_system_errno(raw), sqlite3_errmsg(raw)));
  }
  if (is_new)  // the files beside it (-wal, -shm) take over its rights
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
  auto connection = std::make_unique<SqliteConnection>(path, std::move(db));
  TRY(connection->prepare());
  return connection;
}

}  // namespace ingle::storage
