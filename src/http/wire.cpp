#include "http/wire.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <cstring>
#include <format>
#include <limits>

#include "base/check.h"

namespace ingle::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;
using base::ErrorCode;

std::uint32_t beast_limit(std::size_t bytes) {
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
}

// Beast's callbacks, filling our messages. What a request and a response do alike.
template <bool kRequest>
class Parser : public beast_http::basic_parser<kRequest> {
 public:
  Headers* headers = nullptr;
  std::string* body_out = nullptr;  // where the body goes; null: only seen in `body_view`
  std::string_view body_view{};     // of the last put()

 protected:
  void on_field_impl(beast_http::field, BeastView name, BeastView value, error_code&) override {
    headers->add(std::string(name), std::string(value));
  }
  void on_trailer_field_impl(beast_http::field, BeastView, BeastView, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(BeastView body, error_code&) override { return take(body); }
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code&) override {
    return take(body);
  }
  void on_finish_impl(error_code&) override {}
  void on_request_impl(beast_http::verb, BeastView, BeastView, int, error_code&) override {}
  void on_response_impl(int, BeastView, int, error_code&) override {}

 private:
  std::size_t take(BeastView body) {
    body_view = body;
    if (body_out != nullptr) body_out->append(body);
    return body.size();
  }
};

class RequestParser final : public Parser<true> {
 public:
  Request request{};
  bool http11 = false;

 private:
  void on_request_impl(beast_http::verb, BeastView method, BeastView target, int version,
                       error_code&) override {
    request.method = method_from_name(method);
    request.target = std::string(target);
    http11 = version == 11;
  }
};

class ResponseParser final : public Parser<false> {
 public:
  Response response{};

 private:
  void on_response_impl(int status, BeastView, int, error_code&) override {
    response.status = status;
  }
};

// A line break followed by a blank: a header line continued on the next (obsolete, and read
// differently by different servers).
bool has_folded_line(std::string_view head) {
  for (std::size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1))
    if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')) return true;
  return false;
}

Refusal malformed(std::string why) {
  return {400, {ErrorCode::malformed, "the request is not valid HTTP: " + std::move(why)}};
}

Refusal refusal_of(const error_code& ec, std::size_t header_max, std::uint64_t body_max) {
  if (ec == beast_http::error::header_limit)
    return {431,
            {ErrorCode::limit_exceeded,
             std::format("the request's header is over {} bytes: send less", header_max)}};
  if (ec == beast_http::error::body_limit)
    return {413,
            {ErrorCode::limit_exceeded,
             std::format("the request's body is over {} bytes: send less", body_max)}};
  return malformed(ec.message());
}

}  // namespace

struct RequestReader::Impl {
  const std::size_t header_bytes_max;
  const std::uint64_t body_bytes_max;
  std::optional<RequestParser> parser{};
  Target target{};
  std::optional<Refusal> check_head();
};

// What Beast lets pass and we do not.
std::optional<Refusal> RequestReader::Impl::check_head() {
  const Headers& headers = parser->request.headers;
  const auto hosts = headers.count("Host");
  if (hosts > 1) return malformed("it has several Host fields");
  if (hosts == 0 && parser->http11) return malformed("it has no Host field");
  const auto lengths = headers.count("Content-Length");
  if (lengths > 1 || (lengths == 1 && headers.get("Content-Length")->contains(',')))
    return malformed("it has several Content-Length values");
  if (const auto coding = headers.get("Transfer-Encoding")) {
    if (lengths > 0) return malformed("it has both Content-Length and Transfer-Encoding");
    const bool plain = headers.count("Transfer-Encoding") == 1 && coding->size() == 7 &&
                       headers.has_token("Transfer-Encoding", "chunked");
    if (!plain) return malformed("its Transfer-Encoding is not 'chunked'");
  }
  auto parsed = parse_target(parser->request.target);
  if (!parsed) return malformed("its target is not a valid path");
  target = *std::move(parsed);
  return std::nullopt;
}

