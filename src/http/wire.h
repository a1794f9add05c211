// HTTP/1.1 between bytes and messages, for server and client: reads strictly what strangers send,
// writes heads. Private to http/; knows no sockets. Wraps Beast's parser (wire.cpp alone sees it).
//
// Refused beyond what Beast refuses: folded header lines, HTTP/1.1 without one Host, more than one
// Content-Length, transfer codings other than a single "chunked", targets that do not parse.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace ingle::http {

// Why a request is not served: the status for Handler::on_refused, and the reason.
struct Refusal {
  int status = 400;
  base::Error error;
};

// Reads one request after the other.
class RequestReader {
 public:
  RequestReader(std::size_t header_bytes_max, std::uint64_t body_bytes_max);
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;
  ~RequestReader();

  // Makes ready for the next request.
  void reset();
  // Reads on and says how many bytes are used up; the caller brings the rest again, with more.
  // Stops at the end of the head and at the end of the request. After a refusal only reset().
  std::expected<std::size_t, Refusal> feed(std::string_view bytes);
  bool head_done() const;
  bool done() const;

  // Valid once the head is done.
  bool http11() const;
  bool keep_alive() const;
  bool expects_continue() const;
  Request& request();
  Target& target();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

enum class AnswerTo { head, other };

// Reads one response.
class ResponseReader {
 public:
  ResponseReader(std::size_t header_bytes_max, AnswerTo answer_to);
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;
  ~ResponseReader();

  // Reads the head, passing over interim answers (1xx); says how many bytes are used up.
  // Errors: upstream_error.
  base::Result<std::size_t> feed_head(std::string_view bytes);
  bool head_done() const;
  const Response& head() const;

  struct Piece {
    std::size_t used = 0;     // of the input
    std::string_view body{};  // lies in the input
  };
  // Takes all body bytes out of the input. Where framing lies between them they are moved together,
  // in place, so that a burst of small chunks is one piece. Errors: upstream_error.
  base::Result<Piece> feed_body(std::span<char> bytes);
  bool done() const;
  // The connection has ended. Errors: upstream_error, when more was promised.
  base::Status feed_end();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

enum class Framing { content_length, chunked, until_close, none };
enum class After { keep_alive, keep_alive_10, close };  // what the Connection field says

struct HeadOptions {
  Framing framing = Framing::content_length;
  std::uint64_t content_length = 0;
  After after = After::keep_alive;
};

// The head of an answer. Framing and Connection fields of `response` itself are left out; control
// characters in values become spaces, so that no value can add a line.
std::string response_head(const Response& response, const HeadOptions& options);

// The head of a request on a connection of its own. `host` is used unless the headers have one.
// Errors: invalid_argument (a target, name or value that would break the lines).
base::Result<std::string> request_head(const Request& request, std::string_view host);

// The reason phrase of a status, such as "Not Found"; "Unknown" for an unknown one.
std::string_view reason_phrase(int status);

}  // namespace ingle::http
