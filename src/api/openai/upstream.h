// Upstream: one generation that runs in a worker, read as server-sent events. It tells an end from
// a cut, turns the worker's errors into ours, and ends the generation when it is destroyed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/call.h"
#include "base/error.h"
#include "engines/model_host.h"
#include "http/sse.h"
#include "protocol/json.h"

namespace ingle::api::openai {

struct UpstreamOptions {
  const char* path = nullptr;                     // "/v1/chat/completions"
  bool pass_progress = false;                     // keep the worker's prompt_progress in the events
  std::function<void(double share)> on_prompt{};  // share of the prompt that is read
};

class Upstream {
 public:
  // Sends the body. The call and lease outlive it. Errors: cancelled, worker_crashed (with why),
  // upstream_error, and the worker's refusal as invalid_argument.
  static base::Task<base::Result<std::unique_ptr<Upstream>>> open(Call& call, engines::Lease& lease,
                                                                  std::string body,
                                                                  UpstreamOptions options);
  // Whole events, as they came, each closed by a blank line; empty at the proper end ("[DONE]").
  // Valid until the next call. Errors: as open(), and an error that the worker sends in its stream.
  base::Task<base::Result<std::string_view>> next();
  // True until the first token has come.
  bool reading_prompt() const { return reading_prompt_; }

 private:
  Upstream(Call& call, engines::Lease& lease, UpstreamOptions options);
  void take_event(std::string_view event);

  Call& call_;
  engines::Lease& lease_;
  UpstreamOptions options_;
  base::CancelSource cancel_;  // when the client or the worker goes
  base::CancelRegistration client_gone_;
  base::CancelRegistration worker_gone_;
  std::unique_ptr<http::ResponseStream> stream_;
  http::SseSplitter splitter_;
  std::string events_;
  bool reading_prompt_ = true;
  bool done_ = false;
  std::optional<base::Error> error_;
};

// Why a request to the leased worker failed: its crash, if it crashed, says more than the socket.
// A worker that was dead before it could be reached is `pending`: nothing has been lost, and the
// next lease is on a new one.
base::Task<base::Error> explain_failure(Call& call, engines::Lease& lease, base::Error error);

// An Error from a worker's error body: {"error": {"code", "message", "type"}} or any text.
base::Error upstream_error(int status, std::string_view body);

}  // namespace ingle::api::openai
