// Preloaded into a daemon: its wall clock is off by the seconds (64 bits) that lie in the file
// named by INGLE_TEST_CLOCK, read anew at each look. The monotonic clocks are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* offset_seconds;
static int (*real_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void set_up(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const char* path = getenv("INGLE_TEST_CLOCK");
  if (!path) return;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  void* map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) offset_seconds = map;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  if (!real_clock_gettime) set_up();
  int status = real_clock_gettime(clock, out);
  if (offset_seconds && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    out->tv_sec += *offset_seconds;
  return status;
}
