// The client against our own server, and against a test that plays a broken one on a raw socket:
// whole answers, streams, bodies cut short, time limits and cancellation at each stage.
#include "http/client.h"

#include <gtest/gtest.h>

#include <format>

#include "http/rig_test.h"
#include "testing/temp_folder.h"

namespace ingle::http {
namespace {

using base::CancelSource;
using base::CancelToken;
using base::ErrorCode;
using base::Result;
using base::Task;

// A client on a loop thread of its own.
struct ClientRig {
  LoopThread thread;
  ClientLimits limits{};

  Result<Response> fetch(Endpoint endpoint, Request request, CancelToken cancel = {}) {
    auto client = Client::create(thread.loop(), limits);
    return thread.run(client->fetch(std::move(endpoint), std::move(request), std::move(cancel)));
  }
  // What a fetch from a server that sends just this (and then closes) comes to.
  Result<Response> fetch_from(const std::string& answer_text) {
    RawListener listener;
    auto server = std::async(std::launch::async, [&] {
      auto peer = listener.accept();
      peer.read_until("\r\n\r\n");
      peer.send(answer_text);
    });
    return fetch(listener.endpoint(), {.target = "/"});
  }
};

TEST(Client, FetchesOverTcpAndUnixSockets) {
  const testing::TempFolder folder;
  ServerRig server([](Exchange& exchange) -> Task<void> {
    const auto& request = exchange.request();
    EXPECT_TRUE(co_await exchange.respond(
        {.status = 201,
         .headers = {{"X-Note", "n"}},
         .body = std::format("{} {} {} {}", method_name(request.method), request.target,
                             request.body, *request.headers.get("Host"))}));
  });
  ASSERT_TRUE(server.thread().call([&] { return server.server().listen_unix(folder / "s"); }));
  ClientRig client;
  const Request request{.method = Method::post, .target = "/a?b", .body = "body"};
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto response = client.fetch(TcpEndpoint{host, server.port()}, request);
    ASSERT_TRUE(response) << response.error().text();
    EXPECT_EQ(response->status, 201);
    EXPECT_EQ(response->headers.get("x-note"), "n");
    EXPECT_EQ(response->body, std::format("POST /a?b body 127.0.0.1:{}", server.port()));
  }
  EXPECT_EQ(client.fetch(UnixEndpoint{folder / "s"}, request)->body, "POST /a?b body localhost");
  EXPECT_EQ(client.fetch(server.endpoint(), {.method = Method::head, .target = "/"})->body, "");
}

TEST(Client, CarriesLargeBodiesBothWays) {
  ServerRig server([](Exchange& exchange) -> Task<void> {
    auto request = exchange.take_request();
    EXPECT_TRUE(co_await exchange.respond({.body = std::move(request.body)}));
  });
  ClientRig client;
  std::string body;
  while (body.size() < 8'000'000) body += std::format("{},", body.size());
  const auto response =
      client.fetch(server.endpoint(), {.method = Method::post, .target = "/", .body = body});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_TRUE(response->body == body);
}

TEST(Client, StreamsPiecesAsTheyCome) {
  base::Gate* go_on = nullptr;
  ServerRig server([&](Exchange& exchange) -> Task<void> {
    base::Gate gate(server.thread().loop());
    go_on = &gate;
    EXPECT_TRUE(co_await exchange.begin_stream({}));
    EXPECT_TRUE(co_await exchange.write("one"));
    EXPECT_TRUE(co_await gate.wait(exchange.client_gone()));
    EXPECT_TRUE(co_await exchange.write("two"));
    EXPECT_TRUE(co_await exchange.end_stream());
  });
  ClientRig rig;
  auto client = Client::create(rig.thread.loop(), {});
  rig.thread.run([&]() -> Task<void> {
    auto stream = co_await client->open(server.endpoint(), {.target = "/"}, {});
    EXPECT_TRUE(stream) << stream.error().text();
    EXPECT_EQ((*stream)->head().status, 200);
    EXPECT_EQ(co_await (*stream)->read(), "one");
    server.thread().loop().post([&] { go_on->set(); });
    EXPECT_EQ(co_await (*stream)->read(), "two");
    EXPECT_EQ(co_await (*stream)->read(), "");
    EXPECT_EQ(co_await (*stream)->read(), "");
  }());
}

TEST(Client, ClosesWhenTheStreamIsDropped) {
  std::promise<void> gone;
  ServerRig server([&](Exchange& exchange) -> Task<void> {
    EXPECT_TRUE(co_await exchange.begin_stream({}));
    base::Gate never(server.thread().loop());
    EXPECT_FALSE(co_await never.wait(exchange.client_gone()));
    gone.set_value();
  });
  ClientRig rig;
  auto client = Client::create(rig.thread.loop(), {});
  rig.thread.run([&]() -> Task<void> {
    EXPECT_TRUE(co_await client->open(server.endpoint(), {.target = "/"}, {}));
  }());
  EXPECT_EQ(gone.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(Client, TellsAnAnswerThatIsCut) {
  ClientRig client;
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& text :
       {std::string(), std::string("HTTP/1.1 200 OK\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), chunked,
        chunked + "5\r\nhello\r\n", chunked + "5\r\nhello\r\n0\r\n", chunked + "5\r\nhel",
        chunked + "nonsense\r\n", std::string("220 smtp ready\r\n"),
        std::string("HTTP/1.1 101 Switching Protocols\r\n\r\n")}) {
    const auto response = client.fetch_from(text);
    ASSERT_FALSE(response) << text;
    EXPECT_EQ(response.error().code, ErrorCode::upstream_error) << text;
  }
  EXPECT_EQ(client.fetch_from(chunked + "5\r\nhello\r\n0\r\n\r\n")->body, "hello");
  EXPECT_EQ(client.fetch_from("HTTP/1.1 200 OK\r\n\r\nto the end")->body, "to the end");
}

TEST(Client, KeepsToItsLimits) {
  ClientRig client;
  client.limits.header_bytes_max = 1000;
  client.limits.body_bytes_max = 10;
  const auto head = client.fetch_from("HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x'));
  EXPECT_EQ(head.error().code, ErrorCode::upstream_error) << head.error().text();
  const auto body = client.fetch_from("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901");
  EXPECT_EQ(body.error().code, ErrorCode::limit_exceeded);
}

TEST(Client, SaysWhyItCannotConnect) {
  const testing::TempFolder folder;
  ClientRig client;
  std::uint16_t unused = 0;
  {
    ServerRig closed(answer(""));
    unused = closed.port();
  }
  EXPECT_EQ(client.fetch(TcpEndpoint{"127.0.0.1", unused}, {.target = "/"}).error().code,
            ErrorCode::io_error);
  EXPECT_EQ(client.fetch(UnixEndpoint{folder / "none"}, {.target = "/"}).error().code,
            ErrorCode::io_error);
  EXPECT_EQ(client.fetch(TcpEndpoint{"example.org", 80}, {.target = "/"}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(client.fetch(UnixEndpoint{std::string(108, 'x')}, {.target = "/"}).error().code,
            ErrorCode::invalid_argument);
}

TEST(Client, ReadsAnAnswerThatComesBeforeTheBodyIsSent) {
  ServerRig server(answer(""), {.body_bytes_max = 1000});
  ClientRig client;
  const auto response =
      client.fetch(server.endpoint(),
                   {.method = Method::post, .target = "/", .body = std::string(3'000'000, 'x')});
  ASSERT_TRUE(response) << response.error().text();
  EXPECT_EQ(response->status, 413);
}

TEST(Client, GivesUpInTime) {
  ClientRig client;
  client.limits.head_timeout = base::Seconds(1);
  client.limits.read_timeout = base::Seconds(1);
  for (const char* text : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"}) {
    RawListener listener;
    std::promise<void> over;
    auto server = std::async(std::launch::async, [&] {
      auto peer = listener.accept();
      peer.read_until("\r\n\r\n");
      peer.send(text);
      over.get_future().wait();
    });
    EXPECT_EQ(client.fetch(listener.endpoint(), {.target = "/"}).error().code, ErrorCode::timeout);
    over.set_value();
  }
}

TEST(Client, StopsAtOnceWhenCancelled) {
  for (const char* text : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"}) {
    ClientRig client;
    CancelSource cancel;
    RawListener listener;
    std::string seen;
    auto server = std::async(std::launch::async, [&] {
      auto peer = listener.accept();
      peer.read_until("\r\n\r\n");
      peer.send(text);
      client.thread.call([&] { cancel.cancel(); });
      seen = peer.read_to_end();  // ends because the client closes
    });
    const auto response = client.fetch(listener.endpoint(), {.target = "/"}, cancel.token());
    EXPECT_EQ(response.error().code, ErrorCode::cancelled);
    server.get();
    EXPECT_TRUE(seen.empty() || seen == "<reset>") << seen;
  }
  ClientRig client;
  CancelSource before;
  before.cancel();
  RawListener listener;
  EXPECT_EQ(client.fetch(listener.endpoint(), {.target = "/"}, before.token()).error().code,
            ErrorCode::cancelled);
}

}  // namespace
}  // namespace ingle::http
