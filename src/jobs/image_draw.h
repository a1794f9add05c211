// One drawing in the picture worker (protocol/drawing.h), as a stream of frames. Inside jobs/ only.
// Loop thread.
#pragma once

#include <functional>
#include <string>

#include "base/cancel.h"
#include "engines/model_host.h"
#include "http/client.h"
#include "protocol/drawing.h"
#include "protocol/frames.h"

namespace ingle::jobs {

// What a worker says of itself. Errors: those of Client::fetch, upstream_error, worker_crashed.
base::Task<base::Result<protocol::DrawerInfo>> ask_drawer(http::Client& client,
                                                          engines::Lease& lease,
                                                          base::CancelToken cancel);

// The body of a request. Errors: limit_exceeded (a file over a frame's limit).
base::Result<std::string> drawing_body(const protocol::DrawRequest& request, std::string_view image,
                                       std::string_view mask);

// Hands out each frame in order; what it returns ends the drawing when it is an error.
using TakeFrame = std::function<base::Task<base::Status>(protocol::Frame frame)>;

// Draws to the end. A worker that still ends an earlier drawing is waited for. Errors: the worker's
// own, upstream_error (no answer of frames, or cut), worker_crashed, cancelled, and those of
// `take`.
base::Task<base::Result<protocol::DrawEnd>> draw(base::Loop& loop, http::Client& client,
                                                 engines::Lease& lease, std::string body,
                                                 TakeFrame take, base::CancelToken cancel);

}  // namespace ingle::jobs
