// Framing without sockets. Each message is read at once and byte by byte, because a stranger
// decides where the pieces end; hostile ones are named case by case.
#include "http/wire.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ingle::http {
namespace {

constexpr std::size_t kHeaderMax = 1024;
constexpr std::uint64_t kBodyMax = 100;

struct Outcome {
  int status = 0;  // 0: read whole; -1: more is awaited
  Request request{};
  std::size_t used = 0;
};

// Brings the text in pieces of `piece` bytes, as a connection would.
Outcome read_request(std::string_view text, std::size_t piece) {
  RequestReader reader(kHeaderMax, kBodyMax);
  Outcome out;
  for (std::size_t end = 0; !reader.done();) {
    if (end == text.size()) return {.status = -1};
    end = std::min(end + piece, text.size());
    for (;;) {
      const auto used = reader.feed(text.substr(out.used, end - out.used));
      if (!used) {
        EXPECT_FALSE(used.error().error.message.empty());
        return {.status = used.error().status};
      }
      out.used += *used;
      if (*used == 0 || reader.done()) break;
    }
  }
  out.request = reader.request();
  return out;
}

void expect_status(std::string_view text, int status) {
  EXPECT_EQ(read_request(text, text.size()).status, status) << text;
  EXPECT_EQ(read_request(text, 1).status, status) << "byte by byte: " << text;
}

TEST(RequestReader, ReadsPlainRequests) {
  const std::string_view text =
      "POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Note:  two words \r\nContent-Length: 5\r\n\r\nhello";
  for (const std::size_t piece : {1uz, 7uz, text.size()}) {
    const auto out = read_request(text, piece);
    ASSERT_EQ(out.status, 0);
    EXPECT_EQ(out.used, text.size());
    EXPECT_EQ(out.request.method, Method::post);
    EXPECT_EQ(out.request.target, "/v1/x?y=1");
    EXPECT_EQ(out.request.headers.get("x-note"), "two words");
    EXPECT_EQ(out.request.body, "hello");
  }
}

TEST(RequestReader, ReadsChunkedBodies) {
  const std::string_view text =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: ignored\r\nContent-Length: 3\r\n\r\n";
  for (const std::size_t piece : {1uz, 7uz, text.size()}) {
    const auto out = read_request(text, piece);
    ASSERT_EQ(out.status, 0) << piece;
    EXPECT_EQ(out.used, text.size());
    EXPECT_EQ(out.request.body, "hello0123456789");
    EXPECT_EQ(out.request.headers.get("Trailer"), std::nullopt);
  }
}

TEST(RequestReader, LeavesTheNextRequestAlone) {
  const std::string first = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n";
  const auto out = read_request(first + " GET /2 HTTP/1.1\r\n\r\n", 1000);
  EXPECT_EQ(out.status, 0);
  EXPECT_EQ(out.used, first.size());
}

TEST(RequestReader, RefusesWhatServersReadDifferently) {
  const std::string host = " HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = "POST /" + host + "Transfer-Encoding: chunked\r\n";
  const std::string cases[] = {
      // two lengths
      "POST /" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      chunked + "Content-Length: 5\r\n\r\n0\r\n\r\n",
      "POST /" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "POST /" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      "POST /" + host + "Content-Length: 5, 5\r\n\r\nhello",
      "POST /" + host + "Content-Length: 5, 6\r\n\r\nhello",
      // lengths that are none
      "POST /" + host + "Content-Length: -1\r\n\r\n",
      "POST /" + host + "Content-Length: +5\r\n\r\nhello",
      "POST /" + host + "Content-Length: 0x5\r\n\r\nhello",
      "POST /" + host + "Content-Length:\r\n\r\n",
      "POST /" + host + "Content-Length: 99999999999999999999\r\n\r\n",
      // codings
      "POST /" + host + "Transfer-Encoding: gzip\r\n\r\n",
      "POST /" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "POST /" + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "POST /" + host + "Transfer-Encoding: xchunked\r\n\r\n",
      chunked + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      // chunks
      chunked + "\r\nxyz\r\n",
      chunked + "\r\n-1\r\n",
      chunked + "\r\n0x5\r\nhello\r\n0\r\n\r\n",
      chunked + "\r\n5\r\nhelloXX0\r\n\r\n",
      chunked + "\r\nfffffffffffffffff\r\n",
      // header lines
      "GET /" + host + "X-A: one\r\n two\r\n\r\n",
      "GET /" + host + "X-A: one\r\n\ttwo\r\n\r\n",
      "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
      "GET /" + host + "X-A : one\r\n\r\n",
      "GET /" + host + "X A: one\r\n\r\n",
      "GET /" + host + "no colon\r\n\r\n",
      "GET /" + host + ": no name\r\n\r\n",
      "GET /" + host + std::string("X-A: o\0ne\r\n\r\n", 13),
      "GET /" + host + "X-A: o\x01ne\r\n\r\n",
      "GET /" + host + "X-A: o\x7fne\r\n\r\n",
      "GET /" + host + "X-A: one\rX-B: two\r\n\r\n",
      // hosts
      "GET / HTTP/1.1\r\n\r\n",
      "GET /" + host + "Host: h\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
      // request lines
      "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
      "GET / http/1.1\r\nHost: h\r\n\r\n",
      "GET /\r\n\r\n",
      "G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
      "\x16\x03\x01\x02\r\n",  // TLS
  };
  for (const auto& text : cases) expect_status(text, 400);
}

TEST(RequestReader, RefusesLineEndsWithoutCarriageReturn) {
  for (const char* text : {"GET / HTTP/1.1\nHost: h\n\n", "GET / HTTP/1.1\r\nHost: h\n\n",
                           "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"}) {
    EXPECT_NE(read_request(text, 1000).status, 0) << text;
    EXPECT_NE(read_request(text, 1).status, 0) << text;
  }
}

TEST(RequestReader, KeepsToItsLimits) {
  const std::string host = " HTTP/1.1\r\nHost: h\r\n";
  expect_status("GET /" + host + "X: " + std::string(kHeaderMax, 'x') + "\r\n\r\n", 431);
  std::string many = "GET /" + host;
  for (int i = 0; i < 300; ++i) many += "a: b\r\n";
  expect_status(many + "\r\n", 431);
  // Refused by the length alone, before any of the body.
  expect_status("POST /" + host + "Content-Length: 101\r\n\r\n", 413);
  const std::string chunked = "POST /" + host + "Transfer-Encoding: chunked\r\n\r\n";
  expect_status(chunked + "65\r\n", 413);
  expect_status(chunked + "64\r\n" + std::string(100, 'x') + "\r\n1\r\n", 413);
  expect_status(chunked + "64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n", 0);
}

// Reads an answer that comes in pieces; "ERROR" when it is refused, "CUT" when it ends too early.
std::string read_response(std::string text, std::size_t piece, AnswerTo to = AnswerTo::other) {
  ResponseReader reader(kHeaderMax, to);
  std::string body;
  std::size_t used = 0;
  for (std::size_t end = 0; !reader.done();) {
    if (end == text.size()) return reader.feed_end() ? body : "CUT";
    end = std::min(end + piece, text.size());
    if (!reader.head_done()) {
      const auto taken = reader.feed_head(std::string_view(text).substr(used, end - used));
      if (!taken) return "ERROR";
      used += *taken;
      if (!reader.head_done()) continue;
    }
    const auto got = reader.feed_body(std::span(text).subspan(used, end - used));
    if (!got) return "ERROR";
    used += got->used;
    body += got->body;
  }
  return body;
}

TEST(ResponseReader, ReadsEveryKindOfBody) {
  const std::pair<std::string, std::string> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
       "chunked\r\n\r\n2\r\nhe\r\n1;x\r\nl\r\n2\r\nlo\r\n0\r\n\r\n",
       "hello"},
      {"HTTP/1.0 200 OK\r\n\r\nhello", "hello"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"},
      {"HTTP/1.1 204 No Content\r\n\r\n", ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
  };
  for (const auto& [text, body] : cases)
    for (const std::size_t piece : {1uz, 3uz, text.size()})
      EXPECT_EQ(read_response(text, piece), body) << piece << ": " << text;
  EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 100, AnswerTo::head), "");
}

