#include "http/connection.h"

#include <algorithm>
#include <cstring>
#include <format>

#include "http/exchange.h"
#include "http/websocket.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kInputBytesFirst = 4096;
// A larger output buffer is given back once it is empty.
constexpr std::size_t kOutputBytesKept = 64 * 1024;

bool would_block(const error_code& ec) {
  return ec == asio::error::would_block || ec == asio::error::try_again;
}

std::unexpected<base::Error> gone_error() {
  return fail(ErrorCode::cancelled, "the client closed its connection or read too slowly");
}

}  // namespace

Connection::Connection(ServerContext& context, Socket socket, ConnectionInfo info)
    : context_(context),
      info_(std::move(info)),
      socket_(std::move(socket)),
      reader_(context.limits.header_bytes_max, context.limits.body_bytes_max),
      read_deadline_(context.loop,
                     [this] {
                       late_ = true;
                       error_code ignored;
                       socket_.cancel(ignored);  // ends the pending read, which wakes the waiter
                     }),
      write_deadline_(context.loop, [this] { kill(); }) {}

Connection::~Connection() { CHECK(!reading_ && !writing_, "a connection ended while in use"); }

base::Task<void> Connection::run() {
  for (;;) {
    auto next = co_await next_request();
    if (!next) {
      co_await refuse(std::move(next).error());
      break;
    }
    if (*next == Next::end || co_await handle_request() == Next::end) break;
  }
  co_await close();
}

base::Task<void> Connection::run_refused(Refusal refusal) {
  co_await refuse(std::move(refusal));
  co_await close();
}

base::Task<std::expected<Connection::Next, Refusal>> Connection::next_request() {
  const auto& limits = context_.limits;
  reader_.reset();
  phase_ = Phase::idle;
  late_ = false;
  read_deadline_.set(limits.idle_timeout);
  for (;;) {
    if (input_begin_ < input_end_) {
      if (auto fed = feed_input(); !fed) co_return std::unexpected(std::move(fed).error());
      if (reader_.done()) break;
      if (reader_.head_done()) {
        phase_ = Phase::body;
        read_deadline_.set(limits.body_timeout);
      } else if (phase_ == Phase::idle) {
        phase_ = Phase::header;
        read_deadline_.set(limits.header_timeout);
      }
    }
    if (dead_ || input_over_) co_return Next::end;
    if (phase_ == Phase::idle && (late_ || context_.draining)) co_return Next::end;
    if (late_)
      co_return std::unexpected(
          Refusal{408, {ErrorCode::timeout, "the request did not arrive in time: send it again"}});
    if (!reading_) {
      if (!make_input_room())
        co_return std::unexpected(Refusal{
            phase_ == Phase::body ? 400 : 431,
            {ErrorCode::limit_exceeded,
             std::format("the request's header is over {} bytes", limits.header_bytes_max)}});
      start_read();
    }
    co_await event_;
  }
  read_deadline_.clear();
  phase_ = Phase::answer;
  co_return Next::request;
}

std::expected<void, Refusal> Connection::feed_input() {
  while (input_begin_ < input_end_ && !reader_.done()) {
    const bool had_head = reader_.head_done();
    const auto used = reader_.feed({input_.data() + input_begin_, input_end_ - input_begin_});
    if (!used) return std::unexpected(used.error());
    input_begin_ += *used;
    const bool body_awaited = !had_head && reader_.head_done() && !reader_.done();
    if (body_awaited && input_begin_ == input_end_ && reader_.expects_continue())
      push({"HTTP/1.1 100 Continue\r\n\r\n", {}, {}});
    if (*used == 0) break;
  }
  return {};
}

base::Task<Connection::Next> Connection::handle_request() {
  ++context_.exchanges;
  handling_ = true;
  if (!reading_ && make_input_room()) start_read();
  ServerExchange exchange(*this, context_, reader_);
  co_await context_.handler.handle(exchange);
  handling_ = false;
  const auto ending = exchange.ending();
  if (ending == ServerExchange::Ending::websocket) {
    if (websocket_) co_await websocket_->finished();
  } else if (ending == ServerExchange::Ending::reset) {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  } else if (ending != ServerExchange::Ending::unanswered) {
    static_cast<void>(co_await flush());  // when the client is gone, nothing is left to do
  }
  if (--context_.exchanges == 0) context_.no_exchanges.wake();

  switch (ending) {
    case ServerExchange::Ending::next_request:
      co_return dead_ ? Next::end : Next::request;
    case ServerExchange::Ending::unanswered:
      co_await refuse({500, {ErrorCode::internal, "the request was not answered"}});
      break;
    case ServerExchange::Ending::close:
      co_await close_politely();
      break;
    case ServerExchange::Ending::cut:
    case ServerExchange::Ending::reset:
    case ServerExchange::Ending::websocket:
      break;
  }
  co_return Next::end;
}

