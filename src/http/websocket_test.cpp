// WebSockets between our server and our client, and against a raw socket that misbehaves: echo,
// limits, closing from either side, overflow, silence.
#include <gtest/gtest.h>

#include <format>

#include "http/client.h"
#include "http/rig_test.h"
#include "http/server.h"

namespace ingle::http {
namespace {

using base::CancelSource;
using base::ErrorCode;
using base::Task;

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// Sends back what comes, until the end; keeps how it ended.
struct Echo {
  std::promise<base::Error> ended;

  Task<void> serve(Exchange& exchange) {
    EXPECT_TRUE(exchange.is_upgrade());
    auto socket = co_await exchange.upgrade();
    EXPECT_TRUE(socket) << socket.error().text();
    for (;;) {
      auto message = co_await (*socket)->receive();
      if (!message) {
        ended.set_value(message.error());
        co_return;
      }
      if (message->data == "close") (*socket)->close(4001, "as asked");
      static_cast<void>((*socket)->send(std::move(*message)));
    }
  }
};

// Echo's server, and a client connected to it.
struct Pair {
  Echo echo{};
  ServerRig server;
  LoopThread thread{};
  std::unique_ptr<Client> client = Client::create(thread.loop(), {});
  CancelSource cancel{};
  std::unique_ptr<WebSocket> socket{};

  explicit Pair(ServerLimits limits = {})
      : server([this](Exchange& exchange) { return echo.serve(exchange); }, limits) {
    auto opened = thread.run(
        client->open_websocket(server.endpoint(), "/ws", {{"X-Key", "k"}}, cancel.token()));
    EXPECT_TRUE(opened) << opened.error().text();
    if (opened) socket = std::move(*opened);
  }
  ~Pair() {
    thread.call([&] { socket.reset(); });
  }

