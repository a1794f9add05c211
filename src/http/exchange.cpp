#include "http/exchange.h"

#include <charconv>

#include "base/check.h"
#include "http/websocket.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::fail;

// A handler that writes without ever waiting lets the loop run after so many pieces.
constexpr int kPiecesPerTurn = 32;
// Larger pieces go as several, so that what waits for a slow client stays bounded.
constexpr std::size_t kPieceBytesMax = 64 * 1024;

std::unexpected<base::Error> gone() {
  return fail(ErrorCode::cancelled, "the client closed its connection or read too slowly");
}

// "1f4\r\n"
struct ChunkHeader {
  std::array<char, 18> text;
  std::size_t size;

  explicit ChunkHeader(std::size_t bytes) {
    char* end = std::to_chars(text.data(), text.data() + 16, bytes, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    size = static_cast<std::size_t>(end - text.data());
  }
  std::string_view view() const { return {text.data(), size}; }
};

}  // namespace

// Settles at the same time whether the connection stays open.
HeadOptions ServerExchange::head_options(const Response& response) {
  keep_alive_ = keep_alive_ && !context_.draining && framing_ != Framing::until_close &&
                !response.headers.has_token("Connection", "close");
  const auto kept = reader_.http11() ? After::keep_alive : After::keep_alive_10;
  return {.framing = framing_,
          .content_length = response.body.size(),
          .after = keep_alive_ ? kept : After::close};
}

base::Task<base::Status> ServerExchange::respond(Response response) {
  CHECK(answer_ == Answer::none, "an exchange was answered twice");
  answer_ = Answer::whole;
  if (connection_.gone()) co_return gone();
  const bool bodiless = response.status == 204 || response.status == 304;
  framing_ = bodiless ? Framing::none : Framing::content_length;
  const std::string head = response_head(response, head_options(response));
  std::string_view body = response.body;
  if (!sends_body(response.status)) body = {};
  connection_.push({head, body.substr(0, kPieceBytesMax), {}});
  body.remove_prefix(std::min(body.size(), kPieceBytesMax));
  while (!body.empty()) {
    const auto part = body.substr(0, kPieceBytesMax);
    body.remove_prefix(part.size());
    if (!connection_.has_room(part.size())) CO_TRY(co_await connection_.wait_room(part.size()));
    connection_.push({part, {}, {}});
    CO_TRY(co_await take_turns());
  }
  if (connection_.gone()) co_return gone();
  co_return base::Status{};
}

base::Task<base::Status> ServerExchange::begin_stream(Response head) {
  CHECK(answer_ == Answer::none, "an exchange was answered twice");
  CHECK(head.body.empty(), "the head of a stream has no body");
  answer_ = Answer::streaming;
  if (connection_.gone()) co_return gone();
  const bool bodiless = head.status == 204 || head.status == 304;
  if (!bodiless) framing_ = reader_.http11() ? Framing::chunked : Framing::until_close;
  connection_.push({response_head(head, head_options(head)), {}, {}});
  if (!sends_body(head.status)) framing_ = Framing::none;
  if (connection_.gone()) co_return gone();
  co_return base::Status{};
}

base::Task<base::Status> ServerExchange::write(std::string_view piece) {
  CHECK(answer_ == Answer::streaming, "a piece was written outside a stream");
  if (framing_ == Framing::none) piece = {};
  while (!piece.empty()) {
    const auto part = piece.substr(0, kPieceBytesMax);
    piece.remove_prefix(part.size());
    if (!connection_.has_room(part.size())) CO_TRY(co_await connection_.wait_room(part.size()));
    if (framing_ == Framing::chunked)
      connection_.push({ChunkHeader(part.size()).view(), part, "\r\n"});
    else
      connection_.push({part, {}, {}});
    if (++pieces_in_turn_ == kPiecesPerTurn) CO_TRY(co_await take_turns());
  }
  if (connection_.gone()) co_return gone();
  co_return base::Status{};
}

base::Task<base::Status> ServerExchange::take_turns() {
  pieces_in_turn_ = 0;
  co_await base::yield(context_.loop);
  if (connection_.gone()) co_return gone();
  co_return base::Status{};
}

base::Task<base::Status> ServerExchange::end_stream() {
  CHECK(answer_ == Answer::streaming, "a stream was ended that had not begun");
  answer_ = Answer::ended;
  if (framing_ == Framing::chunked) connection_.push({"0\r\n\r\n", {}, {}});
  if (connection_.gone()) co_return gone();
  co_return base::Status{};
}

bool ServerExchange::is_upgrade() const { return WebSocketLink::is_upgrade(request()); }

base::Task<base::Result<std::unique_ptr<WebSocket>>> ServerExchange::upgrade() {
  CHECK(answer_ == Answer::none, "an exchange was answered twice");
  if (!reader_.http11()) co_return fail(ErrorCode::malformed, "a WebSocket needs HTTP/1.1");
  CO_TRY(WebSocketLink::check_upgrade(request()));
  CO_TRY_ASSIGN(Socket socket, co_await connection_.take_socket());
  answer_ = Answer::websocket;
  const auto& limits = context_.limits;
  CO_TRY_ASSIGN(auto link,
                co_await WebSocketLink::accept(context_.loop, std::move(socket), request(),
                                               {.message_bytes_max = limits.ws_message_bytes_max,
                                                .queue_messages_max = limits.ws_queue_messages_max,
                                                .ping_interval = limits.ws_ping_interval,
                                                .handshake_timeout = limits.header_timeout}));
  auto handle = link->make_handle();
  if (connection_.gone()) link->cut();
  connection_.set_websocket(std::move(link));
  co_return std::move(handle);
}

ServerExchange::Ending ServerExchange::ending() const {
  switch (answer_) {
    case Answer::none:
      return Ending::unanswered;
    case Answer::websocket:
      return Ending::websocket;
    case Answer::streaming:
      // The end of the connection is the end of such a body: only a reset tells it is cut short.
      return framing_ == Framing::until_close ? Ending::reset : Ending::cut;
    case Answer::whole:
    case Answer::ended:
      break;
  }
  return keep_alive_ ? Ending::next_request : Ending::close;
}

}  // namespace ingle::http
