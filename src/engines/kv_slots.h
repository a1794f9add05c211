// KvSlots: the slots of a llama-server over its HTTP: what they hold, into files, and back. What
// the worker answers is not trusted. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/loop.h"
#include "engines/llama_server.h"
#include "http/client.h"
#include "protocol/json.h"

namespace ingle::engines {

// For all requests of one save or one restore together: leaving must not hang on a slow disk.
inline constexpr base::Seconds kKvTimeMax{30};

// Says stop when the caller does, or when the time is over. Loop thread only.
class Deadline {
 public:
  Deadline(base::Loop& loop, const base::CancelToken& cancel);
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { loop_.cancel(timer_); }

  base::CancelToken token() const { return source_.token(); }
  bool cancelled() const { return caller_.cancelled(); }
  // Whether it was the time, not the caller.
  bool over() const { return over_ && !cancelled(); }

 private:
  base::Loop& loop_;
  const base::CancelToken caller_;
  base::CancelSource source_;
  bool over_ = false;
  const base::Loop::TimerId timer_;
  const base::CancelRegistration heard_;
};

struct SlotState {
  std::int64_t id = 0;
  // Nothing: not used since the worker started, though something may have been restored into it.
  std::optional<std::int64_t> tokens{};
};

class KvSlots {
 public:
  // The client outlives it.
  explicit KvSlots(http::Client& client) : client_(client) {}

  // Errors everywhere: those of Client::fetch, timeout (the deadline), malformed.

  // The slots without a request under way. Errors: upstream_error (no list of at most
  // kKeptSlotsMax slots).
  base::Task<base::Result<std::vector<SlotState>>> idle(const LaunchPlan& plan,
                                                        const Deadline& deadline);
  // Writes a slot's cache to its file in the plan's folder. The tokens in it. Errors: conflict (the
  // worker refused or could not write).
  base::Task<base::Result<std::int64_t>> save(const LaunchPlan& plan, std::int64_t slot,
                                              const Deadline& deadline);
  // The inverse. Errors: conflict (the worker refused: damaged, or of other settings).
  base::Task<base::Status> restore(const LaunchPlan& plan, std::int64_t slot,
                                   const Deadline& deadline);

 private:
  struct Answer {
    int status = 0;
    protocol::Json json{};
  };
  base::Task<base::Result<Answer>> ask(const LaunchPlan& plan, http::Method method,
                                       std::string target, std::string body,
                                       const Deadline& deadline);
  base::Task<base::Result<protocol::Json>> act(const LaunchPlan& plan, std::int64_t slot,
                                               std::string_view action, const Deadline& deadline);

  http::Client& client_;
};

}  // namespace ingle::engines
