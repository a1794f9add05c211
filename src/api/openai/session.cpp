#include "api/openai/session.h"

#include "api/errors.h"
#include "platform/asio_loop.h"

namespace ingle::api::openai {

Session::Session(Call& call, bool stream) : call_(call), stream_(stream), sent_(call.parts.loop) {}

base::Task<base::Status> Session::begin() {
  if (begun_) co_return base::Status{};
  begun_ = true;
  http::Response head{.status = 200};
  head.headers.set("Content-Type", "text/event-stream");
  head.headers.set("Cache-Control", "no-cache");
  co_return co_await call_.begin_stream(std::move(head));
}

base::Task<base::Status> Session::send(std::string_view events) {
  while (sending_) CO_TRY(co_await sent_.wait());
  sending_ = true;
  auto status = co_await begin();
  if (status) status = co_await call_.exchange.write(events);
  sending_ = false;
  sent_.wake();
  co_return status;
}

base::Task<base::Status> Session::comment() {
  // One line: a model's name could break out of the comment otherwise.
  std::string line = ": ";
  for (const char c : progress_) line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  co_return co_await send(line + "\n\n");
}

base::Task<base::Status> Session::finish() {
  CO_TRY(co_await send("data: [DONE]\n\n"));
  co_return co_await call_.exchange.end_stream();
}

base::Task<base::Status> Session::give_up(base::Error error) {
  if (begun_ && error.code != base::ErrorCode::cancelled) {
    const auto body = error_body(call_.surface, error, call_.request_id);
    if (co_await call_.exchange.write("data: " + body + "\n\n"))
      (void)co_await call_.exchange.end_stream();
  }
  co_return base::fail(std::move(error));
}

}  // namespace ingle::api::openai
