#include "cli/daemon_client.h"

#include <format>

#include "http/server.h"
#include "insight/escape.h"
#include "platform/asio_loop.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

using base::CancelSource;
using base::CancelToken;
using base::ErrorCode;
using base::Status;
using base::Task;

constexpr base::Millis kInterruptPoll{30};
constexpr std::size_t kErrorBodyMax = 1 << 20;
constexpr std::size_t kShownMax = 200;

struct Session {
  platform::SystemClock clock{};
  platform::AsioLoop loop{clock, {}};
  std::unique_ptr<http::Client> client = http::Client::create(loop, {});

  // Runs a task to its end.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    base::TaskScope scope;
    loop.post([&] { scope.spawn(keep(std::move(task), out)); });
    loop.run();
    return std::move(*out);
  }

 private:
  template <class T>
  Task<void> keep(Task<T> task, std::optional<T>& out) {
    out.emplace(co_await std::move(task));
    loop.stop();
  }
};

std::string text_of(const protocol::Json* json) {
  const auto* text = json == nullptr ? nullptr : json->as_string();
  return text == nullptr ? std::string() : *text;
}

base::Error bare_error(int status, std::string_view body) {
  return {ErrorCode::upstream_error,
          std::format("the daemon answered with status {}{}", status,
                      body.empty() ? "" : ": " + insight::escape_line(body.substr(0, kShownMax)))};
}

// Says who did not answer, instead of how the connection failed.
base::Error nobody_answers(base::Error error, const std::string& url) {
  if (error.code != ErrorCode::io_error) return error;
  return {ErrorCode::daemon_absent,
          std::format("nothing answers at {}: start the daemon with 'ingle serve'", url),
          {error.message}};
}

Task<Status> stream_pieces(http::ResponseStream& stream,
                           const std::function<bool(std::string_view)>& on_piece) {
  const int status = stream.head().status;
  std::string error_body;
  while (true) {
    CO_TRY_ASSIGN(const auto piece, co_await stream.read());
    if (piece.empty()) break;
    if (status >= 300) {
      error_body += piece.substr(0, kErrorBodyMax - error_body.size());
    } else if (!on_piece(piece)) {
      co_return Status{};
    }
  }
  if (status >= 300) co_return base::fail(error_of_answer(status, error_body));
  co_return Status{};
}

// Cancels `source` when the person asks for the end, until `done` is cancelled.
Task<void> watch_interrupt(base::Loop& loop, const DaemonClient::Interrupted& interrupted,
                           CancelSource& source, CancelToken done) {
  while (co_await base::sleep_for(loop, kInterruptPoll, done))
    if (interrupted()) co_return source.cancel();
}

Task<Status> stream_request(Session& session, const DaemonAddress& address, http::Request request,
                            const std::function<bool(std::string_view)>& on_piece,
                            const DaemonClient::Interrupted& interrupted) {
  CancelSource cancel, done;
  base::TaskScope watching;
  if (interrupted) watching.spawn(watch_interrupt(session.loop, interrupted, cancel, done.token()));
  auto stream = co_await session.client->open(address.endpoint, std::move(request), cancel.token());
  Status status;
  if (stream)
    status = co_await stream_pieces(**stream, on_piece);
  else
    status = base::fail(nobody_answers(std::move(stream).error(), address.url));
  done.cancel();
  co_await watching.join();
  co_return status;
}

Task<Status> follow_messages(Session& session, const DaemonAddress& address, std::string target,
                             http::Headers headers, std::string hello,
                             const std::function<bool(std::string_view)>& on_message) {
  auto socket = co_await session.client->open_websocket(address.endpoint, std::move(target),
                                                        std::move(headers), {});
  if (!socket) co_return base::fail(nobody_answers(std::move(socket).error(), address.url));
  CO_TRY((*socket)->send({.data = std::move(hello), .binary = false}));
  while (true) {
    const auto message = co_await (*socket)->receive();
    if (!message)
      co_return base::fail(
          message.error().code == ErrorCode::cancelled
              ? base::Error{ErrorCode::cancelled, "the daemon closed the connection"}
              : message.error());
    if (message->binary || !on_message(message->data)) co_return Status{};
  }
}

}  // namespace

