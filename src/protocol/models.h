// Models, as the catalogue knows them and as workers hold them: GET /api/v1/models, /api/v1/ps,
// POST /api/v1/load and /api/v1/unload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/doc.h"
#include "protocol/resources.h"

namespace ingle::protocol {

enum class DOC("What a model is for.") ModelKind {
  text,
  embedding,
  reranker,
  projector,
  adapter,
  unknown,
  image,
  component
};

enum class DOC("Whether a model's files can be used.") ModelState {
  usable,
  incomplete,
  broken
};

enum class DOC("Whose a model is.") ModelSource { user, starter };

struct ModelPart {
  DOC("What it is in the model, such as \"vae\" or \"text_encoder\".") std::string role{};
  DOC("The component, or the model, that it is borrowed from; empty: the model's own.")
  std::string component{};
  DOC("Its file or folder; empty: in the model's own.") std::string path{};
  DOC("Its size, in bytes.") std::int64_t size_bytes = 0;
  DOC("Why this one, in words.") std::string reason{};
};

struct ModelInfo {
  DOC("Name to use in requests; unique in the catalogue.") std::string id{};
  DOC("What it is for.") ModelKind kind = ModelKind::unknown;
  DOC("Whether it can be used.") ModelState state = ModelState::usable;
  DOC("Whose it is: \"starter\" came with ingle.") ModelSource source = ModelSource::user;
  DOC("Why it cannot be used; empty when it can.") std::string problem{};
  DOC("First file, as an absolute path.") std::string path{};
  DOC("Number of files (shards).") std::int64_t file_count = 1;
  DOC("Size of all its files, in bytes, with parts that it shares with others.")
  std::int64_t size_bytes = 0;
  DOC("When its file was last changed: Unix time in milliseconds.") std::int64_t
      modified_unix_ms = 0;
  DOC("The model's own name, from its metadata.") std::string name{};
  DOC("Architecture, such as \"llama\" or \"sd1\".") std::string architecture{};
  DOC("Quantisation of most of its weights, such as \"Q4_K\".") std::string quantization{};
  DOC("Number of parameters.") std::int64_t parameters = 0;
  DOC("Longest context it was trained for, in tokens; 0 when unknown.")
  std::int64_t context_tokens_max = 0;
  DOC("Width of its embeddings; 0 when unknown.") std::int64_t embedding_length = 0;
  DOC("Whether it has a chat template.") bool has_chat_template = false;
  DOC("What a picture model is made of.") std::vector<ModelPart> parts{};
  DOC("The models that have a part from here.") std::vector<std::string> used_by{};
};

struct ModelList {
  DOC("The models, sorted by id.") std::vector<ModelInfo> models{};
  DOC("Folders that were searched.") std::vector<std::string> folders{};
  DOC("Whether the first scan is still under way, so that more may come.") bool scanning =
      false;
};

enum class DOC("Where a worker's life stands.") WorkerState {
  spawned,
  greeted,
  loading,
  ready,
  busy,
  draining,
  exited,
  crashed
};

struct ResidentModel {
  DOC("Name of the model.") std::string id{};
  DOC("What it is for.") ModelKind kind = ModelKind::unknown;
  DOC("Where its worker stands.") WorkerState state = WorkerState::spawned;
  DOC("Share of the load that is done, 0 to 1.") double load_progress = 0;
  DOC("Process id of its worker.") std::int64_t pid = 0;
  DOC("Requests under way.") std::int64_t requests_running = 0;
  DOC("When its load began: Unix time in milliseconds.") std::int64_t loaded_unix_ms = 0;
  DOC("How long the load took, in milliseconds; absent while it loads.")
  std::optional<double> load_ms{};
  DOC("Resident memory of its worker, in bytes; 0 when unknown.") std::int64_t resident_bytes = 0;
  DOC("When it will be unloaded if nobody uses it: Unix time in milliseconds; absent: never.")
  std::optional<std::int64_t> unload_unix_ms{};
  DOC("Why it is there, in words: who asked for it, and what keeps it.") std::string reason{};
  DOC("Whether it is pinned: it is never moved aside or unloaded for being idle.")
  bool pinned = false;
  DOC("When it was last used: Unix time in milliseconds; absent while it is in use.")
  std::optional<std::int64_t> idle_unix_ms{};
  DOC("Its memory, as predicted and as measured.") MemoryEstimate memory{};
  DOC("Tokens of conversations that were restored when it came back.")
  std::int64_t restored_tokens = 0;
  DOC("What confines its worker, in words.") std::string sandbox{};
  DOC("The settings it runs with.") std::vector<Setting> settings{};
};

struct WaitingModel {
  DOC("Name of the model.") std::string model{};
  DOC("Requests that wait for it.") std::int64_t requests = 0;
  DOC("How long the first of them has waited, in milliseconds.") std::int64_t waited_ms =
      0;
  DOC("What it waits for, in words.") std::string reason{};
  DOC("About how long it has still to wait, in milliseconds; absent when that cannot be told.")
  std::optional<std::int64_t> expected_wait_ms{};
};

struct PushedOutModel {
  DOC("Name of the model.") std::string model{};
  DOC("When it was moved aside: Unix time in milliseconds.") std::int64_t since_unix_ms =
      0;
  DOC("Why, in words.") std::string reason{};
  DOC("Tokens of conversations kept on disk for its return.") std::int64_t saved_tokens =
      0;
};

struct ResidentList {
  DOC("Models that have a worker now.") std::vector<ResidentModel> models{};
  DOC("Models that requests wait for, the next to be loaded first.")
  std::vector<WaitingModel> waiting{};
  DOC("Models that were moved aside and come back when there is room, the first to return first.")
  std::vector<PushedOutModel> pushed_out{};
};

struct LoadRequest {
  DOC("Name of the model.") std::string model{};
  DOC("Only say what would be done.") bool explain = false;
  DOC("Settings to use instead of derived ones, as name=value.") std::vector<std::string> set{};
  DOC("Unload after this long without use, such as \"5m\"; \"-1\" never; absent: as configured.")
  std::optional<std::string> keep_alive{};
  DOC("Pin it: it is then never moved aside or unloaded for being idle; absent: as it is.")
  std::optional<bool> pin{};
};

struct LoadResult {
  DOC("Name of the model.") std::string model{};
  DOC("Whether it is loaded now (false with explain).") bool loaded = false;
  DOC("Whether it was loaded before.") bool already_loaded = false;
  DOC("How long the load took, in milliseconds.") double load_ms = 0;
  DOC("What was done, or would be, and why.") LoadPlan plan{};
};

struct UnloadRequest {
  DOC("Name of the model; absent: all.") std::optional<std::string> model{};
};

struct UnloadResult {
  DOC("Names of the models that were unloaded.") std::vector<std::string> models{};
  DOC("Memory that their workers held when they ended, in bytes.") std::int64_t freed_bytes = 0;
};

}  // namespace ingle::protocol
