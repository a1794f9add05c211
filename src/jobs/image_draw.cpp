#include "jobs/image_draw.h"

#include <algorithm>
#include <format>

#include "protocol/codec.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::FrameKind;

constexpr std::size_t kErrorBytesMax = 64 * 1024;
constexpr base::Seconds kBusyLimit{10};  // for the end of a drawing that nobody wants any more
constexpr base::Millis kBusyPause{100};
constexpr base::Millis kDeathPause{200};  // the socket tells an end before the process table does

http::Request request_to(const engines::Lease& lease, http::Method method, std::string target) {
  http::Request out{.method = method, .target = std::move(target)};
  out.headers.set("Authorization", "Bearer " + lease.api_key());
  return out;
}

base::Error error_of(const protocol::ErrorInfo& info) {
  return {base::error_code_from_name(info.code).value_or(ErrorCode::upstream_error), info.message,
          info.context};
}

base::Error error_of_answer(int status, std::string_view body) {
  if (const auto error = protocol::decode<protocol::ErrorBody>(body)) return error_of(error->error);
  return {ErrorCode::upstream_error,
          std::format("the picture worker answered with status {}", status)};
}

// Why a request failed: a crash says more than the socket.
base::Task<base::Error> explain(base::Loop& loop, engines::Lease& lease, base::Error error) {
  const bool may_be_dead =
      error.code == ErrorCode::io_error || error.code == ErrorCode::upstream_error;
  if (!lease.worker_gone().cancelled() && may_be_dead) {
    base::Gate never(loop);
    std::ignore = co_await never.wait(base::Micros(kDeathPause), lease.worker_gone());
  }
  if (!lease.worker_gone().cancelled()) co_return error;
  co_return co_await lease.crash();
}

// The answer's head is 200, or its error.
base::Task<base::Result<std::unique_ptr<http::ResponseStream>>> open(http::Client& client,
                                                                     engines::Lease& lease,
                                                                     const std::string& body,
                                                                     base::CancelToken cancel) {
  auto request = request_to(lease, http::Method::post, "/generate");
  request.headers.set("Content-Type", "application/vnd.ingle.frames");
  request.body = body;
  CO_TRY_ASSIGN(auto stream,
                co_await client.open(lease.endpoint(), std::move(request), std::move(cancel)));
  if (stream->head().status == 200) co_return stream;
  std::string text;
  while (text.size() < kErrorBytesMax) {
    const auto piece = co_await stream->read();
    if (!piece || piece->empty()) break;
    text += *piece;
  }
  co_return fail(error_of_answer(stream->head().status, text));
}

base::Task<base::Result<protocol::DrawEnd>> read_frames(http::ResponseStream& stream,
                                                        const TakeFrame& take) {
  protocol::FrameReader reader;
  while (true) {
    CO_TRY_ASSIGN(const auto piece, co_await stream.read());
    if (piece.empty())
      co_return fail(ErrorCode::upstream_error,
                     "the picture worker ended its answer before its end");
    reader.feed(piece);
    while (true) {
      CO_TRY_ASSIGN(const auto frame, reader.next());
      if (!frame) break;
      if (frame->kind == FrameKind::end)
        co_return protocol::decode<protocol::DrawEnd>(frame->payload);
      if (frame->kind == FrameKind::error) {
        CO_TRY_ASSIGN(const auto info, protocol::decode<protocol::ErrorInfo>(frame->payload));
        co_return fail(error_of(info));
      }
      CO_TRY(co_await take(*frame));
    }
  }
}

}  // namespace

base::Task<base::Result<protocol::DrawerInfo>> ask_drawer(http::Client& client,
                                                          engines::Lease& lease,
                                                          base::CancelToken cancel) {
  CO_TRY_ASSIGN(
      const auto answer,
      co_await client.fetch(lease.endpoint(), request_to(lease, http::Method::get, "/info"),
                            std::move(cancel)));
  if (answer.status != 200) co_return fail(error_of_answer(answer.status, answer.body));
  co_return protocol::decode<protocol::DrawerInfo>(answer.body);
}

base::Result<std::string> drawing_body(const protocol::DrawRequest& request, std::string_view image,
                                       std::string_view mask) {
  if (std::max(image.size(), mask.size()) > protocol::kFrameBytesMax)
    return fail(
        ErrorCode::limit_exceeded,
        std::format("a given picture is over the limit of {} bytes", protocol::kFrameBytesMax));
  std::string out;
  const auto head = protocol::encode(request);
  if (head.size() > protocol::kFrameBytesMax)
    return fail(ErrorCode::limit_exceeded, "the request is too long: shorten its texts");
  protocol::append_frame(out, FrameKind::request, head);
  if (!image.empty()) protocol::append_frame(out, FrameKind::image, image);
  if (!mask.empty()) protocol::append_frame(out, FrameKind::mask, mask);
  return out;
}

base::Task<base::Result<protocol::DrawEnd>> draw(base::Loop& loop, http::Client& client,
                                                 engines::Lease& lease, std::string body,
                                                 TakeFrame take, base::CancelToken cancel) {
  base::CancelSource stop;
  const auto asked = cancel.on_cancel([&stop] { stop.cancel(); });
  const auto died = lease.worker_gone().on_cancel([&stop] { stop.cancel(); });
  const auto give_up = loop.clock().mono_now() + kBusyLimit;
  while (true) {
    auto stream = co_await open(client, lease, body, stop.token());
    if (stream) {
      auto end = co_await read_frames(**stream, take);
      if (end) co_return end;
      if (cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the drawing was cancelled");
      co_return fail(co_await explain(loop, lease, std::move(end).error()));
    }
    if (cancel.cancelled()) co_return fail(ErrorCode::cancelled, "the drawing was cancelled");
    const bool busy = stream.error().code == ErrorCode::conflict;
    if (!busy || loop.clock().mono_now() >= give_up)
      co_return fail(co_await explain(loop, lease, std::move(stream).error()));
    std::ignore = co_await base::sleep_for(loop, kBusyPause, stop.token());
  }
}

}  // namespace ingle::jobs
