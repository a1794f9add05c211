// Preloaded into a daemon: writes a line "NAME THREAD DETAIL" to the file named by
// INGLE_TEST_WATCH for every call that may block on a file, a name, a library, a child or the
// database, and one for every listen(). Each wrapper records, then does the real thing.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int out = -1;

// The number is high, so that it is in nobody's way who counts on the low ones.
__attribute__((constructor)) static void set_up(void) {
  const char* path = getenv("INGLE_TEST_WATCH");
  if (!path) return;
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  const int low = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
  out = fcntl(low, F_DUPFD_CLOEXEC, 900);
  close(low);
}

static void record(const char* name, const char* detail) {
  char line[512];
  if (out < 0) return;
  int length = snprintf(line, sizeof line, "%s %ld %.400s\n", name, syscall(SYS_gettid), detail);
  syscall(SYS_write, out, line, (size_t)length);
}

static void* real_function(const char* name) {
  // dlopen is watched too; dlsym is not, and finds the next definition.
  return dlsym(RTLD_NEXT, name);
}

// WATCH(type, name, (parameters), (arguments), detail): a wrapper with a fixed signature.
#define WATCH(type, name, parameters, arguments, detail)        \
  type name parameters {                                        \
    static type(*real) parameters;                              \
    if (!real) real = (type(*) parameters)real_function(#name); \
    record(#name, detail);                                      \
    return real arguments;                                      \
  }

// Those with an optional mode.
#define WATCH_OPEN(name)                                                    \
  int name(const char* path, int flags, ...) {                              \
    static int (*real)(const char*, int, ...);                              \
    if (!real) real = (int (*)(const char*, int, ...))real_function(#name); \
    va_list list;                                                           \
    va_start(list, flags);                                                  \
    int mode = va_arg(list, int);                                           \
    va_end(list);                                                           \
    record(#name, path);                                                    \
    return real(path, flags, mode);                                         \
  }
#define WATCH_OPENAT(name)                                                       \
  int name(int folder, const char* path, int flags, ...) {                       \
    static int (*real)(int, const char*, int, ...);                              \
    if (!real) real = (int (*)(int, const char*, int, ...))real_function(#name); \
    va_list list;                                                                \
    va_start(list, flags);                                                       \
    int mode = va_arg(list, int);                                                \
    va_end(list);                                                                \
    record(#name, path);                                                         \
    return real(folder, path, flags, mode);                                      \
  }

WATCH_OPEN(open)
WATCH_OPEN(open64)
WATCH_OPENAT(openat)
WATCH_OPENAT(openat64)

WATCH(FILE*, fopen, (const char* path, const char* mode), (path, mode), path)
WATCH(FILE*, fopen64, (const char* path, const char* mode), (path, mode), path)
WATCH(int, creat, (const char* path, mode_t mode), (path, mode), path)
WATCH(int, stat, (const char* path, struct stat* to), (path, to), path)
WATCH(int, lstat, (const char* path, struct stat* to), (path, to), path)
WATCH(int, stat64, (const char* path, struct stat64* to), (path, to), path)
WATCH(int, lstat64, (const char* path, struct stat64* to), (path, to), path)
WATCH(int, fstatat, (int folder, const char* path, struct stat* to, int flags),
      (folder, path, to, flags), path)
WATCH(int, fstatat64, (int folder, const char* path, struct stat64* to, int flags),
      (folder, path, to, flags), path)
WATCH(int, statx, (int folder, const char* path, int flags, unsigned mask, struct statx* to),
      (folder, path, flags, mask, to), path)
WATCH(int, access, (const char* path, int mode), (path, mode), path)
WATCH(int, faccessat, (int folder, const char* path, int mode, int flags),
      (folder, path, mode, flags), path)
WATCH(ssize_t, readlink, (const char* path, char* to, size_t size), (path, to, size), path)
WATCH(char*, realpath, (const char* path, char* to), (path, to), path)
WATCH(DIR*, opendir, (const char* path), (path), path)
WATCH(DIR*, fdopendir, (int folder), (folder), "")
WATCH(struct dirent*, readdir, (DIR * folder), (folder), "")
WATCH(struct dirent64*, readdir64, (DIR * folder), (folder), "")
WATCH(int, unlink, (const char* path), (path), path)
WATCH(int, unlinkat, (int folder, const char* path, int flags), (folder, path, flags), path)
WATCH(int, remove, (const char* path), (path), path)
WATCH(int, rename, (const char* from, const char* to), (from, to), from)
WATCH(int, renameat, (int a, const char* from, int b, const char* to), (a, from, b, to), from)
WATCH(int, mkdir, (const char* path, mode_t mode), (path, mode), path)
WATCH(int, rmdir, (const char* path), (path), path)
WATCH(int, chmod, (const char* path, mode_t mode), (path, mode), path)
WATCH(int, truncate, (const char* path, off_t size), (path, size), path)
WATCH(int, ftruncate, (int file, off_t size), (file, size), "")
WATCH(int, fsync, (int file), (file), "")
WATCH(int, fdatasync, (int file), (file), "")
WATCH(pid_t, fork, (void), (), "")
WATCH(int, execve, (const char* path, char* const arguments[], char* const environment[]),
      (path, arguments, environment), path)
WATCH(pid_t, wait, (int* status), (status), "")
WATCH(pid_t, waitpid, (pid_t pid, int* status, int options), (pid, status, options), "")
WATCH(pid_t, wait4, (pid_t pid, int* status, int options, struct rusage* usage),
      (pid, status, options, usage), "")
WATCH(int, waitid, (idtype_t type, id_t id, siginfo_t* info, int options),
      (type, id, info, options), "")
WATCH(void*, dlopen, (const char* path, int flags), (path, flags), path ? path : "")

struct addrinfo;
WATCH(int, getaddrinfo,
      (const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** to),
      (node, service, hints, to), node ? node : "")
WATCH(void*, gethostbyname, (const char* name), (name), name)

struct sqlite3;
struct sqlite3_stmt;
WATCH(int, sqlite3_open_v2, (const char* path, struct sqlite3** to, int flags, const char* module),
      (path, to, flags, module), path)
WATCH(int, sqlite3_prepare_v2,
      (struct sqlite3 * db, const char* sql, int size, struct sqlite3_stmt** to, const char** rest),
      (db, sql, size, to, rest), sql)
WATCH(int, sqlite3_step, (struct sqlite3_stmt * statement), (statement), "")
WATCH(int, sqlite3_exec,
      (struct sqlite3 * db, const char* sql, void* callback, void* context, char** message),
      (db, sql, callback, context, message), sql)

WATCH(int, listen, (int socket, int backlog), (socket, backlog), "")
