// ingle-probe: prints what graphics cards there are and how much of their memory is free, as JSON,
// and ends. The daemon runs it instead of loading the drivers' libraries itself, because those
// crash, hang, and keep memory. Its answer:
//   {"gpus": [{"vendor", "name", "id", "integrated", "total_bytes"?, "free_bytes"?,
//              "processes": [{"pid", "bytes"}]}], "notes": [""]}
// Options, for tests: --root DIR (where /sys is looked for), --nvml FILE (the library).
#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include "nvml.h"
#include "platform/descriptor.h"
#include "protocol/json.h"
#include "sysfs.h"

namespace ingle::probe {
namespace {

using protocol::Json;

Json to_json(const Gpu& gpu) {
  Json::Array processes;
  for (const auto& process : gpu.processes)
    processes.emplace_back(Json::Object{{"pid", process.pid}, {"bytes", process.bytes}});
  Json::Object out{{"vendor", gpu.vendor},
                   {"name", gpu.name},
                   {"id", gpu.id},
                   {"integrated", gpu.integrated},
                   {"processes", std::move(processes)}};
  if (gpu.total_bytes) out.emplace_back("total_bytes", *gpu.total_bytes);
  if (gpu.free_bytes) out.emplace_back("free_bytes", *gpu.free_bytes);
  return out;
}

// Indented: the reader takes lines, of limited length.
std::string report(const Findings& findings) {
  Json::Array gpus;
  for (const auto& gpu : findings.gpus) gpus.push_back(to_json(gpu));
  Json::Array notes(findings.notes.begin(), findings.notes.end());
  return protocol::print_json_pretty(
             Json::Object{{"gpus", std::move(gpus)}, {"notes", std::move(notes)}}) +
         "\n";
}

std::string argument(int count, char** arguments, std::string_view name, const char* standard) {
  for (int i = 1; i + 1 < count; ++i)
    if (arguments[i] == name) return arguments[i + 1];
  return standard;
}

int run(int count, char** arguments) {
  // Drivers write to both outputs as they like; the answer must stand alone.
  const platform::Descriptor out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  const platform::Descriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!out.valid() || ::dup2(nowhere.get(), STDOUT_FILENO) < 0 ||
      ::dup2(nowhere.get(), STDERR_FILENO) < 0)
    return 1;
  Findings findings;
  find_nvidia(argument(count, arguments, "--nvml", kNvmlLibrary).c_str(), findings);
  find_in_sysfs(argument(count, arguments, "--root", "/"), findings);
  const auto text = report(findings);
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(out.get(), text.data() + done, text.size() - done);
    if (written <= 0) return 1;
    done += static_cast<std::size_t>(written);
  }
  // Without the libraries' own clean-up, which has been seen to hang.
  ::_exit(0);
}

}  // namespace
}  // namespace ingle::probe

int main(int count, char** arguments) { return ingle::probe::run(count, arguments); }
