#include "http/websocket.h"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <format>

#include "http/wire.h"

namespace ingle::http {
namespace {

namespace beast = boost::beast;
namespace ws = boost::beast::websocket;
using base::ErrorCode;
using base::fail;

// Read ahead of receive(); then the other side waits.
constexpr std::size_t kInboxMessagesMax = 16;
// From our close frame to the other side's.
constexpr base::Seconds kCloseTimeout{5};
constexpr int kPingsUnansweredMax = 2;
constexpr std::size_t kCloseReasonBytesMax = 123;

ws::stream_base::timeout timeouts(base::Seconds handshake_and_close) {
  return {.handshake_timeout = handshake_and_close,
          .idle_timeout = ws::stream_base::none(),  // our pings see to it
          .keep_alive_pings = false};
}

class Link final : public WebSocketLink, public std::enable_shared_from_this<Link> {
 public:
  Link(platform::AsioLoop& loop, Socket socket, WebSocketLimits limits)
      : loop_(loop),
        limits_(limits),
        stream_(std::move(socket)),
        ping_timer_(loop, [this] { ping(); }),
        close_timer_(loop, [this] { cut(); }) {
    stream_.set_option(timeouts(limits.handshake_timeout));
    stream_.read_message_max(limits.message_bytes_max);
    stream_.auto_fragment(false);
    stream_.control_callback([this](ws::frame_type type, beast::string_view) {
      if (type == ws::frame_type::pong) pings_unanswered_ = 0;
    });
  }

  // After the handshake.
  void start() {
    stream_.set_option(timeouts(kCloseTimeout));  // Beast's name for it is handshake, too
    ping_timer_.set(limits_.ping_interval);
    start_read();
  }

  std::unique_ptr<WebSocket> make_handle() override;
  base::CancelToken ended() const override { return ended_.token(); }
  void cut() override { end({ErrorCode::cancelled, "the WebSocket was cut"}); }
  base::Task<void> finished() override {
    while (pending()) co_await finished_;
  }

  base::Task<base::Result<WebSocket::Message>> receive();
  base::Status send(WebSocket::Message message);
  void close(std::uint16_t code, std::string reason);
  std::size_t queued() const { return outbox_.size(); }

  ws::stream<Socket>& stream() { return stream_; }
  void cut_on(const base::CancelToken& cancel) {
    cancelled_ = cancel.on_cancel([this] { cut(); });
  }

 private:
  // Runs a callback's body as a turn, then wakes who waits.
  template <class F>
  void turn(const char* what, F&& body) {
    loop_.turn(what, [&] {
      body();
      received_.notify();
      if (!pending()) finished_.notify();
    });
  }
  bool pending() const { return reading_ || writing_ || pinging_ || closing_; }
  void start_read();
  void on_read(const error_code& ec);
  void start_write();
  void on_write(const error_code& ec);
  void start_close();
  void ping();
  void end(base::Error why);
  base::Error closed_error(const error_code& ec) const;

