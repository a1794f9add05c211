#include "platform/sandbox_linux.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <format>

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

// --- Landlock: man 7 landlock ---

constexpr std::uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite =
    kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM |
    LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE;
constexpr std::uint64_t kDevice = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                  LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_IOCTL_DEV;
// What a rule for a file, not a folder, may hold.
constexpr std::uint64_t kFileRights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                      LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
                                      LANDLOCK_ACCESS_FS_IOCTL_DEV;

constexpr std::array kSystemRead{"/usr",           "/bin",         "/lib",         "/lib64",
                                 "/etc",           "/proc",        "/sys/devices", "/sys/dev",
                                 "/sys/class/drm", "/sys/bus/pci", "/dev/zero",    "/dev/urandom",
                                 "/dev/random"};
constexpr std::array kSystemDevices{"/dev/null", "/dev/dri", "/dev/kfd", "/dev/nvidia-caps"};

// The rights that this version of Landlock knows.
std::uint64_t known_rights(int abi) {
  std::uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                         (kWrite & ~(LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE));
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
  if (abi >= 5) rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
  return rights;
}

// Errors: an errno value as Error (not_found when there is no such path).
base::Status add_rule(int ruleset, const fs::path& path, std::uint64_t rights) {
  const auto failed = [&] {
    return base::fail(base::errno_error(errno, std::format("cannot open {}", path.native())));
  };
  const Descriptor opened(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!opened.valid()) return failed();
  struct stat facts{};
  if (::fstat(opened.get(), &facts) != 0) return failed();
  const landlock_path_beneath_attr rule{
      .allowed_access = S_ISDIR(facts.st_mode) ? rights : rights & kFileRights,
      .parent_fd = opened.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return failed();
  return {};
}

// The device files of NVIDIA's driver are numbered.
std::vector<fs::path> nvidia_devices() {
  std::vector<fs::path> out;
  std::error_code ignored;
  for (fs::directory_iterator entry("/dev", ignored), end; !ignored && entry != end;
       entry.increment(ignored))
    if (entry->path().filename().native().starts_with("nvidia")) out.push_back(entry->path());
  return out;
}

base::Status add_rules(int ruleset, std::uint64_t known, const Sandbox& sandbox,
                       const fs::path& executable) {
  // What is not there cannot be read either: no error.
  const auto allow = [&](const fs::path& path, std::uint64_t rights) -> base::Status {
    auto added = add_rule(ruleset, path, rights & known);
    if (!added && added.error().code == base::ErrorCode::not_found) return {};
    return added;
  };
  for (const auto* path : kSystemRead) TRY(allow(path, kRead));
  for (const auto* path : kSystemDevices) TRY(allow(path, kDevice));
  for (const auto& path : nvidia_devices()) TRY(allow(path, kDevice));
  std::error_code ignored;
  const auto real = fs::canonical(executable, ignored);
  if (!real.empty()) TRY(allow(real.parent_path(), kRead));
  for (const auto& path : sandbox.read) TRY(allow(path, kRead));
  for (const auto& path : sandbox.write) TRY(add_rule(ruleset, path, kWrite & known));
  return {};
}

base::Status prepare_landlock(const Sandbox& sandbox, const fs::path& executable,
                              PreparedSandbox& out) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) {
    out.text = errno == EOPNOTSUPP ? "no landlock (turned off at boot)"
                                   : "no landlock (this kernel has none)";
    return {};
  }
  landlock_ruleset_attr rules{.handled_access_fs = known_rights(static_cast<int>(abi))};
  if (abi >= 6) rules.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
  out.ruleset.reset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  if (!out.ruleset.valid()) return base::fail(base::errno_error(errno, "cannot set up landlock"));
  TRY(add_rules(out.ruleset.get(), rules.handled_access_fs, sandbox, executable));
  out.text = std::format("landlock {}", abi);
  return {};
}

// --- seccomp: man 2 seccomp ---

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the seccomp filter needs this processor's AUDIT_ARCH"
#endif
constexpr std::uint32_t kX32Bit = 0x4000'0000;  // x86-64's second table of system calls

constexpr std::uint32_t answer(int errno_value) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(errno_value);
}

// Sockets only of the families named; no io_uring, which could open others past the filter; no
// system calls of another architecture.
std::vector<sock_filter> socket_filter(bool inet) {
  std::vector<sock_filter> out;
  const auto load = [&](std::size_t offset) {
    out.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)});
  };
  const auto end = [&](std::uint32_t value) { out.push_back({BPF_RET | BPF_K, 0, 0, value}); };
  // Ends with `value` when the loaded word compares so, else goes on.
  const auto end_if = [&](std::uint16_t comparison, std::uint32_t word, std::uint32_t value) {
    out.push_back({static_cast<std::uint16_t>(BPF_JMP | comparison | BPF_K), 0, 1, word});
    end(value);
  };
  const auto end_unless = [&](std::uint32_t word, std::uint32_t value) {
    out.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, word});
    end(value);
  };
  load(offsetof(seccomp_data, arch));
  end_unless(kArchitecture, answer(ENOSYS));
  load(offsetof(seccomp_data, nr));
  end_if(BPF_JGE, kX32Bit, answer(ENOSYS));
  end_if(BPF_JEQ, SYS_io_uring_setup, answer(ENOSYS));
  end_unless(SYS_socket, SECCOMP_RET_ALLOW);
  load(offsetof(seccomp_data, args));  // the family: the low half, on these little-endian machines
  std::vector<std::uint32_t> families{AF_UNIX, AF_NETLINK};
  if (inet) families.insert(families.end(), {AF_INET, AF_INET6});
  for (const auto family : families) end_if(BPF_JEQ, family, SECCOMP_RET_ALLOW);
  end(answer(EACCES));
  return out;
}

void prepare_seccomp(const Sandbox& sandbox, PreparedSandbox& out) {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    out.text += ", no seccomp (this kernel has none)";
    return;
  }
  out.filter = socket_filter(sandbox.inet);
  out.text += sandbox.inet ? ", seccomp with inet" : ", seccomp";
}

}  // namespace

base::Result<PreparedSandbox> prepare_sandbox(const Sandbox& sandbox, const fs::path& executable) {
  PreparedSandbox out;
  if (!sandbox.enabled) {
    out.text = "none (turned off)";
    return out;
  }
  if (auto prepared = prepare_landlock(sandbox, executable, out); !prepared)
    return base::fail(base::ErrorCode::spawn_failed,
                      std::format("the sandbox of {} could not be set up: {}", executable.native(),
                                  prepared.error().message));
  prepare_seccomp(sandbox, out);
  return out;
}

int enforce_landlock(const PreparedSandbox& sandbox) {
  if (!sandbox.ruleset.valid()) return 0;
  return ::syscall(SYS_landlock_restrict_self, sandbox.ruleset.get(), 0) == 0 ? 0 : errno;
}

int enforce_seccomp(const PreparedSandbox& sandbox) {
  if (sandbox.filter.empty()) return 0;
  const sock_fprog program{.len = static_cast<unsigned short>(sandbox.filter.size()),
                           .filter = const_cast<sock_filter*>(sandbox.filter.data())};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : errno;
}

}  // namespace ingle::platform
