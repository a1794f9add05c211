// KeptModelSettings: the settings that a calibration found best for a model, with the evidence;
// between the database and whoever loads models. They belong to one very file (size and time of
// change): when the model's file is another one, they are dropped. Loop thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/task.h"
#include "protocol/jobs.h"
#include "protocol/models.h"
#include "storage/storage.h"

namespace ingle::jobs {

class KeptModelSettings {
 public:
  // Both outlive it.
  KeptModelSettings(storage::Storage& storage, const base::Clock& clock, base::Logger log);
  // Only after finish().
  ~KeptModelSettings() = default;
  KeptModelSettings(const KeptModelSettings&) = delete;
  KeptModelSettings& operator=(const KeptModelSettings&) = delete;

  // What earlier runs of the daemon kept. A row that makes no sense is left out, and logged.
  // Errors: the database's; nothing is kept then.
  base::Task<base::Status> load();

  // name=value, for the host; none when nothing is kept for this very file, or while it is paused.
  std::vector<std::string> find(const protocol::ModelInfo& model);

  // What is kept under this name. Errors: not_found.
  base::Result<protocol::KeptSettings> get(std::string_view model) const;

  // Instead of what was kept. Errors: the database's: then it is kept until the daemon ends.
  base::Task<base::Status> keep(const protocol::ModelInfo& model, std::vector<std::string> settings,
                                protocol::CalibrationResult evidence);

  // Forgets them and says what they were. Errors: not_found, the database's.
  base::Task<base::Result<protocol::KeptSettings>> forget(std::string model);

  // While it lives, find() finds nothing for the model: what would it run with by itself? Ends
  // before this object.
  class Pause {
   public:
    Pause(KeptModelSettings& kept, std::string model) : kept_(kept), model_(std::move(model)) {
      ++kept_.paused_[model_];
    }
    ~Pause() {
      if (--kept_.paused_[model_] == 0) kept_.paused_.erase(model_);
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    KeptModelSettings& kept_;
    const std::string model_;
  };

  // Waits for what is being written.
  base::Task<void> finish() { return writes_.join(); }

 private:
  struct Entry {
    std::int64_t size_bytes = 0;
    std::int64_t modified_unix_ms = 0;
    protocol::KeptSettings kept{};
  };
  base::Task<base::Status> remove(std::string model);

  storage::Storage& storage_;
  const base::Clock& clock_;
  const base::Logger log_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, int, std::less<>> paused_;
  base::TaskScope writes_;
};

}  // namespace ingle::jobs
