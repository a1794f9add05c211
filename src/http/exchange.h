// One request and its answer on a Connection: status, framing and what becomes of the connection.
// Private to http/. Loop thread only; lives as long as the handler's call.
#pragma once

#include "http/connection.h"

namespace ingle::http {

class ServerExchange final : public Exchange {
 public:
  // What the connection does after the handler has returned.
  enum class Ending { next_request, close, cut, reset, unanswered, websocket };

  // The reader holds the whole request.
  ServerExchange(Connection& connection, ServerContext& context, RequestReader& reader)
      : connection_(connection),
        context_(context),
        reader_(reader),
        is_head_(reader.request().method == Method::head),
        keep_alive_(reader.keep_alive()) {}

  const Request& request() const override { return reader_.request(); }
  Request take_request() override { return std::move(reader_.request()); }
  const Target& target() const override { return reader_.target(); }
  const ConnectionInfo& connection() const override { return connection_.info(); }
  base::CancelToken client_gone() const override { return connection_.gone_token(); }
  base::Task<base::Status> respond(Response response) override;
  base::Task<base::Status> begin_stream(Response head) override;
  base::Task<base::Status> write(std::string_view piece) override;
  base::Task<base::Status> end_stream() override;
  bool is_upgrade() const override;
  base::Task<base::Result<std::unique_ptr<WebSocket>>> upgrade() override;

  Ending ending() const;

 private:
  enum class Answer { none, whole, streaming, ended, websocket };

  HeadOptions head_options(const Response& response);
  bool sends_body(int status) const { return !is_head_ && status != 204 && status != 304; }
  base::Task<base::Status> take_turns();

  Connection& connection_;
  ServerContext& context_;
  RequestReader& reader_;
  const bool is_head_;
  bool keep_alive_;
  Answer answer_ = Answer::none;
  Framing framing_ = Framing::none;  // of a stream
  int pieces_in_turn_ = 0;
};

}  // namespace ingle::http
