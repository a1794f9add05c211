// HTTP/1.1 client on the loop, for unix sockets and plain TCP: one connection per request, closed
// after it. Knows no product words. Loop thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>

#include "base/cancel.h"
#include "base/error.h"
#include "base/loop.h"
#include "http/message.h"

namespace ingle::platform {
class AsioLoop;
}

namespace ingle::http {

struct UnixEndpoint {
  std::filesystem::path path;
};
struct TcpEndpoint {
  std::string host;  // an IP literal or "localhost": no DNS here
  std::uint16_t port = 0;
};
using Endpoint = std::variant<UnixEndpoint, TcpEndpoint>;

struct ClientLimits {
  base::Seconds connect_timeout{5};
  base::Seconds head_timeout{3600};  // until the answer's head; a long prefill may take long
  base::Seconds read_timeout{3600};  // between two pieces of the body
  std::size_t header_bytes_max = 64 * 1024;
  std::uint64_t body_bytes_max = 256ull << 20;  // of a whole answer (fetch)
};

// An answer whose body is still coming. Destroying it closes the connection at once, which is how
// the other side learns that nobody wants the rest.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  virtual const Response& head() const = 0;  // status and headers; body empty
  // The next piece of the body, as it came (valid until the next call); empty at the proper end.
  // Errors: cancelled, timeout, upstream_error (cut before its end, or not HTTP).
  virtual base::Task<base::Result<std::string_view>> read() = 0;
};

// A client's side of a WebSocket: see server.h. (The command line uses it to follow events.)
class WebSocket;

class Client {
 public:
  static std::unique_ptr<Client> create(platform::AsioLoop& loop, ClientLimits limits);
  virtual ~Client() = default;
  // Sends the request and reads the answer's head.
  // Errors: cancelled, timeout, io_error (nobody listens), upstream_error.
  virtual base::Task<base::Result<std::unique_ptr<ResponseStream>>> open(
      Endpoint endpoint, Request request, base::CancelToken cancel) = 0;
  // The whole answer. Errors: those of open() and read(), limit_exceeded.
  virtual base::Task<base::Result<Response>> fetch(Endpoint endpoint, Request request,
                                                   base::CancelToken cancel) = 0;
  virtual base::Task<base::Result<std::unique_ptr<WebSocket>>> open_websocket(
      Endpoint endpoint, std::string target, Headers headers, base::CancelToken cancel) = 0;
};

}  // namespace ingle::http
