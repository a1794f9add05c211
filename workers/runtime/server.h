// WorkerServer: the picture worker's HTTP (protocol/drawing.h) over a Drawer. Lives on the loop.
#pragma once

#include <string>

#include "base/loop.h"
#include "http/server.h"
#include "runtime/drawer.h"

namespace ingle::runtime {

class WorkerServer final : public http::Handler {
 public:
  // Pieces that tell only how far it is are left out while the client has this much to take.
  static constexpr std::size_t kPiecesWaitingMax = 8;

  // `api_key`: empty: none is asked for. Both outlive the server.
  WorkerServer(base::Loop& loop, Drawer& drawer, std::string api_key)
      : loop_(loop), drawer_(drawer), api_key_(std::move(api_key)) {}

  base::Task<void> handle(http::Exchange& exchange) override;
  http::Response on_refused(int status, const base::Error& error, std::string_view target) override;

 private:
  base::Task<base::Status> answer(http::Exchange& exchange);
  base::Task<base::Status> health(http::Exchange& exchange);
  base::Task<base::Status> generate(http::Exchange& exchange);

  base::Loop& loop_;
  Drawer& drawer_;
  const std::string api_key_;
};

// A body of frames as an order. Errors: malformed, limit_exceeded; those of decode().
base::Result<Order> read_order(std::string_view body);

// A line of output in the form that the daemon's driver reads: {"type":"log","level","msg"}.
void say(std::string_view level, std::string_view message);

}  // namespace ingle::runtime
