// The parts of rig_test.h: no tests of their own.
#include "http/rig_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <format>
#include <vector>

namespace ingle::http {
namespace {

void set_patience(int descriptor) {
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int connect_to(int descriptor, const void* address, socklen_t size) {
  sockaddr_storage storage{};
  std::memcpy(&storage, address, size);
  set_patience(descriptor);
  return ::connect(descriptor, reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace

void LoopThread::await(std::function<bool()> condition) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!call(condition)) {
    if (std::chrono::steady_clock::now() > give_up) {
      ADD_FAILURE() << "a condition never came to hold";
      return;
    }
    std::this_thread::yield();
  }
}

ServerRig::ServerRig(Serve serve, ServerLimits limits) : serve_(std::move(serve)) {
  thread_.call([&] {
    server_ = Server::create(thread_.loop(), *this, limits);
    const auto port = server_->listen({});
    EXPECT_TRUE(port) << port.error().text();
    port_ = port.value_or(0);
  });
}

ServerRig::~ServerRig() {
  if (!drained_) drain(base::Micros::zero());
  thread_.call([&] { server_.reset(); });
}

void ServerRig::drain(base::Micros limit) {
  drained_ = true;
  thread_.run(server_->drain(limit));
}

Response ServerRig::on_refused(int, const base::Error& error, std::string_view) {
  return {.body = "refused: " + error.message};
}

ServerRig::Serve answer(std::string body) {
  return [body](Exchange& exchange) -> base::Task<void> {
    static_cast<void>(co_await exchange.respond({.body = body}));
  };
}

RawSocket::RawSocket(std::uint16_t port, int receive_buffer_bytes) {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0)
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
               sizeof receive_buffer_bytes);
  const auto address = loopback(port);
  if (connect_to(descriptor_, &address, sizeof address) != 0) close();
}

RawSocket::RawSocket(const std::filesystem::path& unix_path) {
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  unix_path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect_to(descriptor_, &address, sizeof address) != 0) close();
}

bool RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawSocket::read_until(std::string_view mark) {
  std::string out = std::exchange(ahead_, {});
  std::array<char, 4096> buffer;
  for (;;) {
    if (const auto at = out.find(mark); at != std::string::npos) {
      ahead_ = out.substr(at + mark.size());
      return out.substr(0, at + mark.size());
    }
    const auto got = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      ADD_FAILURE() << "the connection ended before '" << mark << "', after: " << out;
      return out;
    }
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string RawSocket::read_bytes(std::size_t count) {
  std::string out = ahead_.substr(0, count);
  ahead_.erase(0, out.size());
  std::vector<char> buffer(64 * 1024);
  while (out.size() < count) {
    const auto want = std::min(buffer.size(), count - out.size());
    const auto got = ::recv(descriptor_, buffer.data(), want, 0);
    if (got <= 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return out;
}

std::string RawSocket::read_answer() {
  std::string head = read_until("\r\n\r\n");
  constexpr std::string_view kField = "Content-Length: ";
  std::size_t length = 0;
  if (const auto at = head.find(kField); at != std::string::npos)
    std::from_chars(head.data() + at + kField.size(), head.data() + head.size(), length);
  return head + read_bytes(length);
}

std::string RawSocket::read_to_end() {
  std::string out = std::exchange(ahead_, {});
  std::array<char, 4096> buffer;
  for (;;) {
    const auto got = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (got == 0) return out;
    if (got < 0) return out + (errno == ECONNRESET ? "<reset>" : "<timeout>");
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

void RawSocket::end_sending() { ::shutdown(descriptor_, SHUT_WR); }

void RawSocket::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void RawSocket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

RawListener::RawListener() {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(descriptor_, generic, size), 0);
  EXPECT_EQ(::listen(descriptor_, 8), 0);
  EXPECT_EQ(::getsockname(descriptor_, generic, &size), 0);
  port_ = ntohs(address.sin_port);
  set_patience(descriptor_);
}

RawListener::~RawListener() { ::close(descriptor_); }

RawSocket RawListener::accept() {
  const int accepted = ::accept(descriptor_, nullptr, nullptr);
  EXPECT_GE(accepted, 0);
  set_patience(accepted);
  return RawSocket(RawSocket::Descriptor{accepted});
}

}  // namespace ingle::http
