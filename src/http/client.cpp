#include "http/client.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>
#include <format>
#include <vector>

#include "http/socket.h"
#include "http/websocket.h"
#include "http/wire.h"
#include "platform/asio_loop.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kInputBytesFirst = 16 * 1024;

struct Address {
  StreamProtocol::endpoint endpoint;
  std::string host;  // for the Host field
  std::string text;  // for messages
};

base::Result<Address> resolve(const UnixEndpoint& unix_endpoint) {
  const std::string& path = unix_endpoint.path.native();
  if (path.empty() || path.size() > kUnixPathBytesMax)
    return fail(ErrorCode::invalid_argument,
                std::format("the socket path '{}' has {} bytes: at most {} are possible", path,
                            path.size(), kUnixPathBytesMax));
  return Address{asio::local::stream_protocol::endpoint(path), "localhost", path};
}

base::Result<Address> resolve(const TcpEndpoint& tcp) {
  std::string_view host = tcp.host;
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec)
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' is not an IP address or 'localhost'", tcp.host));
  const std::string text = address.is_v6() ? std::format("[{}]:{}", address.to_string(), tcp.port)
                                           : std::format("{}:{}", address.to_string(), tcp.port);
  return Address{asio::ip::tcp::endpoint(address, tcp.port), text, text};
}

// A socket with one operation at a time, a deadline and a cancel token. Whatever ends it early
// closes the socket, so that the pending operation ends by itself, and says why in `broken_`.
class ClientSocket {
 public:
  ClientSocket(platform::AsioLoop& loop, const base::CancelToken& cancel)
      : loop_(loop), socket_(loop.context()), deadline_(loop, [this] {
          abort({ErrorCode::timeout, std::format("no answer from {} in time", peer_)});
        }) {
    cancelled_ =
        cancel.on_cancel([this] { abort({ErrorCode::cancelled, "the request was cancelled"}); });
  }
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;
  ~ClientSocket() { CHECK(!pending_, "a client's answer was dropped while somebody reads it"); }

  base::Task<base::Status> connect(const Address& address, base::Micros limit) {
    peer_ = address.text;
    if (broken_) co_return fail(*broken_);
    error_code opened;
    socket_.open(address.endpoint.protocol(), opened);
    if (opened) co_return fail(socket_error(opened, "cannot open a socket"));
    prepare(socket_);
    deadline_.set(limit);
    base::Completion<error_code> done;
    pending_ = true;
    socket_.async_connect(address.endpoint, [&](const error_code& ec) {
      loop_.turn("http.client.connect", [&] { complete(done, ec); });
    });
    const error_code ec = co_await done;
    deadline_.clear();
    if (broken_) co_return fail(*broken_);
    if (ec)
      co_return fail(ErrorCode::io_error, socket_error(ec, "cannot connect to " + peer_).message);
    co_return base::Status{};
  }

  base::Task<base::Status> write(std::string_view head, std::string_view body) {
    while (!head.empty() || !body.empty()) {
      if (broken_) co_return fail(*broken_);
      base::Completion<Moved> done;
      pending_ = true;
      const std::array<asio::const_buffer, 2> parts{asio::buffer(head), asio::buffer(body)};
      socket_.async_write_some(parts, [&](const error_code& ec, std::size_t bytes) {
        loop_.turn("http.client.write", [&] { complete(done, Moved{ec, bytes}); });
      });
      const auto [ec, bytes] = co_await done;
      if (broken_) co_return fail(*broken_);
      if (ec) co_return fail(ErrorCode::upstream_error, ended_text(ec));
      const auto of_head = std::min(bytes, head.size());
      head.remove_prefix(of_head);
      body.remove_prefix(bytes - of_head);
    }
    co_return base::Status{};
  }