RequestReader::RequestReader(std::size_t header_bytes_max, std::uint64_t body_bytes_max)
    : impl_(std::make_unique<Impl>(header_bytes_max, body_bytes_max)) {
  reset();
}
RequestReader::~RequestReader() = default;

void RequestReader::reset() {
  auto& parser = impl_->parser.emplace();
  parser.headers = &parser.request.headers;
  parser.body_out = &parser.request.body;
  parser.eager(false);
  parser.header_limit(beast_limit(impl_->header_bytes_max));
  parser.body_limit(impl_->body_bytes_max);
}

std::expected<std::size_t, Refusal> RequestReader::feed(std::string_view bytes) {
  auto& parser = *impl_->parser;
  std::size_t used = 0;
  while (used < bytes.size() && !parser.is_done()) {
    const auto rest = bytes.substr(used);
    const bool in_head = !parser.is_header_done();
    // Beast reads an unfinished line again from its start: without this, a head that trickles in
    // byte by byte would cost the square of its length.
    if (in_head && !rest.contains('\n')) break;
    error_code ec;
    const auto taken = parser.put({rest.data(), rest.size()}, ec);
    if (in_head && has_folded_line(rest.substr(0, taken)))
      return std::unexpected(malformed("a header line is folded"));
    used += taken;
    if (ec == beast_http::error::need_more) break;
    if (ec) return std::unexpected(refusal_of(ec, impl_->header_bytes_max, impl_->body_bytes_max));
    if (in_head && parser.is_header_done()) {
      if (auto refusal = impl_->check_head()) return std::unexpected(*std::move(refusal));
      break;
    }
  }
  return used;
}

bool RequestReader::head_done() const { return impl_->parser->is_header_done(); }
bool RequestReader::done() const { return impl_->parser->is_done(); }
bool RequestReader::http11() const { return impl_->parser->http11; }
bool RequestReader::keep_alive() const { return impl_->parser->keep_alive(); }
bool RequestReader::expects_continue() const {
  return http11() && impl_->parser->request.headers.has_token("Expect", "100-continue");
}
Request& RequestReader::request() { return impl_->parser->request; }
Target& RequestReader::target() { return impl_->target; }

struct ResponseReader::Impl {
  const std::size_t header_bytes_max;
  const AnswerTo answer_to;
  std::optional<ResponseParser> parser{};

  void reset() {
    auto& fresh = parser.emplace();
    fresh.headers = &fresh.response.headers;
    fresh.eager(false);
    fresh.header_limit(beast_limit(header_bytes_max));
    fresh.body_limit(boost::none);
    fresh.skip(answer_to == AnswerTo::head);
  }
};

ResponseReader::ResponseReader(std::size_t header_bytes_max, AnswerTo answer_to)
    : impl_(std::make_unique<Impl>(header_bytes_max, answer_to)) {
  impl_->reset();
}
ResponseReader::~ResponseReader() = default;

namespace {

std::unexpected<base::Error> not_http(const error_code& ec) {
  return base::fail(ErrorCode::upstream_error, "the answer is not valid HTTP: " + ec.message());
}

}  // namespace

base::Result<std::size_t> ResponseReader::feed_head(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !head_done()) {
    const auto rest = bytes.substr(used);
    if (!rest.contains('\n')) break;  // see RequestReader::feed
    error_code ec;
    used += impl_->parser->put({rest.data(), rest.size()}, ec);
    if (ec == beast_http::error::need_more) break;
    if (ec) return not_http(ec);
    if (!head_done()) continue;
    const int status = head().status;
    if (status / 100 == 1 && status != 101) impl_->reset();
  }
  return used;
}

bool ResponseReader::head_done() const { return impl_->parser->is_header_done(); }
const Response& ResponseReader::head() const { return impl_->parser->response; }
bool ResponseReader::done() const { return impl_->parser->is_done(); }

