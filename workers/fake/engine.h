// FakeEngine: the part of llama-server's HTTP that ingle uses, acted out by a script. It holds no
// model. Lives on the loop.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "http/server.h"
#include "script.h"

namespace ingle::fake {

class FakeEngine final : public http::Handler {
 public:
  FakeEngine(base::Loop& loop, const Script& script, std::string alias, std::string api_key)
      : loop_(loop), script_(script), alias_(std::move(alias)), api_key_(std::move(api_key)) {}

  // Acts the load: memory, time, crashes. Until it has ended, /health answers 503.
  base::Task<void> load();

  base::Task<void> handle(http::Exchange& exchange) override;
  http::Response on_refused(int status, const base::Error& error, std::string_view target) override;

 private:
  base::Task<void> answer(http::Exchange& exchange);
  base::Task<void> complete(http::Exchange& exchange);
  base::Task<void> stream(http::Exchange& exchange);
  std::string piece(std::int64_t index) const;

  base::Loop& loop_;
  const Script& script_;
  const std::string alias_;
  const std::string api_key_;  // empty: none is asked for
  bool ready_ = false;
  std::vector<std::string> bloat_;
};

// Ends this process as the script says, if it says so for this point of its life.
void crash_if(const Script& script, CrashAt point);

// A line of output in llama-server's form.
void say(std::string_view level, std::string_view message);

}  // namespace ingle::fake
