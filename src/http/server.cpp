#include "http/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>
#include <format>
#include <list>
#include <set>

#include "http/connection.h"
#include "platform/asio_loop.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::fail;
using Acceptor = asio::basic_socket_acceptor<StreamProtocol, asio::io_context::executor_type>;

// Connections over the limit that are told so at the same time; further ones are just closed.
constexpr std::size_t kRefusedConnectionsMax = 32;
// After a failed accept (no descriptors left): until the next try.
constexpr base::Millis kAcceptPause{100};
// Longer limits than this are cut to it.
constexpr base::Micros kDrainMax = std::chrono::hours(24 * 365);

// A socket file of ours: removed at the end, unless somebody else has replaced it.
struct SocketFile {
  std::filesystem::path path;
  dev_t device;
  ino_t inode;

  void remove() const {
    struct stat now{};
    if (lstat(path.c_str(), &now) == 0 && now.st_dev == device && now.st_ino == inode)
      unlink(path.c_str());
  }
};

ConnectionInfo describe(const StreamProtocol::endpoint& peer, std::uint64_t number) {
  ConnectionInfo info{.id = std::format("c-{}", number)};
  const int family = peer.protocol().family();
  if (family != AF_INET && family != AF_INET6) {
    info.peer = "unix";
    info.unix_socket = true;
    return info;
  }
  asio::ip::tcp::endpoint tcp;
  tcp.resize(std::min(peer.size(), tcp.capacity()));
  std::memcpy(tcp.data(), peer.data(), tcp.size());
  auto address = tcp.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  info.peer = address.is_v6() ? std::format("[{}]:{}", address.to_string(), tcp.port())
                              : std::format("{}:{}", address.to_string(), tcp.port());
  info.loopback = address.is_loopback();
  return info;
}

// Makes way for a socket of ours at `path`: removes a socket that nobody listens on.
base::Status clear_stale_socket(const std::filesystem::path& path) {
  struct stat there{};
  if (lstat(path.c_str(), &there) != 0) return {};
  if (!S_ISSOCK(there.st_mode))
    return fail(ErrorCode::address_in_use,
                std::format("{} exists and is not a socket: choose another path", path.native()));
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return fail(base::errno_error(errno, "cannot open a socket"));
  const asio::local::stream_protocol::endpoint endpoint(path.native());
  const int connected =
      connect(probe, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ? 0 : errno;
  ::close(probe);
  if (connected != ECONNREFUSED)
    return fail(ErrorCode::address_in_use,
                std::format("somebody listens on {}: stop that program or choose another path",
                            path.native()));
  if (unlink(path.c_str()) != 0)
    return fail(base::errno_error(errno, "cannot remove the old socket " + path.native()));
  return {};
}

base::Error listen_error(const error_code& ec, const std::string& what) {
  if (ec == asio::error::address_in_use)
    return {ErrorCode::address_in_use,
            std::format("{} is in use: stop the program that listens there or choose another "
                        "address",
                        what)};
  if (ec == asio::error::access_denied)
    return {ErrorCode::permission_denied,
            std::format("not allowed to listen on {}: choose a port above 1023, or a folder of "
                        "yours",
                        what)};
  return {ErrorCode::invalid_argument, socket_error(ec, "cannot listen on " + what).message};
}

class AsioServer final : public Server {
 public:
  AsioServer(platform::AsioLoop& loop, Handler& handler, ServerLimits limits)
      : context_{.loop = loop, .handler = handler, .limits = limits} {}
  AsioServer(const AsioServer&) = delete;
  AsioServer& operator=(const AsioServer&) = delete;
  ~AsioServer() override {
    for (const auto& file : files_) file.remove();
  }

  base::Result<std::uint16_t> listen(const ListenAddress& address) override;
  base::Status listen_unix(const std::filesystem::path& path) override;
  void stop_accepting() override;
  base::Task<void> drain(base::Micros limit) override;
  std::size_t connections() const override { return connections_.size(); }
  std::size_t exchanges() const override { return context_.exchanges; }

 private:
  base::Status open(Acceptor& acceptor, const StreamProtocol::endpoint& endpoint,
                    const std::string& what) const;
  void start(Acceptor acceptor);
  base::Task<void> accept_all(Acceptor& acceptor);
  void welcome(Socket socket, const StreamProtocol::endpoint& peer);
  base::Task<void> serve(std::unique_ptr<Connection> connection);
  base::Task<void> turn_away(std::unique_ptr<Connection> connection);

  ServerContext context_;
  base::CancelSource stopping_;
  std::list<Acceptor> acceptors_;  // each used by its accept_all()
  std::vector<SocketFile> files_;
  std::set<Connection*> connections_;  // each owned by its serve()
  std::set<Connection*> refused_;      // each owned by its turn_away()
  std::uint64_t accepted_ = 0;
  base::TaskScope scope_;
};

base::Status AsioServer::open(Acceptor& acceptor, const StreamProtocol::endpoint& endpoint,
                              const std::string& what) const {
  error_code ec;
  acceptor.open(endpoint.protocol(), ec);
  if (ec) return fail(listen_error(ec, what));
  const int descriptor = acceptor.native_handle();
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  if (endpoint.protocol().family() == AF_UNIX)
    fchmod(descriptor, 0600);  // so that the file is born with this mode
  else
    acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail(listen_error(ec, what));
  return {};
}

base::Result<std::uint16_t> AsioServer::listen(const ListenAddress& address) {
  std::string_view host = address.host;
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code ec;
  const auto ip = asio::ip::make_address(host, ec);
  if (ec)
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' is not an IP address or 'localhost': give one to listen on",
                            address.host));
  const auto what = ip.is_v6() ? std::format("[{}]:{}", ip.to_string(), address.port)
                               : std::format("{}:{}", ip.to_string(), address.port);
  Acceptor acceptor(context_.loop.context());
  TRY(open(acceptor, asio::ip::tcp::endpoint(ip, address.port), what));
  asio::ip::tcp::endpoint bound;
  const auto local = acceptor.local_endpoint(ec);
  if (ec) return fail(listen_error(ec, what));
  std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
  start(std::move(acceptor));
  return bound.port();
}

