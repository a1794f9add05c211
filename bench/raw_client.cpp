#include "raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <format>

namespace ingle::bench {

void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

double now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) give_up("no values to take a percentile of");
  std::ranges::sort(values);
  const auto last = static_cast<double>(values.size() - 1);
  const double place = share * last;
  const auto low = static_cast<std::size_t>(place);
  const auto high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
}

double median(std::vector<double> values) { return percentile(std::move(values), 0.5); }

namespace {

template <class Address>
int connect_to(int family, const Address& address) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) give_up(std::format("socket: {}", std::strerror(errno)));
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  const void* raw = &storage;
  if (::connect(socket, static_cast<const sockaddr*>(raw), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

}  // namespace

int try_connect(const std::string& address) {
  if (address.starts_with("unix:")) {
    sockaddr_un to{.sun_family = AF_UNIX};
    if (address.size() - 5 >= sizeof to.sun_path) give_up("the socket's path is too long");
    std::memcpy(to.sun_path, address.data() + 5, address.size() - 5);
    return connect_to(AF_UNIX, to);
  }
  sockaddr_in to{.sin_family = AF_INET};
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + 4)));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = connect_to(AF_INET, to);
  const int on = 1;
  if (socket >= 0) ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

int send_request(const Target& target, std::string_view method, std::string_view path,
                 std::string_view body) {
  const int socket = try_connect(target.address);
  if (socket < 0) give_up("nobody listens on " + target.address);
  std::string text =
      std::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
  if (!target.key.empty()) text += std::format("Authorization: Bearer {}\r\n", target.key);
  if (!body.empty())
    text += std::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  text += "\r\n";
  text += body;
  for (std::string_view rest = text; !rest.empty();) {
    const auto sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) give_up(std::format("send to {}: {}", target.name, std::strerror(errno)));
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return socket;
}

bool read_until(int socket, std::string_view mark, std::string& into) {
  std::array<char, 65536> piece;
  for (;;) {
    const auto got = ::recv(socket, piece.data(), piece.size(), 0);
    if (got <= 0) return false;
    const std::size_t from = into.size() > mark.size() ? into.size() - mark.size() : 0;
    into.append(piece.data(), static_cast<std::size_t>(got));
    if (!mark.empty() && into.find(mark, from) != std::string::npos) return true;
  }
}

std::string fetch(const Target& target, std::string_view method, std::string_view path,
                  std::string_view body) {
  const int socket = send_request(target, method, path, body);
  std::string out;
  read_until(socket, {}, out);
  ::close(socket);
  return out;
}

}  // namespace ingle::bench
