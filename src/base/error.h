// Error: what went wrong in the world (never a bug of ours), as a value. It knows nothing of HTTP:
// api/ turns it into a status and a body once.
//
// `message` says what failed, on what, and what the person can do, in one or two sentences.
// `context` is added where a module is crossed, innermost first ("loading model 'tiny'").
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingle::base {

// One closed list; the names are the same in C++, SQL, TypeScript and logs (see error_code_name).
enum class ErrorCode {
  // The caller's request
  invalid_argument,    // a value is of the wrong type or out of its range
  malformed,           // bytes that do not follow their format (JSON, GGUF, HTTP)
  limit_exceeded,      // larger, longer, deeper or more than a stated limit
  unauthorized,        // no key, or a wrong one
  forbidden,           // known and not allowed (host, origin, cross-site)
  not_found,           // no such route, file, row, process
  model_not_found,     // no such model; the message has near names
  method_not_allowed,  // the route exists with another verb
  conflict,            // the state forbids it (already running, already exists)
  unsupported,         // valid, but this build, model or engine cannot do it
  version_mismatch,    // protocol or schema versions that do not meet
  cancelled,           // the caller went away or asked for the end
  // The machine
  io_error,           // a file or socket operation failed; the message has the reason in words
  disk_full,          // no space left
  permission_denied,  // the operating system refused
  address_in_use,     // the port or socket is taken
  out_of_memory,      // host or device memory would not do
  timeout,            // a stated limit of time passed
  // Models and workers
  model_broken,    // a model file that cannot be used; the message says why
  spawn_failed,    // a worker could not be started
  worker_crashed,  // a worker ended without being asked to
  load_failed,     // a worker could not load its model
  upstream_error,  // a worker answered with an error or nonsense
  // The daemon
  pending,         // still warming up or loading: try again
  overloaded,      // a queue is full: try again later
  shutting_down,   // the daemon is stopping
  daemon_absent,   // no daemon runs for this home
  database_error,  // SQLite refused
  internal,        // should not happen; a library threw
};

// The wire name of a code, such as "model_not_found". Static storage.
std::string_view error_code_name(ErrorCode code);

// The inverse of error_code_name; nothing when the name is unknown.
std::optional<ErrorCode> error_code_from_name(std::string_view name);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::vector<std::string> context{};

  // The same error with one more line of context.
  Error with_context(std::string line) && {
    context.push_back(std::move(line));
    return std::move(*this);
  }

  // Message, then context in parentheses: for logs and terminals.
  std::string text() const;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

using Status = Result<void>;

// fail(code, message) is what a function returns for an error.
inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

// An Error from an errno value: picks the code (disk_full, permission_denied, not_found,
// address_in_use, io_error) and words, as "<what>: No space left on device".
Error errno_error(int errno_value, std::string_view what);

}  // namespace ingle::base

#define INGLE_CONCAT_(a, b) a##b
#define INGLE_CONCAT(a, b) INGLE_CONCAT_(a, b)

// TRY(expression): returns the error from this function if there is one; the value is dropped.
#define TRY(expression)                                         \
  do {                                                          \
    if (auto ingle_try = (expression); !ingle_try) [[unlikely]] \
      return std::unexpected(std::move(ingle_try).error());     \
  } while (false)

// TRY_ASSIGN(auto x, expression): the value, or returns the error from this function.
#define TRY_ASSIGN(declaration, expression) \
  TRY_ASSIGN_(INGLE_CONCAT(ingle_try_, __LINE__), declaration, expression)
#define TRY_ASSIGN_(name, declaration, expression)   \
  auto name = (expression);                          \
  if (!name) [[unlikely]]                            \
    return std::unexpected(std::move(name).error()); \
  declaration = *std::move(name)

// The same two inside coroutines.
#define CO_TRY(expression)                                      \
  do {                                                          \
    if (auto ingle_try = (expression); !ingle_try) [[unlikely]] \
      co_return std::unexpected(std::move(ingle_try).error());  \
  } while (false)
#define CO_TRY_ASSIGN(declaration, expression) \
  CO_TRY_ASSIGN_(INGLE_CONCAT(ingle_try_, __LINE__), declaration, expression)
#define CO_TRY_ASSIGN_(name, declaration, expression)   \
  auto name = (expression);                             \
  if (!name) [[unlikely]]                               \
    co_return std::unexpected(std::move(name).error()); \
  declaration = *std::move(name)