  // How many bytes came; 0 at the other side's end.
  base::Task<base::Result<std::size_t>> read(std::span<char> out) {
    if (broken_) co_return fail(*broken_);
    base::Completion<Moved> done;
    pending_ = true;
    socket_.async_read_some(
        asio::buffer(out.data(), out.size()), [&](const error_code& ec, std::size_t bytes) {
          loop_.turn("http.client.read", [&] { complete(done, Moved{ec, bytes}); });
        });
    const auto [ec, bytes] = co_await done;
    if (broken_) co_return fail(*broken_);
    if (ec == asio::error::eof) co_return 0uz;
    if (ec) co_return fail(ErrorCode::upstream_error, ended_text(ec));
    co_return bytes;
  }

  Deadline& deadline() { return deadline_; }
  const std::optional<base::Error>& broken() const { return broken_; }
  const std::string& peer() const { return peer_; }
  // For a WebSocket; this object is then spent.
  Socket take() {
    deadline_.clear();
    cancelled_.reset();
    return std::move(socket_);
  }

 private:
  struct Moved {
    error_code ec;
    std::size_t bytes;
  };

  template <class T>
  void complete(base::Completion<T>& done, T value) {
    pending_ = false;
    done.complete(std::move(value));  // last: it may end this object
  }

  std::string ended_text(const error_code& ec) const {
    return std::format("the connection to {} broke: {}", peer_, ec.message());
  }

  void abort(base::Error why) {
    if (broken_) return;
    broken_ = std::move(why);
    error_code ignored;
    socket_.close(ignored);
  }

  platform::AsioLoop& loop_;
  Socket socket_;
  std::string peer_;
  std::optional<base::Error> broken_;
  bool pending_ = false;
  Deadline deadline_;
  base::CancelRegistration cancelled_;
};

class Stream final : public ResponseStream {
 public:
  Stream(platform::AsioLoop& loop, const ClientLimits& limits, AnswerTo answer_to,
         const base::CancelToken& cancel)
      : limits_(limits),
        socket_(loop, cancel),
        reader_(limits.header_bytes_max, answer_to),
        input_(std::min(kInputBytesFirst, limits.header_bytes_max)) {}

  const Response& head() const override { return reader_.head(); }
  base::Task<base::Result<std::string_view>> read() override;
  base::Task<base::Status> open(const Address& address, std::string_view head,
                                std::string_view body);

 private:
  base::Task<base::Result<bool>> fill();  // false at the other side's end
  base::Error about(base::Error error) const {
    return std::move(error).with_context("talking to " + socket_.peer());
  }

  const ClientLimits limits_;
  ClientSocket socket_;
  ResponseReader reader_;
  std::vector<char> input_;
  std::size_t begin_ = 0;  // came and not used: [begin, end)
  std::size_t end_ = 0;
};

base::Task<base::Status> Stream::open(const Address& address, std::string_view head,
                                      std::string_view body) {
  CO_TRY(co_await socket_.connect(address, limits_.connect_timeout));
  socket_.deadline().set(limits_.head_timeout);
  // A server may answer and close before it has read everything: then the answer counts.
  const auto written = co_await socket_.write(head, body);
  if (!written && socket_.broken()) co_return written;
  while (!reader_.head_done()) {
    auto filled = co_await fill();
    if (!filled) co_return written ? fail(std::move(filled).error()) : written;
    if (!*filled)
      co_return written
          ? reader_.feed_end().transform_error([&](base::Error error) { return about(error); })
          : written;
    const auto used = reader_.feed_head({input_.data() + begin_, end_ - begin_});
    if (!used) co_return fail(about(used.error()));
    begin_ += *used;
  }
  socket_.deadline().clear();
  if (reader_.head().status == 101)
    co_return fail(ErrorCode::upstream_error, "the server switched protocols without being asked");
  co_return base::Status{};
}

base::Task<base::Result<bool>> Stream::fill() {
  if (begin_ > 0) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == input_.size()) {
    if (input_.size() >= limits_.header_bytes_max)
      co_return fail(about({ErrorCode::upstream_error,
                            std::format("the answer's header is over {} bytes", input_.size())}));
    input_.resize(std::min(input_.size() * 2, limits_.header_bytes_max));
  }
  CO_TRY_ASSIGN(const std::size_t bytes, co_await socket_.read(std::span(input_).subspan(end_)));
  end_ += bytes;
  co_return bytes > 0;
}

