// HTTP/1.1 server on the loop, for TCP and unix sockets: plain answers, streams and WebSockets.
// It frames, limits and times; it knows no routes, hosts, keys or products. Loop thread only.
//
// Limits (ServerLimits) hold per connection; what is over them is answered by the server itself
// through Handler::on_refused, so that the product can shape the body (400, 408, 413, 431, 503).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/loop.h"
#include "http/message.h"

namespace ingle::platform {
class AsioLoop;
}

namespace ingle::http {

struct ServerLimits {
  std::size_t connections_max = 512;  // further ones get 503 and are closed
  std::size_t header_bytes_max = 32 * 1024;
  std::uint64_t body_bytes_max = 64ull << 20;
  base::Seconds header_timeout{10};  // from the first byte to the whole header (slowloris)
  base::Seconds body_timeout{60};    // without any progress
  base::Seconds idle_timeout{75};    // kept-alive and silent
  base::Seconds write_timeout{30};   // a client that reads nothing is closed
  std::size_t stream_buffer_bytes_max = 1 << 20;  // written and not yet taken by the client
  std::size_t ws_message_bytes_max = 1 << 20;
  std::size_t ws_queue_messages_max = 1024;  // outgoing; over it the socket is closed (1013)
  base::Seconds ws_ping_interval{20};        // two unanswered pings close it
};

struct ConnectionInfo {
  std::string id;        // "c-17": for logs
  std::string peer;      // "127.0.0.1:5432" or "unix"
  bool loopback = true;  // peer is on this machine
  bool unix_socket = false;
};

// An open WebSocket. Text or binary messages; receive() and send() may run at the same time.
class WebSocket {
 public:
  struct Message {
    std::string data;
    bool binary = false;
  };
  virtual ~WebSocket() = default;
  // The next whole message. Errors: cancelled (closed by either side), limit_exceeded, malformed.
  virtual base::Task<base::Result<Message>> receive() = 0;
  // Queues a message. Errors: overloaded (the queue is full; the socket is being closed),
  // cancelled (closed).
  virtual base::Status send(Message message) = 0;
  // Messages not yet handed to the kernel.
  virtual std::size_t queued() const = 0;
  // Sends a close frame after what is queued; idempotent.
  virtual void close(std::uint16_t code, std::string reason) = 0;
};

// One request and the way to answer it: exactly one of respond(), begin_stream(), upgrade(), and
// one call at a time. For a handler that returns without any of them the server answers 500.
// Framing (Content-Length, Transfer-Encoding) is the server's; of the head's Connection field only
// "close" counts.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  virtual Request take_request() = 0;  // moves it out
  virtual const Target& target() const = 0;
  virtual const ConnectionInfo& connection() const = 0;
  // Cancelled as soon as the client's connection is closed or broken, also while the handler only
  // waits: the server keeps watching the socket. A client that closes only its sending half counts
  // as gone: it cannot be told from one that left.
  virtual base::CancelToken client_gone() const = 0;

  // The whole answer. Errors: cancelled (the client is gone).
  virtual base::Task<base::Status> respond(Response response) = 0;

  // Starts an answer of unknown length (chunked). `head.body` must be empty.
  virtual base::Task<base::Status> begin_stream(Response head) = 0;
  // Writes a piece, at once where the kernel takes it; waits while the client has
  // stream_buffer_bytes_max not yet taken. An empty piece writes nothing.
  // Errors: cancelled (the client is gone or too slow).
  virtual base::Task<base::Status> write(std::string_view piece) = 0;
  // Ends the stream properly. Without it (the handler returns early) the connection is cut, so the
  // client sees a truncated answer, never a whole one.
  virtual base::Task<base::Status> end_stream() = 0;

  virtual bool is_upgrade() const = 0;  // the request asks for a WebSocket
  // The WebSocket ends with its handle, which goes before the handler returns.
  // Errors: malformed (not a valid handshake; it may still be answered), cancelled.
  virtual base::Task<base::Result<std::unique_ptr<WebSocket>>> upgrade() = 0;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // One call per request, on the loop; several at once (one per connection).
  virtual base::Task<void> handle(Exchange& exchange) = 0;
  // The answer to what the server refused by itself: status is set, the body is the product's.
  // `target` is the raw target, or empty when the refusal came before it was known.
  virtual Response on_refused(int status, const base::Error& error, std::string_view target) = 0;
};

struct ListenAddress {
  std::string host{"127.0.0.1"};  // an IP literal or "localhost"
  std::uint16_t port = 0;         // 0 picks a free one
};

class Server {
 public:
  // The handler and loop outlive the server. Once it listens, drain() goes before its end.
  static std::unique_ptr<Server> create(platform::AsioLoop& loop, Handler& handler,
                                        ServerLimits limits);
  virtual ~Server() = default;
  // Binds and listens at once (call it before the loop runs). Returns the port.
  // Errors: address_in_use, permission_denied, invalid_argument; each says what to do.
  virtual base::Result<std::uint16_t> listen(const ListenAddress& address) = 0;
  // A socket only its user may use (0600). A stale file of a dead listener is replaced.
  // Errors: invalid_argument (the path is over 107 bytes), address_in_use (somebody listens).
  virtual base::Status listen_unix(const std::filesystem::path& path) = 0;
  // Stops accepting; idle connections close; running exchanges go on.
  virtual void stop_accepting() = 0;
  // Stops accepting, waits until no exchange runs, at most `limit`; then cuts what is left and
  // waits until all handlers have returned (they see their client gone). Once, and not from a
  // handler.
  virtual base::Task<void> drain(base::Micros limit) = 0;
  virtual std::size_t connections() const = 0;
  virtual std::size_t exchanges() const = 0;
};

}  // namespace ingle::http
