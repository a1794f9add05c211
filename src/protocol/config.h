// The configuration, once: ingle.toml, INGLE_* variables, flags and `ingle config show` all come
// from these structs. A key is written section.name ("server.port", INGLE_SERVER_PORT).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/doc.h"

namespace ingle::protocol {

struct ServerConfig {
  DOC("Address to listen on. Anything but loopback needs an API key.") std::string host{
      "127.0.0.1"};
  DOC("Port to listen on; 0 picks a free one.") std::int64_t port = 46453;
  DOC("Unix socket to listen on as well; empty: none.") std::string unix_path{};
  DOC("More host names that requests may name in their Host header.")
  std::vector<std::string> allowed_hosts{};
  DOC("Web origins that may call the daemon besides its own, such as \"http://localhost:3000\".")
  std::vector<std::string> allowed_origins{};
  DOC("Whether requests from this machine need an API key, too.") bool require_key = false;
  DOC("Most connections at once.") std::int64_t connections_max = 512;
  DOC("Largest request body, in bytes.") std::int64_t body_bytes_max = 64 << 20;
  DOC("Longest wait for running requests at the stop, such as \"10s\".")
  std::string drain_timeout{"10s"};
};

struct ModelsConfig {
  DOC("Folders with models; the data folder's models/ is always one of them.")
  std::vector<std::string> folders{};
  DOC("Unload a model after this long without use; \"-1\": never.") std::string keep_alive{
      "5m"};
  DOC("Models to load at the start, in order, as far as they fit.")
  std::vector<std::string> preload{};
  DOC("Whether the small models that came with ingle are offered.") bool starter = true;
};

struct MemoryConfig {
  DOC("Most memory that models may hold, in bytes or such as \"12G\"; 0: what the machine has.")
  std::int64_t ram_budget = 0;
  DOC("The same for each GPU; 0: what the GPU has.") std::int64_t vram_budget = 0;
  DOC("Memory left to the rest of the machine.") std::int64_t ram_margin = 1 << 30;
  DOC("The same for each GPU.") std::int64_t vram_margin = 512 << 20;
  DOC("Most disk space for conversations of models that were moved aside; 0: keep none.")
  std::int64_t kv_disk = std::int64_t{4} << 30;
  DOC("Whether models that were moved aside come back when there is room again.")
  bool put_back = true;
  DOC("Whether models are unloaded when the whole machine runs short of memory.") bool guard =
      true;
};

struct QueueConfig {
  DOC("After this long a request for another model is served before more for the loaded one.")
  std::string longest_wait{"30s"};
  DOC("A model that was loaded stays at least this long when another one waits.")
  std::string shortest_residency{"2s"};
  DOC("Most requests that wait for a model.") std::int64_t waiting_max = 256;
};

struct TextConfig {
  DOC("Path of llama-server; empty: found in PATH.") std::string llama_server{};
  DOC("Processor threads for a model; 0: derived from the machine.") std::int64_t threads =
      0;
  DOC("Context for each request in tokens; 0: derived from model and memory.")
  std::int64_t context_tokens = 0;
  DOC("Least context for each request in tokens that is worth loading; 0: 512, or the model's.")
  std::int64_t context_tokens_min = 0;
  DOC("Largest derived context for each request in tokens; 0: 8192.")
  std::int64_t context_tokens_max = 0;
  DOC("Requests that a model answers at once; 0: derived.") std::int64_t parallel = 0;
  DOC("Longest load of a model before it counts as hung, such as \"10m\".")
  std::string load_timeout{"10m"};
  DOC("Confine workers with Landlock and seccomp where the kernel can.") bool sandbox =
      true;
};

struct ImagesConfig {
  DOC("Path of the picture worker; empty: ingle-diffusion beside ingle.") std::string worker{};
  DOC("Processor threads for a picture; 0: the machine's physical cores.") std::int64_t threads =
      0;
  DOC("Arithmetic: f32, bf16 or int8.") std::string precision{"bf16"};
  DOC("What runs the arithmetic: auto, onednn or ggml.") std::string executor{"auto"};
  DOC("Unload a picture model after this long without use while a model that it moved aside waits "
      "to come back.")
  std::string yield_after{"3s"};
  DOC("Where pictures are kept; empty: the data folder's gallery/.") std::string gallery{};
  DOC("Parts for models that lack them, or others than their own: \"MODEL ROLE=PATH\", such as "
      "\"flux-dev vae=/models/ae.safetensors\"; a component's name will do as well.")
  std::vector<std::string> parts{};
  DOC("Kind of the pictures' files: png, jpeg or webp.") std::string format{"png"};
  DOC("Quality of JPEG and WebP files, 1 to 100; WebP with 100 is exact.") std::int64_t quality =
      90;
};

struct LogConfig {
  DOC("Least level to keep: trace, debug, info, warning or error.") std::string level{
      "info"};
  DOC("Form on the terminal: auto, text or json. Files are always JSON lines.")
  std::string format{"auto"};
  DOC("Size at which the log file is rotated, in bytes.") std::int64_t file_bytes_max =
      10 << 20;
  DOC("Rotated files to keep.") std::int64_t files_max = 5;
  DOC("Records kept in memory for clients.") std::int64_t ring_records_max = 2000;
};

struct Config {
  DOC("How the daemon listens.") ServerConfig server{};
  DOC("Where models are and how long they stay.") ModelsConfig models{};
  DOC("How text models run.") TextConfig text{};
  DOC("How picture models run, and where their pictures go.") ImagesConfig images{};
  DOC("How much memory models may use.") MemoryConfig memory{};
  DOC("How requests for models that cannot be loaded together take turns.") QueueConfig queue{};
  DOC("What is logged and how.") LogConfig log{};
};

}  // namespace ingle::protocol
