// What server, client and WebSockets share of Asio. Private to http/. Loop thread only.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <coroutine>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/loop.h"

namespace ingle::http {

namespace asio = boost::asio;
using boost::system::error_code;
using StreamProtocol = asio::generic::stream_protocol;
// TCP and unix sockets alike.
using Socket = asio::basic_stream_socket<StreamProtocol, asio::io_context::executor_type>;

// sun_path has 108 bytes, one of them for the end.
inline constexpr std::size_t kUnixPathBytesMax = 107;

// Wakes the one coroutine that waits, again and again; a wake-up that nobody waits for is lost, so
// the waiter looks at its condition before each wait. notify() runs the coroutine: it must be the
// last thing that a turn does.
class Signal {
 public:
  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    CHECK(!waiter_, "two coroutines wait on one connection");
    waiter_ = waiter;
  }
  void await_resume() const noexcept {}
  void notify() {
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }

 private:
  std::coroutine_handle<> waiter_ = nullptr;
};

// A point in time that is moved often and passes seldom: moving it to later costs no timer.
class Deadline {
 public:
  Deadline(base::Loop& loop, std::function<void()> on_passed)
      : loop_(loop), on_passed_(std::move(on_passed)) {}
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { disarm(); }

  // From now on; any number of times.
  void set(base::Micros delay);
  void clear() { due_.reset(); }

 private:
  void arm();
  void disarm();
  void fire();

  base::Loop& loop_;
  const std::function<void()> on_passed_;
  std::optional<base::MonoTime> due_;
  std::optional<base::Loop::TimerId> timer_;
  base::MonoTime armed_for_{};
};

// Sets what every stream of ours has: no Nagle delay (on TCP), not inherited by workers, and calls
// that never wait.
void prepare(Socket& socket);

// Asio's error in our words: "<what>: Connection refused".
base::Error socket_error(const error_code& ec, std::string_view what);

}  // namespace ingle::http
