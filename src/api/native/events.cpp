#include <algorithm>

#include "api/errors.h"
#include "api/native/handlers.h"
#include "insight/event_bus.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"
#include "protocol/version.h"

namespace ingle::api::native {
namespace {

using base::ErrorCode;
using base::fail;
using insight::EventBus;

constexpr base::Seconds kHelloTimeout{10};
constexpr std::uint16_t kClosePolicy = 1008;
constexpr std::uint16_t kCloseNormal = 1000;
constexpr std::uint16_t kCloseGoingAway = 1001;

base::Status send_json(http::WebSocket& socket, std::string json) {
  return socket.send({.data = std::move(json)});
}

// The first message must be a hello of a version that we speak.
base::Result<protocol::Hello> read_hello(const http::WebSocket::Message& message) {
  if (message.binary) return fail(ErrorCode::malformed, "the hello must be a text message");
  TRY_ASSIGN(auto hello, protocol::decode<protocol::Hello>(message.data));
  if (hello.type != "hello")
    return fail(ErrorCode::malformed, "the first message must have type \"hello\"");
  if (hello.protocol_version < protocol::kProtocolVersionMin ||
      hello.protocol_version > protocol::kProtocolVersion)
    return fail(ErrorCode::version_mismatch,
                "the client speaks protocol version " + std::to_string(hello.protocol_version) +
                    ", this daemon " + std::to_string(protocol::kProtocolVersionMin) + " to " +
                    std::to_string(protocol::kProtocolVersion) + "; update the older of the two");
  return hello;
}

void refuse(Call& call, http::WebSocket& socket, const base::Error& error) {
  (void)send_json(
      socket,
      protocol::encode(protocol::EventError{
          .error = to_wire(error, call.request_id),
          .protocol_versions = {protocol::kProtocolVersionMin, protocol::kProtocolVersion}}));
  socket.close(kClosePolicy, std::string(base::error_code_name(error.code)));
}

// One client's subscription: what it wants, and the listener that queues it.
class Subscription {
 public:
  Subscription(EventBus& bus, http::WebSocket& socket, std::vector<protocol::Topic> topics)
      : bus_(bus), socket_(socket), topics_(std::move(topics)) {
    listener_ = bus_.listen([this](const EventBus::Stored& event) { offer(event); });
  }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  ~Subscription() { bus_.unlisten(listener_); }

  void set_topics(std::vector<protocol::Topic> topics) { topics_ = std::move(topics); }
  void offer(const EventBus::Stored& event) {
    if (std::ranges::contains(topics_, event->topic)) (void)socket_.send({.data = event->json});
  }

 private:
  EventBus& bus_;
  http::WebSocket& socket_;
  std::vector<protocol::Topic> topics_;
  std::uint64_t listener_ = 0;
};

base::Task<base::Result<http::WebSocket::Message>> receive_hello(Call& call,
                                                                 http::WebSocket& socket) {
  auto& loop = call.parts.loop;
  const auto timer =
      loop.after(kHelloTimeout, [&socket] { socket.close(kClosePolicy, "no hello within 10 s"); });
  auto message = co_await socket.receive();
  loop.cancel(timer);
  co_return message;
}

base::Task<base::Status> serve_client(Call& call, http::WebSocket& socket) {
  auto& bus = call.parts.events;
  CO_TRY_ASSIGN(const auto first, co_await receive_hello(call, socket));
  auto hello = read_hello(first);
  if (!hello) {
    refuse(call, socket, hello.error());
    co_return fail(hello.error());
  }
  const std::int64_t newest = bus.newest_sequence();
  const std::int64_t after = hello->resume_after.value_or(newest);
  // A number from an earlier life of the daemon is a gap, too.
  const bool gap = after + 1 < bus.oldest_sequence() || after > newest;
  CO_TRY(send_json(
      socket, protocol::encode(protocol::HelloReply{
                  .protocol_version = std::min(hello->protocol_version, protocol::kProtocolVersion),
                  .version = INGLE_VERSION,
                  .sequence = newest,
                  .gap = gap})));
  Subscription subscription(bus, socket, hello->topics);
  const auto stopping = call.parts.stopping.on_cancel(
      [&socket] { socket.close(kCloseGoingAway, "the daemon is stopping"); });
  if (hello->resume_after)
    for (const auto& event : bus.after(gap ? 0 : after)) subscription.offer(event);
  while (true) {
    auto message = co_await socket.receive();
    if (!message) break;  // closed
    auto subscribe = protocol::decode<protocol::Subscribe>(message->data);
    if (subscribe && subscribe->type != "subscribe")
      subscribe = fail(ErrorCode::malformed, "after the hello only \"subscribe\" is understood");
    if (!subscribe) {
      refuse(call, socket, subscribe.error());
      co_return fail(subscribe.error());
    }
    subscription.set_topics(std::move(subscribe->topics));
  }
  socket.close(kCloseNormal, "");
  co_return base::Status{};
}

}  // namespace

base::Task<base::Status> events(Call& call) {
  if (!call.exchange.is_upgrade())
    co_return fail(ErrorCode::invalid_argument,
                   "/api/v1/events is a WebSocket: connect with ws:// instead");
  CO_TRY_ASSIGN(const auto socket, co_await call.exchange.upgrade());
  call.status_sent = 101;
  co_return co_await serve_client(call, *socket);
}

}  // namespace ingle::api::native
