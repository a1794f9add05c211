#include "http/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace ingle::http {
namespace {

// Longer waits than this are none; it keeps "never" from overflowing a point in time.
constexpr base::Micros kDelayMax = std::chrono::hours(24 * 365);

}  // namespace

void Deadline::set(base::Micros delay) {
  if (delay > kDelayMax) return clear();
  due_ = loop_.clock().mono_now() + delay;
  if (timer_ && armed_for_ <= *due_) return;
  disarm();
  arm();
}

void Deadline::arm() {
  armed_for_ = *due_;
  const auto delay =
      std::chrono::ceil<base::Micros>(std::max(*due_ - loop_.clock().mono_now(), {}));
  timer_ = loop_.after(delay, [this] { fire(); });
}

void Deadline::disarm() {
  if (timer_) loop_.cancel(*std::exchange(timer_, std::nullopt));
}

void Deadline::fire() {
  timer_.reset();
  if (!due_) return;
  if (loop_.clock().mono_now() < *due_) return arm();
  due_.reset();
  on_passed_();
}

void prepare(Socket& socket) {
  error_code ignored;
  socket.non_blocking(true, ignored);
  const int descriptor = socket.native_handle();
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  const int on = 1;  // refused by unix sockets, which have no such delay
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

base::Error socket_error(const error_code& ec, std::string_view what) {
  if (ec.category() == boost::system::system_category()) return base::errno_error(ec.value(), what);
  return {base::ErrorCode::io_error, std::string(what) + ": " + ec.message()};
}

}  // namespace ingle::http