base::Status AsioServer::listen_unix(const std::filesystem::path& path) {
  if (path.empty() || path.native().size() > kUnixPathBytesMax)
    return fail(ErrorCode::invalid_argument,
                std::format("the socket path '{}' has {} bytes: choose one of at most {}",
                            path.native(), path.native().size(), kUnixPathBytesMax));
  TRY(clear_stale_socket(path));
  Acceptor acceptor(context_.loop.context());
  TRY(open(acceptor, asio::local::stream_protocol::endpoint(path.native()), path.native()));
  struct stat made{};
  if (chmod(path.c_str(), 0600) != 0 || lstat(path.c_str(), &made) != 0)
    return fail(base::errno_error(errno, "cannot protect the socket " + path.native()));
  files_.push_back({path, made.st_dev, made.st_ino});
  start(std::move(acceptor));
  return {};
}

void AsioServer::start(Acceptor acceptor) {
  scope_.spawn(accept_all(acceptors_.emplace_back(std::move(acceptor))));
}

base::Task<void> AsioServer::accept_all(Acceptor& acceptor) {
  while (!stopping_.cancelled()) {
    Socket socket(context_.loop.context());
    StreamProtocol::endpoint peer;
    base::Completion<error_code> accepted;
    acceptor.async_accept(socket, peer, [&](const error_code& ec) {
      context_.loop.turn("http.accept", [&] { accepted.complete(ec); });
    });
    const error_code ec = co_await accepted;
    if (!ec)
      welcome(std::move(socket), peer);
    else if (!stopping_.cancelled())
      static_cast<void>(co_await base::sleep_for(context_.loop, kAcceptPause, stopping_.token()));
  }
}

void AsioServer::welcome(Socket socket, const StreamProtocol::endpoint& peer) {
  if (stopping_.cancelled()) return;
  const bool full = connections_.size() >= context_.limits.connections_max;
  if (full && refused_.size() >= kRefusedConnectionsMax) return;
  prepare(socket);
  auto connection =
      std::make_unique<Connection>(context_, std::move(socket), describe(peer, ++accepted_));
  scope_.spawn(full ? turn_away(std::move(connection)) : serve(std::move(connection)));
}

base::Task<void> AsioServer::serve(std::unique_ptr<Connection> connection) {
  connections_.insert(connection.get());
  co_await connection->run();
  connections_.erase(connection.get());
}

base::Task<void> AsioServer::turn_away(std::unique_ptr<Connection> connection) {
  refused_.insert(connection.get());
  co_await connection->run_refused(
      {503,
       {ErrorCode::overloaded, std::format("{} connections are open, which is the most: try again",
                                           context_.limits.connections_max)}});
  refused_.erase(connection.get());
}

void AsioServer::stop_accepting() {
  if (stopping_.cancelled()) return;
  context_.draining = true;
  stopping_.cancel();
  for (auto& acceptor : acceptors_) {
    error_code ignored;
    acceptor.close(ignored);
  }
  for (Connection* connection : connections_) connection->close_if_idle();
}

base::Task<void> AsioServer::drain(base::Micros limit) {
  stop_accepting();
  const auto& clock = context_.loop.clock();
  const auto until = clock.mono_now() + std::min(limit, kDrainMax);
  while (context_.exchanges > 0 && clock.mono_now() < until) {
    const auto left = std::chrono::ceil<base::Micros>(until - clock.mono_now());
    static_cast<void>(co_await context_.no_exchanges.wait(left));
  }
  for (Connection* connection : connections_) connection->cut();
  for (Connection* connection : refused_) connection->cut();
  co_await scope_.join();
}

}  // namespace

std::unique_ptr<Server> Server::create(platform::AsioLoop& loop, Handler& handler,
                                       ServerLimits limits) {
  return std::make_unique<AsioServer>(loop, handler, limits);
}

}  // namespace ingle::http