  base::Status send(std::string data, bool binary = false) {
    return thread.call([&] { return socket->send({std::move(data), binary}); });
  }
  base::Result<WebSocket::Message> receive() { return thread.run(socket->receive()); }
  base::Error echo_end() { return echo.ended.get_future().get(); }
};

TEST(WebSocket, CarriesMessagesBothWays) {
  Pair pair;
  EXPECT_TRUE(pair.send("text \xc3\xa9"));
  EXPECT_TRUE(pair.send(std::string("\0\xff", 2), true));
  EXPECT_TRUE(pair.send(""));
  EXPECT_TRUE(pair.send(std::string(1 << 20, 'x')));
  EXPECT_EQ(pair.receive()->data, "text \xc3\xa9");
  const auto binary = pair.receive();
  EXPECT_EQ(binary->data, std::string("\0\xff", 2));
  EXPECT_TRUE(binary->binary);
  EXPECT_EQ(pair.receive()->data, "");
  EXPECT_EQ(pair.receive()->data.size(), 1u << 20);
}

TEST(WebSocket, KeepsOrderUnderLoad) {
  Pair pair({.ws_queue_messages_max = 10'000});
  constexpr int kMessages = 900;
  pair.thread.call([&] {
    for (int i = 0; i < kMessages; ++i)
      EXPECT_TRUE(pair.socket->send({std::to_string(i) + std::string(1000, ' ')}));
  });
  for (int i = 0; i < kMessages; ++i) EXPECT_EQ(std::stoi(pair.receive()->data), i);
}

TEST(WebSocket, TellsTheOtherSideWhyItCloses) {
  Pair pair;
  EXPECT_TRUE(pair.send("close"));
  const auto end = pair.receive();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(end.error().message.contains("4001: as asked")) << end.error().message;
  EXPECT_EQ(pair.send("late").error().code, ErrorCode::cancelled);
  EXPECT_EQ(pair.echo_end().code, ErrorCode::cancelled);
}

TEST(WebSocket, EndsWithItsHandle) {
  Pair pair;
  pair.thread.call([&] { pair.socket.reset(); });
  const auto end = pair.echo_end();
  EXPECT_TRUE(end.message.contains("1000")) << end.message;
  pair.server.thread().await([&] { return pair.server.server().connections() == 0; });
}

TEST(WebSocket, EndsWhenTheClientCancels) {
  Pair pair;
  pair.thread.call([&] { pair.cancel.cancel(); });
  EXPECT_EQ(pair.receive().error().code, ErrorCode::cancelled);
  EXPECT_EQ(pair.echo_end().code, ErrorCode::cancelled);
}

TEST(WebSocket, RefusesLargeMessages) {
  Pair pair({.ws_message_bytes_max = 1000});
  EXPECT_TRUE(pair.send(std::string(1000, 'x')));
  EXPECT_EQ(pair.receive()->data.size(), 1000u);
  EXPECT_TRUE(pair.send(std::string(1001, 'x')));
  EXPECT_EQ(pair.echo_end().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(pair.receive().error().code, ErrorCode::cancelled);
}

TEST(WebSocket, IsCutByTheDrain) {
  Pair pair;
  pair.server.drain(base::Millis(1));
  EXPECT_EQ(pair.echo_end().code, ErrorCode::cancelled);
  EXPECT_FALSE(pair.receive());
}

// Sends without end to whoever connects.
TEST(WebSocket, OverflowsRatherThanGrow) {
  std::promise<base::Error> refused;
  std::promise<base::Error> ended;
  ServerRig server(
      [&](Exchange& exchange) -> Task<void> {
        auto socket = co_await exchange.upgrade();
        EXPECT_TRUE(socket);
        for (;;) {
          if (auto sent = (*socket)->send({std::string(100'000, 'x')}); !sent) {
            refused.set_value(sent.error());
            break;
          }
          EXPECT_LE((*socket)->queued(), 8u);
          co_await base::yield(server.thread().loop());
        }
        ended.set_value((co_await (*socket)->receive()).error());
      },
      {.ws_queue_messages_max = 8});
  RawSocket client(server.port(), 16 * 1024);
  client.send(kUpgrade);
  EXPECT_EQ(refused.get_future().get().code, ErrorCode::overloaded);
  client.read_until("\x03\xf5too slow");  // now it reads, and finds code 1013 at the end
  client.close();
  EXPECT_EQ(ended.get_future().get().code, ErrorCode::cancelled);
}

TEST(WebSocket, ClosesASilentClient) {
  Echo echo;
  ServerRig server([&](Exchange& exchange) { return echo.serve(exchange); },
                   {.ws_ping_interval = base::Seconds(1)});
  RawSocket client(server.port());
  client.send(kUpgrade);
  client.read_until("\r\n\r\n");
  const auto end = echo.ended.get_future().get();
  EXPECT_TRUE(end.message.contains("ping")) << end.message;
  EXPECT_EQ(client.read_to_end(), std::string("\x89\0\x89\0", 4)) << "two pings";
}

TEST(WebSocket, RefusesBrokenFrames) {
  const std::string cases[] = {
      std::string("\x81\x02hi", 4),                                         // not masked
      std::string("\xf1\x80\0\0\0\0", 6),                                   // reserved bits
      std::string("\x83\x80\0\0\0\0", 6),                                   // reserved opcode
      std::string("\x81\x82\0\0\0\0\xc3\x28", 8),                           // not UTF-8
      std::string("\x80\x80\0\0\0\0", 6),                                   // continues nothing
      std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14),  // 2^64 bytes
      std::string("\x09\x80\0\0\0\0", 6),                                   // a ping in fragments
  };
  for (const auto& frame : cases) {
    Echo echo;
    ServerRig server([&](Exchange& exchange) { return echo.serve(exchange); });
    RawSocket client(server.port());
    client.send(kUpgrade);
    client.read_until("\r\n\r\n");
    client.send(frame);
    EXPECT_TRUE(client.read_to_end().starts_with("\x88")) << "a close frame, then the end";
    client.close();
    const auto code = echo.ended.get_future().get().code;
    EXPECT_TRUE(code == ErrorCode::cancelled || code == ErrorCode::limit_exceeded);
  }
}

TEST(WebSocket, RefusesBadHandshakes) {
  ServerRig server([](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade();
    EXPECT_FALSE(socket);
    EXPECT_EQ(socket.error().code, ErrorCode::malformed);
    EXPECT_TRUE(co_await exchange.respond({.status = 400}));
  });
  const auto changed = [](std::string_view from, std::string_view to) {
    std::string text(kUpgrade);
    return text.replace(text.find(from), from.size(), to);
  };
  for (const auto& text :
       {changed("GET", "POST"), changed("Version: 13", "Version: 12"),
        changed("Upgrade: websocket", "Upgrade: h2c"), changed("Connection: Upgrade", "X: y"),
        changed("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: short"), changed("HTTP/1.1", "HTTP/1.0"),
        std::string(kUpgrade) + "early data"}) {
    RawSocket client(server.port());
    client.send(text);
    EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 400 ")) << text;
  }
}

TEST(WebSocket, SaysWhenTheServerDeclines) {
  ServerRig server([](Exchange& exchange) -> Task<void> {
    EXPECT_TRUE(co_await exchange.respond({.status = 401}));
  });
  LoopThread thread;
  auto client = Client::create(thread.loop(), {});
  const auto opened = thread.run(client->open_websocket(server.endpoint(), "/ws", {}, {}));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::upstream_error);
  EXPECT_TRUE(opened.error().message.contains("401 Unauthorized")) << opened.error().message;
}

}  // namespace
}  // namespace ingle::http
