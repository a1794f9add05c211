// The server over real sockets: plain answers, keep-alive, what strangers may not do, unix sockets
// and the end. A blocking raw socket plays the client, so that every byte is the test's own.
#include "http/server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <format>

#include "http/rig_test.h"
#include "testing/temp_folder.h"

namespace ingle::http {
namespace {

using base::ErrorCode;
using base::Task;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

std::string status_line(const std::string& text) { return text.substr(0, text.find('\r')); }

// Answers with method, path, body and connection as the handler saw them.
Task<void> mirror(Exchange& exchange) {
  const auto& request = exchange.request();
  static_cast<void>(co_await exchange.respond(
      {.body = std::format("{} {} [{}] {}", method_name(request.method), exchange.target().path,
                           request.body, exchange.connection().id)}));
}

TEST(Server, AnswersAndKeepsTheConnection) {
  ServerRig rig(mirror);
  RawSocket client(rig.port());
  client.send(kGet);
  EXPECT_EQ(client.read_answer(), "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nGET /x [] c-1");
  client.send("POST /y%20z HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_TRUE(client.read_answer().ends_with("POST /y z [ab] c-1"));
  client.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\n");
  client.send("c\r\n0\r\n\r\n");
  EXPECT_TRUE(client.read_answer().ends_with("PUT / [abc] c-1"));
  client.send("GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto last = client.read_to_end();
  EXPECT_TRUE(last.contains("Connection: close\r\n")) << last;
  EXPECT_TRUE(last.ends_with("GET /end [] c-1")) << last;
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  ServerRig rig(mirror);
  RawSocket client(rig.port());
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += std::format("POST /{} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n{}", i, i % 10);
  client.send(all);
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(client.read_answer().ends_with(std::format("POST /{} [{}] c-1", i, i % 10))) << i;
}

TEST(Server, SpeaksHttp10) {
  ServerRig rig(mirror);
  RawSocket once(rig.port());
  once.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(once.read_to_end().ends_with("Connection: close\r\n\r\nGET /a [] c-1"));
  RawSocket kept(rig.port());
  for (int i = 0; i < 2; ++i) {
    kept.send("GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(kept.read_answer().contains("Connection: keep-alive\r\n"));
  }
}

TEST(Server, SendsNoBodyWhereNoneBelongs) {
  ServerRig rig([](Exchange& exchange) -> Task<void> {
    const int status = exchange.target().path == "/204" ? 204 : 200;
    static_cast<void>(co_await exchange.respond({.status = status, .body = "body"}));
  });
  RawSocket client(rig.port());
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET /204 HTTP/1.1\r\nHost: h\r\n\r\n" + kGet);
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_TRUE(client.read_answer().ends_with("\r\n\r\nbody"));
}

TEST(Server, SendsLargeAnswersWhole) {
  std::string body;
  while (body.size() < 4'000'000) body += std::format("{} ", body.size());
  ServerRig rig(answer(body));
  RawSocket client(rig.port());
  client.send(kGet);
  const auto text = client.read_answer();
  EXPECT_TRUE(text.ends_with(body));
}

TEST(Server, AsksForABodyThatWaits) {
  ServerRig rig(mirror);
  RawSocket client(rig.port());
  client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_TRUE(client.read_answer().ends_with("POST / [abc] c-1"));
}

TEST(Server, AnswersForAHandlerThatDoesNot) {
  ServerRig rig([](Exchange&) -> Task<void> { co_return; });
  RawSocket client(rig.port());
  client.send(kGet);
  EXPECT_EQ(status_line(client.read_to_end()), "HTTP/1.1 500 Internal Server Error");
}

TEST(Server, TellsTheHandlerWhoConnects) {
  ConnectionInfo seen;
  ServerRig rig([&](Exchange& exchange) -> Task<void> {
    seen = exchange.connection();
    co_await mirror(exchange);
  });
  RawSocket client(rig.port());
  client.send(kGet);
  client.read_answer();
  EXPECT_TRUE(seen.peer.starts_with("127.0.0.1:")) << seen.peer;
  EXPECT_TRUE(seen.loopback);
  EXPECT_FALSE(seen.unix_socket);
}

// --- what strangers may not do

TEST(Server, RefusesBadRequestsAndCloses) {
  std::atomic<int> handled = 0;
  ServerRig rig([&](Exchange& exchange) -> Task<void> {
    ++handled;
    co_await mirror(exchange);
  });
  RawSocket client(rig.port());
  // What follows a request that two servers could end in different places is never served.
  client.send(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
      "\r\n0\r\n\r\n" +
      kGet);
  const auto text = client.read_to_end();
  EXPECT_EQ(status_line(text), "HTTP/1.1 400 Bad Request");
  EXPECT_TRUE(text.contains("Connection: close\r\n"));
  EXPECT_TRUE(text.contains("refused: ")) << "the body is the product's";
  EXPECT_EQ(text.find("HTTP/1.1", 1), std::string::npos);
  EXPECT_EQ(handled, 0);
}

TEST(Server, RefusesOversizeHeaders) {
  ServerRig rig(mirror, {.header_bytes_max = 2048});
  RawSocket line(rig.port());
  line.send("GET /" + std::string(5000, 'x'));
  EXPECT_EQ(status_line(line.read_to_end()), "HTTP/1.1 431 Request Header Fields Too Large");
  RawSocket fields(rig.port());
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 1000; ++i) text += std::format("x-{}: y\r\n", i);
  fields.send(text);
  EXPECT_EQ(status_line(fields.read_to_end()), "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST(Server, RefusesOversizeBodiesUnread) {
  ServerRig rig(mirror, {.body_bytes_max = 1000});
  RawSocket waiting(rig.port());
  waiting.send(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(status_line(waiting.read_to_end()), "HTTP/1.1 413 Payload Too Large");
  // A client that sends all the same still gets to read the answer.
  RawSocket sending(rig.port());
  sending.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n");
  sending.send(std::string(4'000'000, 'x'));
  EXPECT_EQ(status_line(sending.read_answer()), "HTTP/1.1 413 Payload Too Large");
  RawSocket chunked(rig.port());
  chunked.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; ++i) chunked.send("190\r\n" + std::string(400, 'x') + "\r\n");
  EXPECT_EQ(status_line(chunked.read_answer()), "HTTP/1.1 413 Payload Too Large");
}

TEST(Server, EndsSlowRequests) {
  ServerRig rig(mirror, {.header_timeout = base::Seconds(1), .body_timeout = base::Seconds(1)});
  RawSocket header(rig.port());
  RawSocket body(rig.port());
  RawSocket silent(rig.port());
  header.send("GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ");
  body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(status_line(header.read_to_end()), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(status_line(body.read_to_end()), "HTTP/1.1 408 Request Timeout");
  silent.send(kGet);  // has sent nothing yet, which is not slow
  EXPECT_EQ(status_line(silent.read_answer()), "HTTP/1.1 200 OK");
}

TEST(Server, ClosesIdleConnectionsSilently) {
  ServerRig rig(mirror, {.idle_timeout = base::Seconds(1)});
  RawSocket fresh(rig.port());
  RawSocket used(rig.port());
  used.send(kGet);
  used.read_answer();
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
}

TEST(Server, TurnsAwayConnectionsOverTheLimit) {
  ServerRig rig(mirror, {.connections_max = 2});
  auto first = std::make_unique<RawSocket>(rig.port());
  RawSocket second(rig.port());
  rig.thread().await([&] { return rig.server().connections() == 2; });
  RawSocket third(rig.port());
  third.send(kGet);
  EXPECT_EQ(status_line(third.read_to_end()), "HTTP/1.1 503 Service Unavailable");
  first.reset();
  rig.thread().await([&] { return rig.server().connections() == 1; });
  RawSocket fourth(rig.port());
  fourth.send(kGet);
  EXPECT_EQ(status_line(fourth.read_answer()), "HTTP/1.1 200 OK");
}

// --- addresses

TEST(Server, SaysWhyItCannotListen) {
  ServerRig rig(mirror);
  rig.thread().call([&] {
    const auto taken = rig.server().listen({.port = rig.port()});
    EXPECT_EQ(taken.error().code, ErrorCode::address_in_use) << taken.error().text();
    for (const char* host : {"example.org", "", "1.2.3", "::g"})
      EXPECT_EQ(rig.server().listen({.host = host}).error().code, ErrorCode::invalid_argument);
    // Not an address of this machine (TEST-NET-1).
    EXPECT_EQ(rig.server().listen({.host = "192.0.2.1"}).error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(rig.server().listen({.host = "localhost"}));
  });
}

TEST(Server, ListensOnAUnixSocketOfItsUser) {
  const testing::TempFolder folder;
  const auto path = folder / "s.sock";
  {
    ConnectionInfo seen;
    ServerRig rig([&](Exchange& exchange) -> Task<void> {
      seen = exchange.connection();
      co_await mirror(exchange);
    });
    EXPECT_TRUE(rig.thread().call([&] { return rig.server().listen_unix(path); }));
    struct stat info{};
    ASSERT_EQ(lstat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    RawSocket client(path);
    client.send(kGet);
    EXPECT_EQ(status_line(client.read_answer()), "HTTP/1.1 200 OK");
    EXPECT_EQ(seen.peer, "unix");
    EXPECT_TRUE(seen.unix_socket);
    EXPECT_TRUE(seen.loopback);
    // Somebody listens here.
    ServerRig other(mirror);
    const auto taken = other.thread().call([&] { return other.server().listen_unix(path); });
    EXPECT_EQ(taken.error().code, ErrorCode::address_in_use);
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(path)));
}

TEST(Server, ReplacesOnlyDeadSockets) {
  const testing::TempFolder folder;
  const auto dead = folder / "dead.sock";
  {  // A listener that was killed leaves its file.
    ServerRig killed(mirror);
    EXPECT_TRUE(killed.thread().call([&] { return killed.server().listen_unix(dead); }));
    std::filesystem::create_hard_link(dead, folder / "kept");
  }
  std::filesystem::rename(folder / "kept", dead);
  const auto file = folder.write("file", "precious");
  ServerRig rig(mirror);
  rig.thread().call([&] {
    EXPECT_TRUE(rig.server().listen_unix(dead));
    EXPECT_EQ(rig.server().listen_unix(file).error().code, ErrorCode::address_in_use);
    const auto longest = folder / std::string(107 - folder.path().native().size() - 1, 'x');
    EXPECT_TRUE(rig.server().listen_unix(longest));
    const auto error = rig.server().listen_unix(longest.native() + "x").error();
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_TRUE(error.message.contains("107")) << error.message;
  });
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
  RawSocket client(dead);
  client.send(kGet);
  EXPECT_EQ(status_line(client.read_answer()), "HTTP/1.1 200 OK");
}

// --- the end

TEST(Server, DrainsAfterRunningExchanges) {
  std::promise<void> started;
  base::Gate* gate = nullptr;
  ServerRig rig([&](Exchange& exchange) -> Task<void> {
    base::Gate release(rig.thread().loop());
    gate = &release;
    started.set_value();
    EXPECT_TRUE(co_await release.wait());
    EXPECT_TRUE(co_await exchange.respond({.body = "late"}));
  });
  RawSocket idle(rig.port());
  RawSocket busy(rig.port());
  busy.send(kGet);
  started.get_future().wait();
  auto drained = std::async(std::launch::async, [&] { rig.drain(kPatience); });
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_FALSE(RawSocket(rig.port()).connected()) << "nobody is let in any more";
  EXPECT_EQ(drained.wait_for(base::Seconds(0)), std::future_status::timeout);
  rig.thread().call([&] { gate->set(); });
  const auto text = busy.read_to_end();
  EXPECT_TRUE(text.contains("Connection: close")) << text;
  EXPECT_TRUE(text.ends_with("late")) << text;
  drained.get();
  EXPECT_EQ(rig.thread().call([&] { return rig.server().connections(); }), 0u);
}

TEST(Server, CutsWhatOutlastsTheDrain) {
  std::promise<void> started;
  bool gone = false;
  ServerRig rig([&](Exchange& exchange) -> Task<void> {
    base::Gate never(rig.thread().loop());
    started.set_value();
    gone = !co_await never.wait(exchange.client_gone());
  });
  RawSocket client(rig.port());
  client.send(kGet);
  started.get_future().wait();
  rig.drain(base::Millis(1));
  EXPECT_TRUE(gone);
  EXPECT_EQ(rig.thread().call([&] { return rig.server().exchanges(); }), 0u);
  client.read_to_end();
}

}  // namespace
}  // namespace ingle::http
