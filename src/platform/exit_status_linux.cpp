#include <signal.h>

#include <array>
#include <cstring>
#include <format>

#include "platform/process.h"

namespace ingle::platform {
namespace {

struct SignalText {
  int number;
  std::string_view words;
};

constexpr std::array kSignalTexts{
    SignalText{SIGHUP, "SIGHUP (its terminal went away)"},
    SignalText{SIGINT, "SIGINT (interrupted)"},
    SignalText{SIGQUIT, "SIGQUIT (asked to quit)"},
    SignalText{SIGILL, "SIGILL (an instruction that this processor does not have)"},
    SignalText{SIGTRAP, "SIGTRAP (a breakpoint)"},
    SignalText{SIGABRT, "SIGABRT (it gave up on an error of its own)"},
    SignalText{SIGBUS, "SIGBUS (a mapped file was cut short, or memory is faulty)"},
    SignalText{SIGFPE, "SIGFPE (a division by zero)"},
    SignalText{SIGKILL, "SIGKILL (by the out-of-memory killer or by hand)"},
    SignalText{SIGSEGV, "SIGSEGV (invalid memory access)"},
    SignalText{SIGPIPE, "SIGPIPE (nobody reads its output)"},
    SignalText{SIGALRM, "SIGALRM (its alarm rang)"},
    SignalText{SIGTERM, "SIGTERM (asked to end)"},
    SignalText{SIGXCPU, "SIGXCPU (over its limit of processor time)"},
    SignalText{SIGXFSZ, "SIGXFSZ (over its limit of file size)"},
    SignalText{SIGSYS, "SIGSYS (a system call that its sandbox forbids)"},
};

}  // namespace

std::string ExitStatus::text() const {
  if (code) return std::format("exited with code {}", *code);
  if (!signal) return "ended, and its exit status is unknown";
  if (memory_limit_hit && *signal == SIGKILL)
    return "was killed by SIGKILL (it grew beyond the memory limit of its control group)";
  const auto* core = core_dumped ? ", core dumped" : "";
  for (const auto& known : kSignalTexts)
    if (known.number == *signal) return std::format("was killed by {}{}", known.words, core);
  return std::format("was killed by signal {}{}", *signal, core);
}

}  // namespace ingle::platform
