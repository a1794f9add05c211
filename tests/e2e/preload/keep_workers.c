// Preloaded into a daemon: workers no longer die with it, so that the next start has leftovers to
// reap.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/prctl.h>

int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long a = va_arg(list, unsigned long);
  unsigned long b = va_arg(list, unsigned long);
  unsigned long c = va_arg(list, unsigned long);
  unsigned long d = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_PDEATHSIG) return 0;
  int (*real)(int, ...) = (int (*)(int, ...))dlsym(RTLD_NEXT, "prctl");
  return real(option, a, b, c, d);
}
