// Streams and clients that leave: what a handler sees of the other side while it writes or waits,
// and what the other side sees of a handler that stops. Raw sockets play the clients.
#include <gtest/gtest.h>

#include <atomic>
#include <format>

#include "http/rig_test.h"
#include "http/server.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::Task;

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

TEST(Stream, WritesOneChunkPerPiece) {
  ServerRig rig([](Exchange& exchange) -> Task<void> {
    EXPECT_TRUE(co_await exchange.begin_stream({.headers = {{"Content-Type", "text/plain"}}}));
    EXPECT_TRUE(co_await exchange.write("hello"));
    EXPECT_TRUE(co_await exchange.write(""));
    EXPECT_TRUE(co_await exchange.write(std::string(300, 'x')));
    EXPECT_TRUE(co_await exchange.end_stream());
  });
  RawSocket client(rig.port());
  for (int i = 0; i < 2; ++i) {  // the connection stays
    client.send(kGet);
    EXPECT_EQ(client.read_until("0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
              "5\r\nhello\r\n12c\r\n" +
                  std::string(300, 'x') + "\r\n0\r\n\r\n");
  }
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_to_end(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
            "Connection: close\r\n\r\n");
}

TEST(Stream, EndsWithTheConnectionInHttp10) {
  ServerRig rig([](Exchange& exchange) -> Task<void> {
    EXPECT_TRUE(co_await exchange.begin_stream({}));
    EXPECT_TRUE(co_await exchange.write("hello"));
    EXPECT_TRUE(co_await exchange.end_stream());
  });
  RawSocket client(rig.port());
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.read_to_end(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
}

TEST(Stream, IsCutWhenItsHandlerStops) {
  ServerRig rig([](Exchange& exchange) -> Task<void> {
    EXPECT_TRUE(co_await exchange.begin_stream({}));
    EXPECT_TRUE(co_await exchange.write("half"));
  });
  RawSocket client(rig.port());
  client.send(kGet);
  EXPECT_TRUE(client.read_to_end().ends_with("4\r\nhalf\r\n")) << "no last chunk";
  RawSocket old(rig.port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.read_to_end().ends_with("<reset>"));
}

// What a handler that writes without end has got rid of.
struct Flood {
  std::atomic<std::size_t> written = 0;
  std::promise<base::Error> ended;

  Task<void> serve(Exchange& exchange) {
    const std::string piece(10'000, 'x');
    static_cast<void>(co_await exchange.begin_stream({}));
    for (;;) {
      if (auto status = co_await exchange.write(piece); !status) {
        ended.set_value(status.error());
        co_return;
      }
      written += piece.size();
    }
  }
  // Waits until the handler gets no further.
  std::size_t await_stop(LoopThread& thread) {
    std::size_t seen = 0;
    int same = 0;
    thread.await([&] {
      same = written > 0 && seen == written ? same + 1 : 0;
      seen = written;
      return same == 1000;
    });
    return seen;
  }
};

TEST(Stream, WaitsForASlowClient) {
  Flood flood;
  ServerRig rig([&](Exchange& exchange) { return flood.serve(exchange); },
                {.stream_buffer_bytes_max = 100'000});
  RawSocket client(rig.port(), 16 * 1024);
  client.send(kGet);
  const auto stopped_at = flood.await_stop(rig.thread());
  EXPECT_LT(stopped_at, 64u << 20);
  client.read_until("\r\n\r\n");
  // It goes on once the client reads.
  while (flood.written < stopped_at + 5'000'000)
    ASSERT_EQ(client.read_bytes(100'000).size(), 100'000u);
  client.close();
  EXPECT_EQ(flood.ended.get_future().get().code, ErrorCode::cancelled);
}

TEST(Stream, CutsAClientThatReadsNothing) {
  Flood flood;
  ServerRig rig([&](Exchange& exchange) { return flood.serve(exchange); },
                {.write_timeout = base::Seconds(1)});
  RawSocket client(rig.port(), 16 * 1024);
  client.send(kGet);
  EXPECT_EQ(flood.ended.get_future().get().code, ErrorCode::cancelled);
}

TEST(Stream, ArrivesWholeThroughASmallBuffer) {
  ServerRig rig(
      [](Exchange& exchange) -> Task<void> {
        EXPECT_TRUE(co_await exchange.begin_stream({}));
        for (int i = 0; i < 50'000; ++i)
          EXPECT_TRUE(co_await exchange.write(std::format("{} ", i)));
        EXPECT_TRUE(co_await exchange.write(std::string(1'000'000, 'y')));
        EXPECT_TRUE(co_await exchange.end_stream());
      },
      {.stream_buffer_bytes_max = 2000});
  RawSocket client(rig.port(), 16 * 1024);
  client.send(kGet);
  client.read_until("\r\n\r\n");
  std::string body;
  for (;;) {
    const auto size = std::stoul(client.read_until("\r\n"), nullptr, 16);
    body += client.read_bytes(size);
    EXPECT_EQ(client.read_bytes(2), "\r\n");
    if (size == 0) break;
  }
  std::string whole;
  for (int i = 0; i < 50'000; ++i) whole += std::format("{} ", i);
  EXPECT_TRUE(body == whole + std::string(1'000'000, 'y'));
}

// --- clients that leave

// A handler that waits for its client to go; says when it waits and when it has seen it.
struct Waiting {
  LoopThread* thread = nullptr;
  std::promise<void> waits;
  std::promise<void> gone;

  Task<void> serve(Exchange& exchange) {
    if (exchange.target().path == "/stream") static_cast<void>(co_await exchange.begin_stream({}));
    base::Gate never(thread->loop());
    waits.set_value();
    EXPECT_FALSE(co_await never.wait(exchange.client_gone()));
    EXPECT_TRUE(exchange.client_gone().cancelled());
    if (exchange.target().path == "/stream")
      EXPECT_EQ((co_await exchange.write("x")).error().code, ErrorCode::cancelled);
    else
      EXPECT_EQ((co_await exchange.respond({})).error().code, ErrorCode::cancelled);
    gone.set_value();
  }
};

void expect_gone(const char* request, const std::function<void(RawSocket&)>& leave) {
  Waiting waiting;
  ServerRig rig([&](Exchange& exchange) { return waiting.serve(exchange); });
  waiting.thread = &rig.thread();
  RawSocket client(rig.port());
  client.send(request);
  waiting.waits.get_future().wait();
  leave(client);
  EXPECT_EQ(waiting.gone.get_future().wait_for(kPatience), std::future_status::ready) << request;
  rig.thread().await([&] { return rig.server().connections() == 0; });
}

TEST(ClientGone, IsSeenWhileTheHandlerWaits) {
  for (const char* request :
       {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"}) {
    expect_gone(request, [](RawSocket& client) { client.close(); });
    expect_gone(request, [](RawSocket& client) { client.reset(); });
    expect_gone(request, [](RawSocket& client) { client.end_sending(); });
    expect_gone(request, [](RawSocket& client) {  // behind an early next request
      client.send(kGet + kGet);
      client.close();
    });
  }
}

TEST(ClientGone, DoesNotComeFromAnEarlyNextRequest) {
  std::promise<void> first_waits;
  base::Gate* release = nullptr;
  int served = 0;
  ServerRig rig([&](Exchange& exchange) -> Task<void> {
    if (served++ == 0) {
      base::Gate gate(rig.thread().loop());
      release = &gate;
      first_waits.set_value();
      EXPECT_TRUE(co_await gate.wait(exchange.client_gone()));
    }
    EXPECT_TRUE(co_await exchange.respond({.body = exchange.target().path}));
  });
  RawSocket client(rig.port());
  client.send(kGet);
  first_waits.get_future().wait();
  // More than the input buffer holds; the rest waits in the kernel.
  std::string next = "POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
  client.send(next + std::string(100'000, 'x'));
  rig.thread().call([&] { release->set(); });
  EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\n/"));
  EXPECT_TRUE(client.read_answer().ends_with("/next"));
}

}  // namespace
}  // namespace ingle::http
