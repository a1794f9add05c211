#include "runtime/server.h"

#include <cstdio>
#include <deque>

#include "protocol/codec.h"
#include "protocol/errors.h"
#include "protocol/json.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::FrameKind;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unauthorized:
      return 401;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::limit_exceeded:
      return 413;
    case ErrorCode::pending:
      return 503;
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed:
    case ErrorCode::unsupported:
      return 400;
    default:
      return 500;
  }
}

protocol::ErrorInfo wire_error(const base::Error& error) {
  return {.code = std::string(base::error_code_name(error.code)),
          .message = error.message,
          .context = error.context};
}

http::Response json_response(int status, std::string body) {
  return {
      .status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

// What the drawing thread sent and the client has not taken yet.
struct Outbox {
  explicit Outbox(base::Loop& loop) : news(loop) {}
  std::deque<std::string> pieces{};
  bool done = false;
  base::Gate news;
};

}  // namespace

base::Result<Order> read_order(std::string_view body) {
  protocol::FrameReader reader;
  reader.feed(body);
  Order out;
  bool asked = false;
  while (true) {
    TRY_ASSIGN(const auto frame, reader.next());
    if (!frame) break;
    if (frame->kind == FrameKind::request) {
      TRY_ASSIGN(out.request, protocol::decode<protocol::DrawRequest>(frame->payload));
      asked = true;
    } else if (frame->kind == FrameKind::image) {
      out.image = frame->payload;
    } else if (frame->kind == FrameKind::mask) {
      out.mask = frame->payload;
    } else {
      return fail(ErrorCode::malformed, "the body has a frame that belongs into an answer");
    }
  }
  if (!asked || reader.has_rest())
    return fail(ErrorCode::malformed, "the body is no whole request: it is cut, or has none");
  return out;
}

void say(std::string_view level, std::string_view message) {
  const protocol::Json line = protocol::Json::Object{
      {"type", "log"}, {"level", std::string(level)}, {"msg", std::string(message)}};
  std::printf("%s\n", protocol::print_json(line).c_str());
  std::fflush(stdout);
}

base::Task<void> WorkerServer::handle(http::Exchange& exchange) {
  const auto status = co_await answer(exchange);
  if (status || status.error().code == ErrorCode::cancelled) co_return;
  std::ignore = co_await exchange.respond(
      json_response(status_of(status.error().code),
                    protocol::encode(protocol::ErrorBody{.error = wire_error(status.error())})));
}

http::Response WorkerServer::on_refused(int status, const base::Error& error, std::string_view) {
  return json_response(status, protocol::encode(protocol::ErrorBody{.error = wire_error(error)}));
}

base::Task<base::Status> WorkerServer::answer(http::Exchange& exchange) {
  const std::string path = exchange.target().path;
  if (path == "/health") co_return co_await health(exchange);
  if (!api_key_.empty() && exchange.request().headers.get("Authorization") != "Bearer " + api_key_)
    co_return fail(ErrorCode::unauthorized, "this worker wants its key as a Bearer token");
  if (path == "/cancel") {
    drawer_.stop();
    co_return co_await exchange.respond(json_response(200, "{}"));
  }
  using State = Drawer::State;
  if (drawer_.state() == State::loading || drawer_.state() == State::failed)
    co_return fail(ErrorCode::pending, "the model is still being loaded");
  if (path == "/info")
    co_return co_await exchange.respond(json_response(200, protocol::encode(drawer_.info())));
  if (path == "/memory")
    co_return co_await exchange.respond(json_response(200, protocol::encode(drawer_.memory())));
  if (path == "/generate") co_return co_await generate(exchange);
  co_return fail(ErrorCode::not_found, "there is no " + path + " here");
}

base::Task<base::Status> WorkerServer::health(http::Exchange& exchange) {
  using State = Drawer::State;
  const auto state = drawer_.state();
  const bool ready = state == State::ready || state == State::drawing;
  co_return co_await exchange.respond(json_response(
      ready ? 200 : 503,
      protocol::encode(protocol::DrawerHealth{.status = ready                    ? "ready"
                                                        : state == State::failed ? "failed"
                                                                                 : "loading",
                                              .progress = drawer_.progress()})));
}

base::Task<base::Status> WorkerServer::generate(http::Exchange& exchange) {
  CO_TRY_ASSIGN(auto order, read_order(exchange.take_request().body));
  CO_TRY(check_order(order));
  if (drawer_.state() == Drawer::State::drawing)
    co_return fail(ErrorCode::conflict, "another picture is being drawn: one at a time");
  Outbox outbox(loop_);
  const auto client_left = exchange.client_gone().on_cancel([this] { drawer_.stop(); });
  base::TaskScope scope;
  const auto draw = [](Drawer& drawer, Order what, Outbox& out) -> base::Task<void> {
    const auto end = co_await drawer.draw(std::move(what), [&out](Drawer::Piece piece) {
      if (piece.droppable && out.pieces.size() >= kPiecesWaitingMax) return;
      out.pieces.push_back(std::move(piece.frames));
      out.news.set();
    });
    auto& last = out.pieces.emplace_back();
    if (end)
      protocol::append_frame(last, FrameKind::end, protocol::encode(*end));
    else
      protocol::append_frame(last, FrameKind::error, protocol::encode(wire_error(end.error())));
    out.done = true;
    out.news.set();
  };
  scope.spawn(draw(drawer_, std::move(order), outbox));
  auto status = co_await exchange.begin_stream(
      {.status = 200, .headers = {{"Content-Type", "application/vnd.ingle.frames"}}});
  while (status && !(outbox.done && outbox.pieces.empty())) {
    if (outbox.pieces.empty()) {
      outbox.news.clear();
      std::ignore = co_await outbox.news.wait();
      continue;
    }
    const std::string piece = std::move(outbox.pieces.front());
    outbox.pieces.pop_front();
    status = co_await exchange.write(piece);
  }
  if (!status) drawer_.stop();
  co_await scope.join();
  if (!status) co_return status;
  co_return co_await exchange.end_stream();
}

}  // namespace ingle::runtime