  platform::AsioLoop& loop_;
  const WebSocketLimits limits_;
  ws::stream<Socket> stream_;
  beast::flat_buffer buffer_;
  std::deque<WebSocket::Message> inbox_;   // at most kInboxMessagesMax
  std::deque<WebSocket::Message> outbox_;  // the first one is being written
  std::optional<ws::close_reason> close_wanted_;
  bool reading_ = false;  // pending operations of Beast
  bool writing_ = false;
  bool pinging_ = false;
  bool closing_ = false;
  int pings_unanswered_ = 0;
  std::optional<base::Error> end_;  // why it is over
  base::CancelSource ended_;
  base::CancelRegistration cancelled_;
  Signal received_;
  Signal finished_;
  Deadline ping_timer_;
  Deadline close_timer_;
};

// What the user of a WebSocket holds.
class Handle final : public WebSocket {
 public:
  explicit Handle(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() override { link_->close(ws::close_code::normal, {}); }
  base::Task<base::Result<Message>> receive() override { return link_->receive(); }
  base::Status send(Message message) override { return link_->send(std::move(message)); }
  std::size_t queued() const override { return link_->queued(); }
  void close(std::uint16_t code, std::string reason) override {
    link_->close(code, std::move(reason));
  }

 private:
  const std::shared_ptr<Link> link_;
};

std::unique_ptr<WebSocket> Link::make_handle() {
  return std::make_unique<Handle>(shared_from_this());
}

base::Error Link::closed_error(const error_code& ec) const {
  if (ec == ws::error::message_too_big || ec == ws::error::buffer_overflow)
    return {ErrorCode::limit_exceeded,
            std::format("a WebSocket message is over {} bytes", limits_.message_bytes_max)};
  if (ec == ws::error::closed)
    return {ErrorCode::cancelled, std::format("the WebSocket was closed (code {}{}{})",
                                              static_cast<unsigned>(stream_.reason().code),
                                              stream_.reason().reason.empty() ? "" : ": ",
                                              std::string_view(stream_.reason().reason))};
  return {ErrorCode::cancelled, "the WebSocket was closed: " + ec.message()};
}

void Link::end(base::Error why) {
  if (end_) return;
  end_ = std::move(why);
  ping_timer_.clear();
  close_timer_.clear();
  error_code ignored;
  beast::get_lowest_layer(stream_).close(ignored);
  ended_.cancel();
}

void Link::start_read() {
  reading_ = true;
  stream_.async_read(buffer_, [this, self = shared_from_this()](const error_code& ec, std::size_t) {
    turn("ws.read", [&] { on_read(ec); });
  });
}

void Link::on_read(const error_code& ec) {
  reading_ = false;
  if (ec) return end(closed_error(ec));
  pings_unanswered_ = 0;
  inbox_.push_back(
      {.data = beast::buffers_to_string(buffer_.data()), .binary = stream_.got_binary()});
  buffer_.consume(buffer_.size());
  if (!end_ && inbox_.size() < kInboxMessagesMax) start_read();
}

base::Task<base::Result<WebSocket::Message>> Link::receive() {
  const auto self = shared_from_this();  // the handle may go while its user waits in it
  while (inbox_.empty() && !end_) co_await received_;
  if (inbox_.empty()) co_return fail(*end_);
  WebSocket::Message message = std::move(inbox_.front());
  inbox_.pop_front();
  if (!reading_ && !closing_ && !end_) start_read();
  co_return message;
}

base::Status Link::send(WebSocket::Message message) {
  if (end_ || close_wanted_) return fail(ErrorCode::cancelled, "the WebSocket is closed");
  if (outbox_.size() >= limits_.queue_messages_max) {
    outbox_.resize(writing_ ? 1 : 0);
    close(ws::close_code::try_again_later, "too slow");
    return fail(ErrorCode::overloaded,
                std::format("{} WebSocket messages wait for a client that does not read them",
                            limits_.queue_messages_max));
  }
  outbox_.push_back(std::move(message));
  if (!writing_) start_write();
  return {};
}

void Link::start_write() {
  writing_ = true;
  stream_.binary(outbox_.front().binary);
  stream_.async_write(asio::buffer(outbox_.front().data),
                      [this, self = shared_from_this()](const error_code& ec, std::size_t) {
                        turn("ws.write", [&] { on_write(ec); });
                      });
}

void Link::on_write(const error_code& ec) {
  writing_ = false;
  outbox_.pop_front();
  if (ec) return end(closed_error(ec));
  if (end_) return;
  if (!outbox_.empty()) return start_write();
  if (close_wanted_) start_close();
}

void Link::close(std::uint16_t code, std::string reason) {
  if (end_ || close_wanted_) return;
  if (reason.size() > kCloseReasonBytesMax) reason.resize(kCloseReasonBytesMax);
  close_wanted_.emplace(static_cast<ws::close_code>(code), reason);
  close_timer_.set(kCloseTimeout);
  if (!writing_) start_close();
}

void Link::start_close() {
  closing_ = true;
  stream_.async_close(*close_wanted_, [this, self = shared_from_this()](const error_code&) {
    turn("ws.close", [&] {
      closing_ = false;
      end({ErrorCode::cancelled, "the WebSocket was closed"});
    });
  });
}

void Link::ping() {
  if (pings_unanswered_ >= kPingsUnansweredMax)
    return end({ErrorCode::cancelled, "the WebSocket's other side does not answer pings"});
  ping_timer_.set(limits_.ping_interval);
  if (!reading_) return;  // no answer could be seen
  ++pings_unanswered_;
  if (pinging_ || close_wanted_) return;
  pinging_ = true;
  stream_.async_ping({}, [this, self = shared_from_this()](const error_code& ec) {
    turn("ws.ping", [&] {
      pinging_ = false;
      if (ec) end(closed_error(ec));
    });
  });
}

}  // namespace

bool WebSocketLink::is_upgrade(const Request& request) {
  return request.headers.has_token("Connection", "upgrade") &&
         request.headers.has_token("Upgrade", "websocket");
}

base::Status WebSocketLink::check_upgrade(const Request& request) {
  const auto& headers = request.headers;
  const auto key = headers.get("Sec-WebSocket-Key");
  const auto refuse = [](const char* why) {
    return fail(ErrorCode::malformed, std::string("not a valid WebSocket handshake: ") + why);
  };
  if (!is_upgrade(request)) return refuse("it does not ask for an upgrade");
  if (request.method != Method::get) return refuse("the method is not GET");
  if (headers.get("Sec-WebSocket-Version") != "13") return refuse("the version is not 13");
  if (headers.count("Sec-WebSocket-Key") != 1 || key->size() != 24)
    return refuse("the key is not 16 bytes in base64");
  return {};
}

base::Task<base::Result<std::shared_ptr<WebSocketLink>>> WebSocketLink::accept(
    platform::AsioLoop& loop, Socket socket, const Request& request, WebSocketLimits limits) {
  beast::http::request<beast::http::empty_body> upgrade{beast::http::verb::get, request.target, 11};
  for (const auto& [name, value] : request.headers.all()) upgrade.insert(name, value);
  auto link = std::make_shared<Link>(loop, std::move(socket), limits);
  base::Completion<error_code> accepted;
  link->stream().async_accept(upgrade, [&](const error_code& ec) {
    loop.turn("ws.accept", [&] { accepted.complete(ec); });
  });
  if (const error_code ec = co_await accepted)
    co_return fail(ErrorCode::cancelled, "the WebSocket handshake failed: " + ec.message());
  link->start();
  co_return link;
}

base::Task<base::Result<std::shared_ptr<WebSocketLink>>> WebSocketLink::connect(
    platform::AsioLoop& loop, Socket socket, std::string host, std::string target,
    const Headers& headers, WebSocketLimits limits, base::CancelToken cancel) {
  auto link = std::make_shared<Link>(loop, std::move(socket), limits);
  link->stream().set_option(ws::stream_base::decorator([headers](ws::request_type& request) {
    for (const auto& [name, value] : headers.all()) request.set(name, value);
  }));
  link->cut_on(cancel);
  ws::response_type answer;
  base::Completion<error_code> shaken;
  link->stream().async_handshake(answer, host, target, [&](const error_code& ec) {
    loop.turn("ws.handshake", [&] { shaken.complete(ec); });
  });
  const error_code ec = co_await shaken;
  if (cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the WebSocket was cancelled");
  if (ec == beast::error::timeout)
    co_return fail(ErrorCode::timeout, "the server did not answer the WebSocket handshake in time");
  if (ec == ws::error::upgrade_declined)
    co_return fail(ErrorCode::upstream_error,
                   std::format("the server refused the WebSocket: {} {}", answer.result_int(),
                               reason_phrase(static_cast<int>(answer.result_int()))));
  if (ec)
    co_return fail(ErrorCode::upstream_error, "the WebSocket handshake failed: " + ec.message());
  link->start();
  co_return link;
}

}  // namespace ingle::http
