#include "supervisor/remedy.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace ingle::supervisor {
namespace {

constexpr std::string_view kLessMemory =
    "There was not enough memory. Try a smaller context (`ingle load {model} --set "
    "context_tokens=2048`), fewer requests at once (`--set parallel=1`), or a smaller model.";
constexpr std::string_view kDamagedFile =
    "The model file is damaged or incomplete: download it again.";

struct Pattern {
  std::string_view text;  // lower case, anywhere in a line
  std::string_view remedy;
};

// The first that matches the newest line wins, so the specific stand before the general.
constexpr std::array kPatterns{
    Pattern{"error while loading shared libraries",
            "A library it needs is missing: reinstall the engine, or name another one with "
            "text.llama_server."},
    Pattern{"glibc", "The engine was built for another system: use the packaged one."},
    Pattern{"unknown model architecture",
            "This engine does not know the model's architecture: a newer llama-server may "
            "(text.llama_server names one)."},
    Pattern{"unsupported model architecture",
            "This engine does not know the model's architecture: a newer llama-server may "
            "(text.llama_server names one)."},
    Pattern{"unknown pre-tokenizer",
            "This engine does not know the model's tokenizer: a newer llama-server may "
            "(text.llama_server names one)."},
    Pattern{"not within the file bounds", kDamagedFile},
    Pattern{"corrupted or incomplete", kDamagedFile},
    Pattern{"unexpectedly reached end of file", kDamagedFile},
    Pattern{"invalid magic", kDamagedFile},
    Pattern{"out of memory", kLessMemory},
    Pattern{"outofdevicememory", kLessMemory},
    Pattern{"outofhostmemory", kLessMemory},
    Pattern{"failed to allocate", kLessMemory},
    Pattern{"unable to allocate", kLessMemory},
    Pattern{"cannot allocate memory", kLessMemory},
    Pattern{"bad_alloc", kLessMemory},
    Pattern{"address already in use",
            "Its socket is taken: another daemon may use the same run folder; stop it or set "
            "INGLE_HOME."},
    Pattern{"couldn't bind",
            "It could not open its socket: check that the run folder can be written and is on a "
            "local disk."},
    Pattern{"quantized v cache",
            "A quantised KV cache needs flash attention: `--set flash_attention=on`, or `--set "
            "kv_type_v=f16`."},
    Pattern{"v cache quantization",
            "A quantised KV cache needs flash attention: `--set flash_attention=on`, or `--set "
            "kv_type_v=f16`."},
    Pattern{"cache type",
            "The model cannot use this KV type: `--set kv_type_k=f16 --set "
            "kv_type_v=f16`."},
    Pattern{"invalid argument:",
            "This engine does not know an option that ingle uses: use a newer llama-server "
            "(text.llama_server names one)."},
    Pattern{"no such file",
            "A file it needs is not there: if the model was moved or deleted, look at `ingle ls`."},
    Pattern{"permission denied",
            "It may not read a file it needs: check the file's permissions; with text.sandbox = "
            "false the sandbox can be ruled out."},
    Pattern{"no space left", "The disk is full: make room and try again."},
};

struct SignalRemedy {
  int signal;
  std::string_view remedy;
};

constexpr std::array kSignals{
    SignalRemedy{SIGKILL,
                 "If nobody killed it, the machine ran out of memory: try a smaller context "
                 "(`ingle load {model} --set context_tokens=2048`) or a smaller model."},
    SignalRemedy{SIGILL,
                 "The engine uses instructions that this processor lacks: use a build for this "
                 "processor (text.llama_server names one)."},
    SignalRemedy{SIGBUS,
                 "The model file changed or shrank while it was in use, or its disk failed: check "
                 "the file, then load it again."},
    SignalRemedy{SIGSYS,
                 "The sandbox refused a system call that the engine needs: set text.sandbox = "
                 "false to run it unconfined."},
    SignalRemedy{SIGTERM, "Somebody ended it; it is loaded again by the next request."},
    SignalRemedy{SIGINT, "Somebody ended it; it is loaded again by the next request."},
    SignalRemedy{SIGHUP, "Somebody ended it; it is loaded again by the next request."},
};

std::string filled(std::string_view remedy, const std::string& model) {
  constexpr std::string_view kHole = "{model}";
  std::string out(remedy);
  if (const auto at = out.find(kHole); at != std::string::npos)
    out.replace(at, kHole.size(), model);
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  return out;
}

// What the newest telling line says; nothing: no line tells anything.
std::string_view remedy_in(const std::deque<OutputLine>& tail) {
  // Errors first: chatter at lower levels may hold the same words by chance.
  for (const auto least : {base::LogLevel::error, base::LogLevel::trace})
    for (auto line = tail.rbegin(); line != tail.rend(); ++line) {
      if (line->level < least) continue;
      const std::string text = lower(line->message);
      for (const auto& pattern : kPatterns)
        if (text.contains(pattern.text)) return pattern.remedy;
    }
  return {};
}

}  // namespace

bool ran_out_of_memory(const platform::ExitStatus& status, const std::deque<OutputLine>& tail) {
  return status.memory_limit_hit || remedy_in(tail) == kLessMemory;
}

std::string remedy_for(const platform::ExitStatus& status, const std::deque<OutputLine>& tail,
                       const std::string& model) {
  if (const auto remedy = remedy_in(tail); !remedy.empty()) return filled(remedy, model);
  if (status.signal)
    for (const auto& entry : kSignals)
      if (entry.signal == *status.signal) return filled(entry.remedy, model);
  return filled(
      "`ingle logs --grep worker.{model}` shows what it wrote. If it happens again, try other "
      "settings (`ingle load {model} --explain` lists them) or another engine.",
      model);
}

}  // namespace ingle::supervisor
