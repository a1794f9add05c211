// Previews: the newest small picture of each job that draws now, as JPEG. Bounded: the oldest job's
// goes. Encoding is on a lane; a preview that comes while one is being encoded is left out. Loop
// thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/lanes.h"
#include "base/loop.h"
#include "protocol/frames.h"

namespace ingle::media {

struct Preview {
  std::int64_t version = 0;  // rises with each of the job's
  std::string jpeg{};
};

class Previews {
 public:
  static constexpr std::size_t kJobsMax = 16;
  static constexpr int kQuality = 80;

  // Both outlive it.
  Previews(base::Loop& loop, base::Lanes& lanes) : loop_(loop), lanes_(lanes) {}
  // Its encodings under way must have ended: see drain().
  ~Previews() = default;

  // Takes the payload of a preview frame; `shown` runs on the loop once it can be got. What is no
  // picture is dropped.
  void put(std::string job, std::string payload, std::function<void()> shown);
  // Null: none (yet), or no longer.
  std::shared_ptr<const Preview> get(const std::string& job) const;
  void forget(const std::string& job) {
    newest_.erase(job);
    if (encoding_job_ == job) encoding_job_.clear();
  }
  base::Task<void> drain() { co_await scope_.join(); }

 private:
  base::Task<void> encode(std::string job, std::string payload, std::function<void()> shown);

  base::Loop& loop_;
  base::Lanes& lanes_;
  bool encoding_ = false;
  std::string encoding_job_;  // empty: it was forgotten meanwhile
  // Shared with answers that are being sent.
  std::map<std::string, std::shared_ptr<const Preview>> newest_;
  base::TaskScope scope_;
};

}  // namespace ingle::media
