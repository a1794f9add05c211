// The command line of llama-server (0.7.0): see launch_settings.h.
#include <algorithm>

#include "engines/launch_settings.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

void add_placement(std::vector<std::string>& out, const LaunchSettings& settings,
                   const gguf::ModelFacts& facts) {
  if (!settings.engine_device.empty()) out.insert(out.end(), {"--device", settings.engine_device});
  // Without a GPU the engine warns of any number.
  const bool no_gpu = settings.engine_device.empty() && settings.gpu_layers == "0";
  if (settings.gpu_layers != "auto" && !no_gpu)
    out.insert(out.end(), {"--gpu-layers", settings.gpu_layers});
  // What fits was decided here; only where the engine chooses the layers may it choose.
  if (settings.gpu_layers != "auto") out.insert(out.end(), {"--fit", "off"});
  if (settings.expert_layers_on_host == "all") out.emplace_back("--cpu-moe");
  if (settings.expert_layers_on_host == "all" || settings.expert_layers_on_host == "0") return;
  // The engine counts from the first layer; the layers that are not on a GPU come before the
  // others, and the output head is one of those that are.
  std::int64_t on_host = 0;
  if (const auto layers = parse_number(settings.gpu_layers); layers && *layers <= facts.layers)
    on_host = facts.layers + 1 - *layers;
  on_host += parse_number(settings.expert_layers_on_host).value_or(0);
  out.insert(out.end(), {"--n-cpu-moe", std::to_string(on_host)});
}

}  // namespace

std::vector<std::string> llama_server_arguments(const LaunchSettings& settings,
                                                const protocol::ModelInfo& model,
                                                const gguf::ModelFacts& facts,
                                                const std::filesystem::path& socket, EngineLog log,
                                                const std::filesystem::path& kv_folder) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  std::vector<std::string> out{
      "--model", model.path, "--alias", model.id,
      // A host that ends in .sock is a unix socket; the port is then unused but checked.
      "--host", socket.native(), "--port", "1", "--no-ui", "--cors-origins", "", "--offline",
      "--log-jsonl", "--threads", number(settings.threads), "--threads-batch",
      number(settings.threads_batch),
      // The engine divides the whole context among its slots.
      "--ctx-size", number(settings.context_tokens * settings.parallel), "--parallel",
      number(settings.parallel), "--batch-size", number(settings.batch_tokens), "--ubatch-size",
      number(settings.ubatch_tokens), "--flash-attn", settings.flash_attention, "--cache-type-k",
      settings.kv_type_k, "--cache-type-v", settings.kv_type_v, "--cache-ram",
      number(settings.cache_ram_mib), "--ctx-checkpoints", number(resources::kContextCheckpoints)};
  if (log == EngineLog::full) out.insert(out.end(), {"--log-verbosity", "4"});
  add_placement(out, settings, facts);
  if (settings.speculation != "off") out.insert(out.end(), {"--spec-type", settings.speculation});
  if (!kv_folder.empty()) out.insert(out.end(), {"--slot-save-path", kv_folder.native()});
  if (settings.mmap == "off") out.insert(out.end(), {"--load-mode", "none"});
  // The engine's run before the first request prepares a GPU. On the processor the first request
  // does the same by itself, and comes a whole pass over the weights sooner.
  if (settings.device == "host") out.emplace_back("--no-warmup");
  if (model.kind == protocol::ModelKind::embedding) {
    out.push_back("--embeddings");
    // A file that names no pooling would give one vector a token, which no client expects.
    if (facts.pooling_type == 0)
      out.insert(out.end(), {"--pooling", facts.causal ? "last" : "mean"});
  }
  if (model.kind == protocol::ModelKind::reranker) out.push_back("--reranking");
  return out;
}

std::string shell_command(const std::string& executable,
                          const std::vector<std::string>& arguments) {
  const auto quoted = [](const std::string& word) {
    const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char letter) {
      return std::isalnum(letter) != 0 ||
             std::string_view("-_./=:,+@%").contains(static_cast<char>(letter));
    });
    if (plain) return word;
    std::string out = "'";
    for (const char letter : word) out += letter == '\'' ? "'\\''" : std::string(1, letter);
    return out + "'";
  };
  std::string out = quoted(executable);
  for (const auto& word : arguments) out += " " + quoted(word);
  return out;
}

}  // namespace ingle::engines
