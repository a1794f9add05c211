// KvKeep: the conversations of models that are moved aside. Before a worker ends, the caches of its
// idle slots are saved to files; when the model returns with settings under which they can be read,
// they are restored, so that a conversation goes on without its prompt being computed again: the
// engine itself finds the slot with the longest common prefix. Files are written and read by the
// worker, in a folder of its model alone. Bounded on disk: the model saved longest ago goes first.
//
// What is kept can be read by the same engine with the same model file, number of slots, KV types
// and flash attention; the context may differ (longer conversations than it are left out). Only
// slots survive: prompts that the engine moved to its cache in RAM are lost with the worker.
// Lives on the loop; files are touched on lanes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/lanes.h"
#include "base/log.h"
#include "base/loop.h"
#include "engines/llama_server.h"
#include "platform/files.h"

namespace ingle::engines {

struct KvKeepOptions {
  std::filesystem::path folder{};  // data/kv; made when it is needed
  std::uint64_t bytes_max = 0;     // over all models; 0: nothing is kept
};

struct KvAmount {
  std::int64_t slots = 0;
  std::int64_t tokens = 0;
  std::uint64_t bytes = 0;
};

class KvKeep {
 public:
  virtual ~KvKeep() = default;
  // Forgets what an earlier run of the daemon left that cannot be used any more, and counts the
  // rest. Errors: io_error; keeping then goes on without what was there.
  virtual base::Task<base::Status> open() = 0;
  // Folder that a worker of this plan may write, made; empty when nothing is kept (kv_disk is 0, or
  // the model has no conversations: embeddings). To be given to the engine before it is started.
  // Errors: those of Files; the model then runs without.
  virtual base::Task<base::Result<std::filesystem::path>> folder_for(const LaunchPlan& plan) = 0;
  // Saves the caches of the idle slots of a ready worker that has no requests under way, in at most
  // 30 s. Makes room within bytes_max first, by what the caches are expected to take. What does not
  // fit, cannot be written or is not done in time is not kept, with a warning in the log. Replaces
  // what was kept of the model. Errors: those of the worker's HTTP (it did not say what it holds),
  // upstream_error, timeout, cancelled: nothing is kept then.
  virtual base::Task<base::Result<KvAmount>> save(const LaunchPlan& plan,
                                                  base::CancelToken cancel) = 0;
  // Restores into a ready worker without requests, in at most 30 s; to be called once for every
  // worker, before its first request. The files are removed, whatever comes of them: one that makes
  // the worker crash does so only once. Nothing was saved, or under other settings: zeros. Errors:
  // those of the worker's HTTP, timeout, cancelled.
  virtual base::Task<base::Result<KvAmount>> restore(const LaunchPlan& plan,
                                                     base::CancelToken cancel) = 0;
  // Removes what is kept of a model (by its id).
  virtual base::Task<void> forget(std::string model) = 0;
  virtual std::uint64_t bytes_on_disk() const = 0;
};

// All outlive it.
std::unique_ptr<KvKeep> create_kv_keep(KvKeepOptions options, http::Client& client,
                                       base::Loop& loop, base::Lanes& lanes, platform::Files& files,
                                       base::Logger log);

}  // namespace ingle::engines