base::Task<void> Connection::refuse(Refusal refusal) {
  phase_ = Phase::answer;
  if (dead_) co_return;
  Response response = context_.handler.on_refused(
      refusal.status, refusal.error, reader_.head_done() ? reader_.request().target : "");
  response.status = refusal.status;
  const bool to_head = reader_.head_done() && reader_.request().method == Method::head;
  const std::string head =
      response_head(response, {.content_length = response.body.size(), .after = After::close});
  push({head, to_head ? std::string_view{} : response.body, {}});
  co_await close_politely();
}

base::Task<void> Connection::close_politely() {
  static_cast<void>(co_await flush());
  if (dead_) co_return;
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  late_ = false;
  read_deadline_.set(kLingerTime);
  while (!dead_ && !input_over_ && !late_) {
    if (!reading_) {
      input_begin_ = input_end_ = 0;  // nobody wants it
      if (make_input_room()) start_read();
    }
    co_await event_;
  }
}

base::Task<void> Connection::close() {
  kill();
  read_deadline_.clear();
  write_deadline_.clear();
  while (reading_ || writing_) co_await event_;
  // Whoever brought us here may still be on the stack with this connection in its hands.
  co_await base::yield(context_.loop);
}

void Connection::close_if_idle() {
  if (phase_ == Phase::idle) kill();
}

void Connection::cut() {
  if (websocket_) websocket_->cut();
  kill();
}

void Connection::kill() {
  if (dead_) return;
  dead_ = true;
  error_code ignored;
  socket_.close(ignored);
  gone_.cancel();
}

// --- input

// Makes room behind input_end_ while no read is pending; false when the buffer is full.
bool Connection::make_input_room() {
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_end_ < input_.size()) return true;
  const auto limit = context_.limits.header_bytes_max;
  if (input_.size() >= limit) return false;
  input_.resize(std::min(limit, std::max(kInputBytesFirst, input_.size() * 2)));
  return true;
}

void Connection::start_read() {
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
                          [this](const error_code& ec, std::size_t bytes) {
                            context_.loop.turn("http.read", [&] { on_read(ec, bytes); });
                          });
}

void Connection::on_read(const error_code& ec, std::size_t bytes) {
  reading_ = false;
  input_end_ += bytes;
  if (ec && ec != asio::error::operation_aborted) {
    input_over_ = true;
    if (handling_ || ec != asio::error::eof) kill();
  }
  // Goes on watching while the handler works, as long as there is room.
  if (!ec && handling_ && !taking_ && !dead_ && make_input_room()) start_read();
  event_.notify();
}

// --- output

void Connection::push(const std::array<std::string_view, 3>& parts) {
  if (dead_) return;
  std::size_t sent = 0;
  if (!writing_) {
    std::array<asio::const_buffer, 3> buffers;
    std::ranges::transform(parts, buffers.begin(),
                           [](std::string_view part) { return asio::buffer(part); });
    error_code ec;
    sent = socket_.write_some(buffers, ec);
    if (ec && !would_block(ec)) return kill();
  }
  for (std::string_view part : parts) {
    const auto skipped = std::min(sent, part.size());
    sent -= skipped;
    queue_.append(part.substr(skipped));
  }
  if (writing_ || queue_.empty()) return;
  flight_.swap(queue_);
  start_write();
}

void Connection::start_write() {
  writing_ = true;
  write_deadline_.set(context_.limits.write_timeout);
  socket_.async_write_some(
      asio::buffer(flight_.data() + flight_sent_, flight_.size() - flight_sent_),
      [this](const error_code& ec, std::size_t bytes) {
        context_.loop.turn("http.write", [&] { on_write(ec, bytes); });
      });
}

void Connection::on_write(const error_code& ec, std::size_t bytes) {
  writing_ = false;
  write_deadline_.clear();
  flight_sent_ += bytes;
  if (flight_sent_ == flight_.size()) {
    flight_.clear();
    flight_sent_ = 0;
    if (flight_.capacity() > kOutputBytesKept) flight_ = {};
    flight_.swap(queue_);
  }
  if (ec)
    kill();
  else if (!flight_.empty() && !dead_)
    start_write();
  event_.notify();
}

base::Task<base::Status> Connection::wait_room(std::size_t bytes) {
  while (!dead_ && !has_room(bytes)) co_await event_;
  if (dead_) co_return gone_error();
  co_return base::Status{};
}

base::Task<base::Status> Connection::flush() {
  while (!dead_ && unsent() > 0) co_await event_;
  if (dead_) co_return gone_error();
  co_return base::Status{};
}

// --- upgrade

base::Task<base::Result<Socket>> Connection::take_socket() {
  taking_ = true;
  error_code ignored;
  if (reading_) socket_.cancel(ignored);
  while (reading_) co_await event_;
  taking_ = false;
  CO_TRY(co_await flush());
  if (input_begin_ != input_end_) {
    if (make_input_room()) start_read();
    co_return fail(ErrorCode::malformed, "the client sent data before the WebSocket was open");
  }
  co_return std::move(socket_);
}

void Connection::set_websocket(std::shared_ptr<WebSocketLink> link) {
  websocket_ = std::move(link);
  websocket_ended_ = websocket_->ended().on_cancel([this] { kill(); });
}

}  // namespace ingle::http
