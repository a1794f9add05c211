// DaemonClient: one command's talk with the daemon. Each call blocks and runs a loop of its own on
// this (the main) thread. Knows the shapes of errors, not what the commands want.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "cli/lease.h"
#include "http/message.h"
#include "protocol/codec.h"

namespace ingle::cli {

// The Error in an error answer, of ingle's own surface or OpenAI's. `body` is untrusted.
base::Error error_of_answer(int status, std::string_view body);

// A value as part of a query: "a b&c" becomes "a%20b%26c".
std::string query_escape(std::string_view text);

class DaemonClient {
 public:
  // Finds the daemon of the environment's home; `api_key` may be empty.
  // Errors: those of find_daemon().
  static base::Result<DaemonClient> find(const platform::Environment& environment);
  DaemonClient(DaemonAddress address, std::string api_key)
      : address_(std::move(address)), api_key_(std::move(api_key)) {}

  const std::string& url() const { return address_.url; }

  // The body of the answer. Errors: what the daemon answered, daemon_absent (nobody listens).
  base::Result<std::string> get(std::string target) const;
  base::Result<std::string> post(std::string target, std::string body) const;
  base::Result<std::string> del(std::string target) const;
  // The same with a body of bytes instead of JSON.
  base::Result<std::string> post_bytes(std::string target, std::string body) const;
  // The same with a form (multipart/form-data), whose parts `boundary` divides.
  base::Result<std::string> post_form(std::string target, std::string boundary,
                                      std::string body) const;

  // Asked from time to time while a call waits; true ends it with the error `cancelled`.
  using Interrupted = std::function<bool()>;

  // Hands out the pieces of a streamed answer as they come; a piece is refused by returning false,
  // which ends the call. Errors: as above; upstream_error when the answer is cut.
  base::Status stream(std::string target, std::string body,
                      const std::function<bool(std::string_view)>& on_piece,
                      const Interrupted& interrupted) const;

  // Opens a WebSocket, says `hello`, and hands out the messages, until one is refused or the socket
  // ends. Errors: as above; cancelled when the daemon closed it.
  base::Status follow(std::string target, std::string hello,
                      const std::function<bool(std::string_view)>& on_message) const;

 private:
  base::Result<std::string> fetch(http::Request request) const;
  http::Request request(http::Method method, std::string target, std::string body) const;

  DaemonAddress address_;
  std::string api_key_;
};

// GET, and the answer as its wire struct.
template <class T>
base::Result<T> get_as(const DaemonClient& client, std::string target) {
  TRY_ASSIGN(const auto body, client.get(std::move(target)));
  return protocol::decode<T>(body);
}

template <class T, class Body>
base::Result<T> post_as(const DaemonClient& client, std::string target, const Body& body) {
  TRY_ASSIGN(const auto answer, client.post(std::move(target), protocol::encode(body)));
  return protocol::decode<T>(answer);
}

}  // namespace ingle::cli