TEST(ResponseReader, MakesOnePieceOfManyChunks) {
  std::string text = "4\r\ndata\r\n2\r\n: \r\n3\r\none\r\n5\r\ntw";
  ResponseReader reader(kHeaderMax, AnswerTo::other);
  ASSERT_TRUE(reader.feed_head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const auto piece = reader.feed_body(text);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->body, "data: onetw");
  EXPECT_EQ(piece->used, text.size());
}

TEST(ResponseReader, TellsACutBodyFromAWholeOne) {
  for (const char* text :
       {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"})
    EXPECT_EQ(read_response(text, 100), "CUT") << text;
  for (const char* text :
       {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"})
    EXPECT_EQ(read_response(text, 100), "ERROR") << text;
}

TEST(ResponseHead, KeepsValuesOnTheirLine) {
  const Response response{.status = 404,
                          .headers = {{"X-Note", "a\r\nSet-Cookie: b"}, {"Content-Length", "9"}}};
  EXPECT_EQ(response_head(response, {.content_length = 3, .after = After::close}),
            "HTTP/1.1 404 Not Found\r\nX-Note: a  Set-Cookie: b\r\nContent-Length: 3\r\n"
            "Connection: close\r\n\r\n");
}

TEST(RequestHead, RefusesWhatBreaksLines) {
  EXPECT_FALSE(request_head({.target = "no-slash"}, "h"));
  EXPECT_FALSE(request_head({.target = "/a b"}, "h"));
  EXPECT_FALSE(request_head({.target = "/a\r\nX: y"}, "h"));
  EXPECT_FALSE(request_head({.target = "/", .headers = {{"X", "a\r\nY: b"}}}, "h"));
  EXPECT_FALSE(request_head({.method = Method::other, .target = "/"}, "h"));
  EXPECT_EQ(request_head({.method = Method::post, .target = "/x", .body = "abc"}, "h"),
            "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace ingle::http
