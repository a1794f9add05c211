// What the lists of this surface share: how many entries are asked for, and an answer of many.
#pragma once

#include <charconv>
#include <concepts>
#include <string>

#include "api/call.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"

namespace ingle::api::native {

// ?count=, or `otherwise`. Its limits are the list's own. Errors: invalid_argument.
template <std::integral Count>
base::Result<Count> read_count(const http::Target& target, Count otherwise) {
  const auto text = target.query_value("count");
  if (!text) return otherwise;
  Count count = 0;
  const auto* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, count);
  if (error != std::errc{} || stop != end)
    return base::fail(base::ErrorCode::invalid_argument,
                      "count is '" + std::string(*text) + "'; it must be a whole number");
  return count;
}

// Encodes on a lane: hundreds of entries are too much for one turn of the loop. Errors: those of
// run_on, and cancelled.
template <class List>
base::Task<base::Status> respond_list(Call& call, const List& list) {
  CO_TRY_ASSIGN(auto body,
                co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                                      "encode a list",
                                      [&]() -> std::string { return protocol::encode(list); }));
  co_return co_await call.respond_json(std::move(body));
}

}  // namespace ingle::api::native
