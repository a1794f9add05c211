#include "api/openai/upstream.h"

#include "platform/asio_loop.h"

namespace ingle::api::openai {
namespace {

using base::Error;
using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::string_view kProgressKey = "\"prompt_progress\"";

// The share of the prompt that is read, if the event tells it; the words may also stand in a text.
std::optional<double> prompt_share(std::string_view event) {
  const auto data = protocol::parse_json(http::sse_data(event));
  const auto* progress = data ? data->find("prompt_progress") : nullptr;
  if (progress == nullptr) return std::nullopt;
  const auto* total = progress->find("total");
  const auto* processed = progress->find("processed");
  if (total == nullptr || processed == nullptr || total->as_double().value_or(0) <= 0) return 0;
  return processed->as_double().value_or(0) / *total->as_double();
}

}  // namespace

Error upstream_error(int status, std::string_view body) {
  std::string message(body.substr(0, 2000));
  if (const auto parsed = protocol::parse_json(body)) {
    const auto* error = parsed->find("error");
    if (error == nullptr) error = &*parsed;
    if (const auto* text = error->find("message"); text != nullptr && text->as_string() != nullptr)
      message = *text->as_string();
    if (const auto* code = error->find("code"); code != nullptr && code->as_int())
      status = static_cast<int>(*code->as_int());
  }
  if (status >= 400 && status < 500) return {ErrorCode::invalid_argument, message};
  if (status == 501) return {ErrorCode::unsupported, message};
  if (status == 503) return {ErrorCode::pending, message};
  return {ErrorCode::upstream_error, "the text engine failed: " + message};
}

base::Task<Error> explain_failure(Call& call, engines::Lease& lease, Error error) {
  const bool unreached = error.code == ErrorCode::io_error;
  if (call.exchange.client_gone().cancelled())
    co_return Error{ErrorCode::cancelled, "the client closed the connection"};
  // The socket tells the end before the process table does.
  if (!lease.worker_gone().cancelled() && (unreached || error.code == ErrorCode::upstream_error)) {
    base::Gate never(call.parts.loop);
    (void)co_await never.wait(base::Millis{200}, lease.worker_gone());
  }
  if (!lease.worker_gone().cancelled()) co_return error;
  Error crash = co_await lease.crash();
  if (unreached) crash.code = ErrorCode::pending;
  co_return crash;
}

Upstream::Upstream(Call& call, engines::Lease& lease, UpstreamOptions options)
    : call_(call), lease_(lease), options_(std::move(options)) {
  client_gone_ = call_.exchange.client_gone().on_cancel([this] { cancel_.cancel(); });
  worker_gone_ = lease_.worker_gone().on_cancel([this] { cancel_.cancel(); });
}

base::Task<base::Result<std::unique_ptr<Upstream>>> Upstream::open(Call& call,
                                                                   engines::Lease& lease,
                                                                   std::string body,
                                                                   UpstreamOptions options) {
  std::unique_ptr<Upstream> self(new Upstream(call, lease, std::move(options)));
  http::Request request{.method = http::Method::post, .target = self->options_.path};
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Authorization", "Bearer " + lease.api_key());
  request.body = std::move(body);
  auto stream =
      co_await call.parts.client.open(lease.endpoint(), std::move(request), self->cancel_.token());
  if (!stream) co_return fail(co_await explain_failure(call, lease, std::move(stream).error()));
  self->stream_ = *std::move(stream);
  const int status = self->stream_->head().status;
  if (status == 200) co_return self;
  std::string text;
  while (true) {
    const auto piece = co_await self->stream_->read();
    if (!piece || piece->empty() || text.size() > 64 * 1024) break;
    text += *piece;
  }
  co_return fail(upstream_error(status, text));
}

void Upstream::take_event(std::string_view event) {
  if (done_ || error_) return;
  const auto data = http::sse_data(event);
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  if (data.starts_with("{\"error\"") || event.starts_with("error:")) {
    error_ = upstream_error(500, data.empty() ? event.substr(6) : data);
    return;
  }
  if (!options_.pass_progress && event.find(kProgressKey) != std::string_view::npos) {
    if (const auto share = prompt_share(event)) {
      if (options_.on_prompt) options_.on_prompt(*share);
      return;
    }
  }
  if (event.starts_with(':')) return;  // the worker's own keep-alive; we have ours
  reading_prompt_ = false;
  events_ += event;
}

base::Task<base::Result<std::string_view>> Upstream::next() {
  events_.clear();
  while (events_.empty()) {
    if (error_) co_return fail(*error_);
    if (done_) co_return std::string_view{};
    auto piece = co_await stream_->read();
    if (!piece) co_return fail(co_await explain_failure(call_, lease_, std::move(piece).error()));
    if (piece->empty())
      co_return fail(co_await explain_failure(
          call_, lease_,
          {ErrorCode::upstream_error, "the text engine ended its answer before its end"}));
    if (!splitter_.feed(*piece, [this](std::string_view event) { take_event(event); }))
      co_return fail(ErrorCode::limit_exceeded, "the text engine sent an event over its limit");
  }
  co_return std::string_view(events_);
}

}  // namespace ingle::api::openai