base::Task<base::Result<std::string_view>> Stream::read() {
  for (;;) {
    if (socket_.broken()) co_return fail(*socket_.broken());
    auto piece = reader_.feed_body(std::span(input_).subspan(begin_, end_ - begin_));
    if (!piece) co_return fail(about(std::move(piece).error()));
    begin_ += piece->used;
    if (!piece->body.empty() || reader_.done()) co_return piece->body;
    socket_.deadline().set(limits_.read_timeout);
    CO_TRY_ASSIGN(const bool more, co_await fill());
    socket_.deadline().clear();
    if (!more) {
      if (auto ended = reader_.feed_end(); !ended) co_return fail(about(std::move(ended).error()));
      co_return std::string_view{};
    }
  }
}

class AsioClient final : public Client {
 public:
  AsioClient(platform::AsioLoop& loop, ClientLimits limits) : loop_(loop), limits_(limits) {}

  base::Task<base::Result<std::unique_ptr<ResponseStream>>> open(
      Endpoint endpoint, Request request, base::CancelToken cancel) override {
    CO_TRY_ASSIGN(auto stream, co_await open_stream(endpoint, request, cancel));
    co_return std::move(stream);
  }

  base::Task<base::Result<Response>> fetch(Endpoint endpoint, Request request,
                                           base::CancelToken cancel) override {
    CO_TRY_ASSIGN(const auto stream, co_await open_stream(endpoint, request, cancel));
    Response response = stream->head();
    for (;;) {
      CO_TRY_ASSIGN(const std::string_view piece, co_await stream->read());
      if (piece.empty()) co_return response;
      if (response.body.size() + piece.size() > limits_.body_bytes_max)
        co_return fail(ErrorCode::limit_exceeded,
                       std::format("the answer is over {} bytes", limits_.body_bytes_max));
      response.body.append(piece);
    }
  }

  base::Task<base::Result<std::unique_ptr<WebSocket>>> open_websocket(
      Endpoint endpoint, std::string target, Headers headers, base::CancelToken cancel) override {
    CO_TRY_ASSIGN(const Address address, resolve_any(endpoint));
    CO_TRY(request_head({.target = target, .headers = headers}, address.host));  // only checks
    ClientSocket socket(loop_, cancel);
    CO_TRY(co_await socket.connect(address, limits_.connect_timeout));
    CO_TRY_ASSIGN(auto link, co_await WebSocketLink::connect(
                                 loop_, socket.take(), address.host, std::move(target), headers,
                                 {.handshake_timeout = limits_.connect_timeout}, cancel));
    co_return link->make_handle();
  }

 private:
  static base::Result<Address> resolve_any(const Endpoint& endpoint) {
    return std::visit([](const auto& kind) { return resolve(kind); }, endpoint);
  }

  base::Task<base::Result<std::unique_ptr<Stream>>> open_stream(const Endpoint& endpoint,
                                                                const Request& request,
                                                                const base::CancelToken& cancel) {
    CO_TRY_ASSIGN(const Address address, resolve_any(endpoint));
    CO_TRY_ASSIGN(const std::string head, request_head(request, address.host));
    const auto answer_to = request.method == Method::head ? AnswerTo::head : AnswerTo::other;
    auto stream = std::make_unique<Stream>(loop_, limits_, answer_to, cancel);
    CO_TRY(co_await stream->open(address, head, request.body));
    co_return std::move(stream);
  }

  platform::AsioLoop& loop_;
  const ClientLimits limits_;
};

}  // namespace

std::unique_ptr<Client> Client::create(platform::AsioLoop& loop, ClientLimits limits) {
  return std::make_unique<AsioClient>(loop, limits);
}

}  // namespace ingle::http
