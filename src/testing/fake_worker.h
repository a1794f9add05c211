// What measurements talk to, on virtual time: a scripted llama-server behind the HTTP client's
// seam, and a lease on it. One thread only.
#pragma once

#include <algorithm>
#include <format>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engines/model_host.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/json.h"
#include "testing/fake_loop.h"

namespace ingle::testing {

class FakeLease final : public engines::Lease {
 public:
  const protocol::ModelInfo& model() const override { return info; }
  const http::Endpoint& endpoint() const override { return socket; }
  const std::string& api_key() const override { return key; }
  base::CancelToken worker_gone() const override { return gone.token(); }
  base::Task<base::Error> crash() override {
    co_return base::Error{base::ErrorCode::worker_crashed, "it fell over"};
  }
  std::int64_t context_tokens() const override { return context; }

  protocol::ModelInfo info{.id = "fake", .kind = protocol::ModelKind::text};
  http::Endpoint socket = http::UnixEndpoint{"/run/fake.sock"};
  std::string key{"secret"};
  base::CancelSource gone;
  std::int64_t context = 4096;
};

// Answers /tokenize with one token a word, and /completion with an event stream after `latency`.
class FakeWorkerClient final : public http::Client {
 public:
  explicit FakeWorkerClient(FakeLoop& loop) : loop_(loop) {}

  std::vector<protocol::Json> asked;  // bodies, in order
  std::int64_t tokens = -1;           // that /tokenize answers with; below 0: one a word
  std::string completion{};           // empty: 1000 tokens of prompt and 100 generated a second
  int completion_status = 200;
  bool hangs = false;  // /completion never answers
  base::Micros latency{base::Millis(20)};

  base::Task<base::Result<http::Response>> fetch(http::Endpoint, http::Request request,
                                                 base::CancelToken cancel) override {
    CO_TRY(co_await base::sleep_for(loop_, base::Millis(1), cancel));
    CO_TRY_ASSIGN(const auto body, protocol::parse_json(request.body));
    asked.push_back(body);
    auto count = tokens;
    if (count < 0) count = std::ranges::count(*body.find("content")->as_string(), ' ');
    protocol::Json::Array list;
    for (std::int64_t i = 0; i < count; ++i) list.emplace_back(i);
    co_return http::Response{
        .body = protocol::print_json(protocol::Json::Object{{"tokens", std::move(list)}})};
  }

  base::Task<base::Result<std::unique_ptr<http::ResponseStream>>> open(
      http::Endpoint, http::Request request, base::CancelToken cancel) override {
    CO_TRY_ASSIGN(const auto body, protocol::parse_json(request.body));
    asked.push_back(body);
    if (hangs) CO_TRY(co_await base::sleep_for(loop_, base::Seconds(100'000), cancel));
    CO_TRY(co_await base::sleep_for(loop_, latency, cancel));
    const auto read = static_cast<double>(body.find("prompt")->as_array()->size());
    const auto generated = body.find("n_predict")->as_double().value();
    std::string text = completion;
    if (text.empty())
      text = std::format(
          "data: {{\"content\":\"a\",\"stop\":false}}\n\ndata: {{\"stop\":true,\"timings\":{{"
          "\"prompt_n\":{},\"prompt_ms\":{},\"predicted_n\":{},\"predicted_ms\":{}}}}}\n\n",
          read, read, generated, generated * 10);
    co_return std::make_unique<Stream>(completion_status, std::move(text));
  }

  base::Task<base::Result<std::unique_ptr<http::WebSocket>>> open_websocket(
      http::Endpoint, std::string, http::Headers, base::CancelToken) override {
    co_return base::fail(base::ErrorCode::unsupported, "no WebSockets here");
  }

 private:
  class Stream final : public http::ResponseStream {
   public:
    Stream(int status, std::string text) : head_{.status = status}, text_(std::move(text)) {}
    const http::Response& head() const override { return head_; }
    base::Task<base::Result<std::string_view>> read() override {
      // In two pieces, so that an event comes cut.
      const auto size = given_ == 0 ? (text_.size() + 1) / 2 : text_.size() - given_;
      const auto piece = std::string_view(text_).substr(given_, size);
      given_ += size;
      co_return piece;
    }

   private:
    http::Response head_;
    std::string text_;
    std::size_t given_ = 0;
  };

  FakeLoop& loop_;
};

}  // namespace ingle::testing
