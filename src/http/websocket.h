// WebSockets of server and client, on Beast. Private to http/. Loop thread only.
#pragma once

#include <memory>
#include <string>

#include "base/cancel.h"
#include "http/server.h"
#include "http/socket.h"
#include "platform/asio_loop.h"

namespace ingle::http {

struct WebSocketLimits {
  std::size_t message_bytes_max = 1 << 20;
  std::size_t queue_messages_max = 1024;
  base::Seconds ping_interval{20};
  base::Seconds handshake_timeout{10};
};

// One open WebSocket behind its handle. It reads all the time (a few messages ahead), so that pings
// are answered and the other side's close is seen even when nobody receives. Shared: Beast's
// pending operations outlive the handle that a handler drops.
class WebSocketLink {
 public:
  virtual ~WebSocketLink() = default;

  // Whether a request asks for a WebSocket, and whether it does so validly.
  static bool is_upgrade(const Request& request);
  // Errors: malformed.
  static base::Status check_upgrade(const Request& request);

  // Server side: answers a valid upgrade request. Errors: cancelled.
  static base::Task<base::Result<std::shared_ptr<WebSocketLink>>> accept(platform::AsioLoop& loop,
                                                                         Socket socket,
                                                                         const Request& request,
                                                                         WebSocketLimits limits);
  // Client side, over a connected socket. Errors: upstream_error, timeout, cancelled.
  static base::Task<base::Result<std::shared_ptr<WebSocketLink>>> connect(
      platform::AsioLoop& loop, Socket socket, std::string host, std::string target,
      const Headers& headers, WebSocketLimits limits, base::CancelToken cancel);

  // The one handle; destroying it closes the WebSocket, properly if the other side helps.
  virtual std::unique_ptr<WebSocket> make_handle() = 0;
  // Cancelled when no message can come or go any more.
  virtual base::CancelToken ended() const = 0;
  // Closes the socket now.
  virtual void cut() = 0;
  // Waits until no operation is pending. One waiter.
  virtual base::Task<void> finished() = 0;
};

}  // namespace ingle::http
