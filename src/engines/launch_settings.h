// Launch settings: how llama-server is to run a model, derived from the model's file, the machine,
// the configuration and the caller's overrides; every value with its reason. Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/facts.h"
#include "platform/system.h"
#include "protocol/config.h"
#include "protocol/models.h"
#include "resources/estimate.h"
#include "resources/footprint.h"

namespace ingle::engines {

struct LaunchSettings {
  std::int64_t threads = 1;        // for one token at a time
  std::int64_t threads_batch = 1;  // for prompts
  std::int64_t context_tokens = 512;
  std::int64_t parallel = 1;  // requests at once, each with context_tokens of its own
  std::string kv_type_k{"f16"};
  std::string kv_type_v{"f16"};
  std::string flash_attention{"auto"};  // auto, on, off
  std::string gpu_layers{"auto"};       // auto, all, or a number
  std::int64_t batch_tokens = 2048;     // given to the engine at once
  std::int64_t ubatch_tokens = 512;     // computed at once
  std::int64_t cache_ram_mib = 0;       // prompts kept in RAM
  std::string mmap{"on"};               // on, off

  std::string device{"host"};              // host, a GPU's id, several with commas, or auto
  std::string expert_layers_on_host{"0"};  // of the layers on a GPU; a number, or all
  std::string speculation{"off"};  // off, or the engine's own kind without a draft: ngram-...
  // What the engine calls `device`, "none" for the host where there are GPUs; empty: not to be
  // said.
  std::string engine_device{};
  // Of pictures, where parts lie elsewhere: the engine's names, or "host".
  std::string text_engine_device{};
  std::string vae_engine_device{};

  // The same as numbers, and what it takes of each device once loaded and used.
  resources::TextUse use{};
  resources::Footprint footprint{};
  // What is to be held for it: the footprint, and the cache of prompts as if it were full. No
  // worker that behaves takes more.
  resources::Footprint reserved{};
  // Where the weights go, in words, and why, one sentence each.
  std::string placement{};
  std::vector<std::string> reasons{};
  // The same values in words, in a fixed order.
  std::vector<protocol::Setting> explained{};
};

// What there is to run a model on.
struct LaunchRoom {
  struct Device {
    std::string id{};           // "host", "gpu0"
    std::string engine_name{};  // empty: the engine cannot use it
    std::uint64_t bytes = 0;    // the most that this model can get there
  };
  platform::MachineFacts machine{};
  // The host first. Empty: only the host, with what `machine` has available less the reserve.
  std::vector<Device> devices{};
  // The model's own settings (calibrated), name=value. Where they do not fit, those that take
  // memory are left out; entries that are not valid (any more) are too. Both is said in the
  // reasons.
  std::vector<std::string> kept{};
  // Steps down after loads that ran out of memory all the same: smaller KV type, one slot, half the
  // context (again, to the least), experts on the host, fewer layers on the GPU, none. What the
  // caller asked for stays.
  int falls = 0;
};

inline constexpr std::int64_t kContextTokensCap = 8192;      // of a derived context
inline constexpr std::int64_t kContextTokensFloor = 512;     // no less, whatever the memory
inline constexpr std::int64_t kContextTokensUnknown = 4096;  // when the file does not say
inline constexpr std::int64_t kParallelDefault = 4;
// Left to the rest of the machine where no devices are given.
inline constexpr std::uint64_t kSystemReserveBytes = 1ull << 30;
inline constexpr std::uint64_t kPromptCacheBytesMax = 512ull << 20;  // of a derived cache_ram_mib

// Overrides win over kept settings, those over the configuration, that over what is derived; the
// configuration's context and slots are wishes that shrink with the memory. placement.h says in
// which order. Errors: those of normalise_overrides (setting_rules.h), invalid_argument for values
// that contradict each other, the model or the machine, and out_of_memory when the model cannot be
// run in this room, or when there is no further step to fall: the message is the problem of
// explain_shortage, its first line of context what would fit.
base::Result<LaunchSettings> derive_launch_settings(const gguf::ModelFacts& facts,
                                                    protocol::ModelKind kind,
                                                    const LaunchRoom& room,
                                                    const protocol::TextConfig& config,
                                                    const std::vector<std::string>& set);

// Why a model cannot be run in this room, and what would fit instead; each one sentence for people.
// Only after derive_launch_settings said out_of_memory for the same.
struct Shortage {
  std::string problem{};
  std::string would_fit{};
};
Shortage explain_shortage(const gguf::ModelFacts& facts, protocol::ModelKind kind,
                          const LaunchRoom& room, const protocol::TextConfig& config,
                          const std::vector<std::string>& set);

// Context and slots as the worker reports them, into the settings: what differs from what was asked
// for gets the origin "measured".
void apply_measured(LaunchSettings& settings, std::int64_t context_tokens, std::int64_t parallel);

// How much the engine writes: at "full" also how it reads the model's file.
enum class EngineLog { brief, full };

// The arguments for llama-server, without the executable. The API key is not among them: every
// user of the machine can read a command line. Conversations are saved to `kv_folder`, which must
// be there; empty: they are not.
std::vector<std::string> llama_server_arguments(const LaunchSettings& settings,
                                                const protocol::ModelInfo& model,
                                                const gguf::ModelFacts& facts,
                                                const std::filesystem::path& socket, EngineLog log,
                                                const std::filesystem::path& kv_folder = {});

// The command line as it would be typed in a shell.
std::string shell_command(const std::string& executable, const std::vector<std::string>& arguments);

}  // namespace ingle::engines
