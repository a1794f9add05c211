// One accepted connection: reads requests from it one after the other, hands each to the handler
// and writes what the exchange says. Private to http/. Loop thread only.
//
// A read is pending at all times, also while a handler works, so that the client's end is seen at
// once; bytes of a next request that come early wait in the input buffer (header_bytes_max at
// most; while it is full the end is only seen by writing). What the client sends as its end counts
// as gone while a request is handled, even if it only closed its sending half: such a client cannot
// be told from one that left.
//
// Two flows touch a connection: run() (through it the handler), and asio's callbacks, which change
// the state and then wake whoever waits in `event_`. kill() only closes the socket; the pending
// operations then end by themselves and wake the waiter.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "http/server.h"
#include "http/socket.h"
#include "http/wire.h"
#include "platform/asio_loop.h"

namespace ingle::http {

class WebSocketLink;

// What all connections of a server share.
struct ServerContext {
  platform::AsioLoop& loop;
  Handler& handler;
  const ServerLimits limits;
  bool draining = false;
  std::size_t exchanges = 0;
  base::Gate no_exchanges{loop};  // woken when the last one ends
};

class Connection {
 public:
  // How long a client may take to close after we did: so that what it still sends does not make
  // the kernel throw away our last answer.
  static constexpr base::Seconds kLingerTime{2};

  Connection(ServerContext& context, Socket socket, ConnectionInfo info);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Serves until the connection ends; after it the object may go.
  base::Task<void> run();
  // Answers with on_refused(status, error), whatever the client asks, and closes.
  base::Task<void> run_refused(Refusal refusal);

  // Closes it when no request has begun.
  void close_if_idle();
  // Closes it now; a handler sees its client gone.
  void cut();

  // For the exchange.
  const ConnectionInfo& info() const { return info_; }
  base::CancelToken gone_token() const { return gone_.token(); }
  bool gone() const { return dead_; }
  // Whether `bytes` more may be pushed without going over stream_buffer_bytes_max.
  bool has_room(std::size_t bytes) const {
    const auto waiting = unsent();
    return waiting == 0 || waiting + bytes <= context_.limits.stream_buffer_bytes_max;
  }
  // Waits for room. Errors: cancelled (gone).
  base::Task<base::Status> wait_room(std::size_t bytes);
  // Hands the parts to the kernel in one call, without copying, or keeps what it does not take.
  void push(const std::array<std::string_view, 3>& parts);
  // Waits until the kernel has everything. Errors: cancelled (gone).
  base::Task<base::Status> flush();
  // Takes the socket for a WebSocket. Errors: malformed (the client sent more), cancelled (gone).
  base::Task<base::Result<Socket>> take_socket();
  // From now on the connection's end is the WebSocket's.
  void set_websocket(std::shared_ptr<WebSocketLink> link);

 private:
  enum class Next { request, end };
  enum class Phase { idle, header, body, answer };

  base::Task<std::expected<Next, Refusal>> next_request();
  std::expected<void, Refusal> feed_input();
  // Serves what the reader holds; the connection stays open only for Next::request.
  base::Task<Next> handle_request();
  base::Task<void> refuse(Refusal refusal);
  base::Task<void> close_politely();
  base::Task<void> close();

  bool make_input_room();
  void start_read();
  void on_read(const error_code& ec, std::size_t bytes);
  void start_write();
  void on_write(const error_code& ec, std::size_t bytes);
  std::size_t unsent() const { return flight_.size() - flight_sent_ + queue_.size(); }
  void kill();

  ServerContext& context_;
  const ConnectionInfo info_;
  Socket socket_;
  RequestReader reader_;
  base::CancelSource gone_;
  Signal event_;
  bool dead_ = false;      // the socket is closed
  bool handling_ = false;  // from a whole request to the handler's return

  std::vector<char> input_;
  std::size_t input_begin_ = 0;  // read and not yet used: [begin, end)
  std::size_t input_end_ = 0;
  bool reading_ = false;     // an asio read is pending, into [end, size)
  bool input_over_ = false;  // the client will send no more
  bool taking_ = false;      // the pending read is being ended by take_socket()
  bool late_ = false;        // read_deadline_ has passed
  Deadline read_deadline_;
  Phase phase_ = Phase::idle;

  std::string flight_;  // being written by asio
  std::size_t flight_sent_ = 0;
  std::string queue_;     // to be written after it
  bool writing_ = false;  // an asio write is pending
  Deadline write_deadline_;

  std::shared_ptr<WebSocketLink> websocket_;  // shared: see WebSocketLink
  base::CancelRegistration websocket_ended_;
};

}  // namespace ingle::http
