#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace ingle::base {
namespace {

struct CodeName {
  ErrorCode code;
  std::string_view name;
};

#define INGLE_CODE(name) \
  CodeName { ErrorCode::name, #name }
constexpr std::array kCodeNames{
    INGLE_CODE(invalid_argument), INGLE_CODE(malformed),          INGLE_CODE(limit_exceeded),
    INGLE_CODE(unauthorized),     INGLE_CODE(forbidden),          INGLE_CODE(not_found),
    INGLE_CODE(model_not_found),  INGLE_CODE(method_not_allowed), INGLE_CODE(conflict),
    INGLE_CODE(unsupported),      INGLE_CODE(version_mismatch),   INGLE_CODE(cancelled),
    INGLE_CODE(io_error),         INGLE_CODE(disk_full),          INGLE_CODE(permission_denied),
    INGLE_CODE(address_in_use),   INGLE_CODE(out_of_memory),      INGLE_CODE(timeout),
    INGLE_CODE(model_broken),     INGLE_CODE(spawn_failed),       INGLE_CODE(worker_crashed),
    INGLE_CODE(load_failed),      INGLE_CODE(upstream_error),     INGLE_CODE(pending),
    INGLE_CODE(overloaded),       INGLE_CODE(shutting_down),      INGLE_CODE(daemon_absent),
    INGLE_CODE(database_error),   INGLE_CODE(internal),
};
#undef INGLE_CODE

struct ErrnoCode {
  int value;
  ErrorCode code;
};

constexpr std::array kErrnoCodes{
    ErrnoCode{ENOSPC, ErrorCode::disk_full},
    ErrnoCode{EDQUOT, ErrorCode::disk_full},
    ErrnoCode{EACCES, ErrorCode::permission_denied},
    ErrnoCode{EPERM, ErrorCode::permission_denied},
    ErrnoCode{EROFS, ErrorCode::permission_denied},
    ErrnoCode{ENOENT, ErrorCode::not_found},
    ErrnoCode{ENOTDIR, ErrorCode::not_found},
    ErrnoCode{EADDRINUSE, ErrorCode::address_in_use},
    ErrnoCode{ENOMEM, ErrorCode::out_of_memory},
    ErrnoCode{ETIMEDOUT, ErrorCode::timeout},
};

}  // namespace

std::string_view error_code_name(ErrorCode code) {
  for (const auto& entry : kCodeNames)
    if (entry.code == code) return entry.name;
  CHECK(false, "an error code without a name");
}

std::optional<ErrorCode> error_code_from_name(std::string_view name) {
  for (const auto& entry : kCodeNames)
    if (entry.name == name) return entry.code;
  return std::nullopt;
}

std::string Error::text() const {
  std::string out = message;
  for (const auto& line : context) out += " (" + line + ")";
  return out;
}

Error errno_error(int errno_value, std::string_view what) {
  ErrorCode code = ErrorCode::io_error;
  for (const auto& entry : kErrnoCodes)
    if (entry.value == errno_value) code = entry.code;
  std::array<char, 128> buffer{};
  const char* words = strerror_r(errno_value, buffer.data(), buffer.size());
  return Error{code, std::string(what) + ": " + words};
}

}  // namespace ingle::base
