#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ingle::base {

void check_failed(const char* condition, const char* file, int line, std::string_view why) {
  std::fprintf(stderr, "CHECK failed: %s (%.*s) at %s:%d\n", condition,
               static_cast<int>(why.size()), why.data(), file, line);
  std::abort();
}

}  // namespace ingle::base