base::Error error_of_answer(int status, std::string_view body) {
  const auto parsed = protocol::parse_json(body, {.bytes_max = kErrorBodyMax});
  const auto* error = parsed ? parsed->find("error") : nullptr;
  const auto message = text_of(error == nullptr ? nullptr : error->find("message"));
  if (message.empty()) return bare_error(status, body);
  base::Error out{
      base::error_code_from_name(text_of(error->find("code"))).value_or(ErrorCode::upstream_error),
      message};
  const auto* context = error->find("context");
  const auto* lines = context == nullptr ? nullptr : context->as_array();
  if (lines != nullptr)
    for (const auto& line : *lines)
      if (const auto* text = line.as_string()) out.context.push_back(*text);
  if (status == 401) out.context.emplace_back("the key is taken from INGLE_API_KEY");
  return out;
}

std::string query_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain)
      out += c;
    else
      out += std::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

base::Result<DaemonClient> DaemonClient::find(const platform::Environment& environment) {
  TRY_ASSIGN(const auto home, platform::resolve_home(environment));
  TRY_ASSIGN(auto address, find_daemon(environment, home, *platform::create_files()));
  return DaemonClient(std::move(address), environment("INGLE_API_KEY").value_or(""));
}

http::Request DaemonClient::request(http::Method method, std::string target,
                                    std::string body) const {
  http::Request out{.method = method, .target = std::move(target), .body = std::move(body)};
  if (!api_key_.empty()) out.headers.add("Authorization", "Bearer " + api_key_);
  if (method == http::Method::post) out.headers.add("Content-Type", "application/json");
  return out;
}

base::Result<std::string> DaemonClient::fetch(http::Request request) const {
  Session session;
  auto answer =
      session.run(session.client->fetch(address_.endpoint, std::move(request), CancelToken()));
  if (!answer) return base::fail(nobody_answers(std::move(answer).error(), address_.url));
  if (answer->status >= 300) return base::fail(error_of_answer(answer->status, answer->body));
  return std::move(answer->body);
}

base::Result<std::string> DaemonClient::get(std::string target) const {
  return fetch(request(http::Method::get, std::move(target), {}));
}

base::Result<std::string> DaemonClient::post(std::string target, std::string body) const {
  return fetch(request(http::Method::post, std::move(target), std::move(body)));
}

base::Result<std::string> DaemonClient::del(std::string target) const {
  return fetch(request(http::Method::del, std::move(target), ""));
}

base::Result<std::string> DaemonClient::post_bytes(std::string target, std::string body) const {
  auto out = request(http::Method::post, std::move(target), std::move(body));
  out.headers.set("Content-Type", "application/octet-stream");
  return fetch(std::move(out));
}

base::Result<std::string> DaemonClient::post_form(std::string target, std::string boundary,
                                                  std::string body) const {
  auto out = request(http::Method::post, std::move(target), std::move(body));
  out.headers.set("Content-Type", "multipart/form-data; boundary=" + boundary);
  return fetch(std::move(out));
}

Status DaemonClient::stream(std::string target, std::string body,
                            const std::function<bool(std::string_view)>& on_piece,
                            const Interrupted& interrupted) const {
  Session session;
  return session.run(stream_request(session, address_,
                                    request(http::Method::post, std::move(target), std::move(body)),
                                    on_piece, interrupted));
}

Status DaemonClient::follow(std::string target, std::string hello,
                            const std::function<bool(std::string_view)>& on_message) const {
  Session session;
  return session.run(follow_messages(session, address_, std::move(target),
                                     request(http::Method::get, "", "").headers, std::move(hello),
                                     on_message));
}

}  // namespace ingle::cli
