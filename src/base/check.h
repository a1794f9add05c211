// CHECK: for our own bugs only, never for input. A failed check prints the condition and ends the
// process; a fault of the world is an Error (error.h) instead.
#pragma once

#include <string_view>

namespace ingle::base {

// Prints "CHECK failed: ..." with file and line to stderr and aborts. Any thread.
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               std::string_view why);

}  // namespace ingle::base

// CHECK(condition, why): `why` says which invariant is broken.
#define CHECK(condition, why)                                             \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::ingle::base::check_failed(#condition, __FILE__, __LINE__, (why)); \
  } while (false)