base::Result<ResponseReader::Piece> ResponseReader::feed_body(std::span<char> bytes) {
  auto& parser = *impl_->parser;
  Piece piece;
  char* end = nullptr;  // of the piece
  while (piece.used < bytes.size() && !parser.is_done()) {
    const auto rest = bytes.subspan(piece.used);
    parser.body_view = {};
    error_code ec;
    piece.used += parser.put({rest.data(), rest.size()}, ec);
    if (ec && ec != beast_http::error::need_more) return not_http(ec);
    if (const auto part = parser.body_view; !part.empty()) {
      char* const from = bytes.data() + (part.data() - bytes.data());
      if (piece.body.empty())
        end = from;
      else if (end != from)
        std::memmove(end, from, part.size());
      piece.body = {piece.body.empty() ? end : piece.body.data(), piece.body.size() + part.size()};
      end += part.size();
    }
    if (ec) break;
  }
  return piece;
}

base::Status ResponseReader::feed_end() {
  auto& parser = *impl_->parser;
  error_code ec;
  if (parser.is_done()) return {};
  if (parser.got_some()) parser.put_eof(ec);
  if (!parser.got_some() || ec)
    return base::fail(ErrorCode::upstream_error, parser.got_some() && parser.is_header_done()
                                                     ? "the connection ended inside the answer"
                                                     : "the connection ended before an answer");
  return {};
}

std::string_view reason_phrase(int status) {
  if (status < 100 || status > 999) return "Unknown";
  const auto known = beast_http::int_to_status(static_cast<unsigned>(status));
  return known == beast_http::status::unknown ? "Unknown" : beast_http::obsolete_reason(known);
}

namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < ' ' && c != '\t') || byte == 0x7f;
}

bool is_framing(std::string_view name) {
  return same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding") ||
         same_name(name, "Connection");
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) out += is_control(c) ? ' ' : c;
  out += "\r\n";
}

}  // namespace

std::string response_head(const Response& response, const HeadOptions& options) {
  CHECK(response.status >= 200 || response.status == 100, "not a status to answer with");
  std::string out =
      std::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers.all())
    if (!is_framing(name)) append_field(out, name, value);
  switch (options.framing) {
    case Framing::content_length:
      std::format_to(std::back_inserter(out), "Content-Length: {}\r\n", options.content_length);
      break;
    case Framing::chunked:
      out += "Transfer-Encoding: chunked\r\n";
      break;
    case Framing::until_close:
    case Framing::none:
      break;
  }
  if (options.after == After::close) out += "Connection: close\r\n";
  if (options.after == After::keep_alive_10) out += "Connection: keep-alive\r\n";
  out += "\r\n";
  return out;
}

base::Result<std::string> request_head(const Request& request, std::string_view host) {
  const auto breaks_line = [](std::string_view text) {
    return std::ranges::any_of(text, is_control);
  };
  if (request.method == Method::other)
    return base::fail(ErrorCode::invalid_argument, "the request has no method that can be sent");
  if (!request.target.starts_with('/') || request.target.contains(' ') ||
      breaks_line(request.target))
    return base::fail(ErrorCode::invalid_argument,
                      "the request's target must begin with '/' and hold no blanks");
  std::string out = std::format("{} {} HTTP/1.1\r\n", method_name(request.method), request.target);
  if (!request.headers.get("Host")) append_field(out, "Host", host);
  for (const auto& [name, value] : request.headers.all()) {
    if (is_framing(name)) continue;
    if (name.empty() || breaks_line(name) || name.contains(' ') || breaks_line(value))
      return base::fail(ErrorCode::invalid_argument,
                        std::format("the header field '{}' holds control characters", name));
    append_field(out, name, value);
  }
  const bool sends_body = !request.body.empty() || request.method == Method::post ||
                          request.method == Method::put || request.method == Method::patch;
  if (sends_body)
    std::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.body.size());
  out += "Connection: close\r\n\r\n";
  return out;
}

}  // namespace ingle::http
