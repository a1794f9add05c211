// Plans: what a load would do, and whether a model could be run before it is downloaded.
#include <algorithm>
#include <charconv>
#include <format>
#include <ranges>
#include <span>

#include "api/native/handlers.h"
#include "catalog/reading.h"
#include "catalog/snapshot.h"
#include "engines/model_host.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"

namespace ingle::api::native {
namespace {

using base::ErrorCode;
using base::fail;

// Longer names are cut: ids are no longer either.
constexpr std::size_t kNameBytesMax = 128;

base::Result<std::uint64_t> parse_size(const http::Target& target) {
  const auto text = target.query_value("size_bytes");
  std::uint64_t value = 0;
  if (!text)
    return fail(ErrorCode::invalid_argument,
                "size_bytes is missing: give the size of the whole file in bytes");
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value == 0 || value > INT64_MAX)
    return fail(ErrorCode::invalid_argument,
                "size_bytes is '" + std::string(*text) + "'; it must be the file's size in bytes");
  return value;
}

// The record that the catalogue would have of this file. On a lane: a vocabulary is many texts.
base::Result<catalog::ModelRecord> record_of(std::string_view header, std::uint64_t size_bytes,
                                             std::string_view name) {
  auto reading = catalog::reading_of(std::as_bytes(std::span(header)), size_bytes);
  if (!reading) {
    auto error = std::move(reading).error();
    if (header.size() >= size_bytes || error.code != ErrorCode::limit_exceeded)
      return fail(std::move(error));
    return fail(ErrorCode::malformed,
                std::format("the {} bytes sent do not hold the file's whole header: send more of "
                            "its beginning, twice as much or so ({})",
                            header.size(), error.message));
  }
  if (reading->facts.split_count > 1)
    return fail(ErrorCode::unsupported,
                std::format("this is one of {} shards, and its header lists only its own tensors: "
                            "what all of them need can be told once they are downloaded",
                            reading->facts.split_count));
  std::string stem(name.empty() ? std::string_view(reading->facts.name) : name);
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  stem.resize(std::min(stem.size(), kNameBytesMax));
  std::ranges::replace(stem, '/', '-');
  catalog::FileTable files;
  files[std::format("/{}.gguf", stem.empty() ? "model" : stem)] = {
      .size_bytes = size_bytes,
      .reading = std::make_shared<const catalog::FileReading>(*std::move(reading))};
  auto models = catalog::make_snapshot(std::move(files)).models;
  if (models.size() != 1 || models.front().info.state != protocol::ModelState::usable)
    return fail(ErrorCode::model_broken,
                models.empty() ? "this is no model" : models.front().info.problem);
  return std::move(models.front());
}

}  // namespace

base::Task<base::Status> get_plan(Call& call) {
  const auto& target = call.exchange.target();
  const auto model = target.query_value("model");
  if (!model || model->empty())
    co_return fail(ErrorCode::invalid_argument, "model is missing: name the model to plan for");
  std::vector<std::string> set;
  for (const auto& [key, value] : target.query) {
    if (key != "set") continue;
    for (const auto part : std::views::split(std::string_view(value), ','))
      if (!part.empty()) set.emplace_back(part.begin(), part.end());
  }
  CO_TRY_ASSIGN(const auto plan,
                co_await call.parts.host.explain(std::string(*model), std::move(set)));
  co_return co_await call.respond_json(protocol::encode(plan));
}

base::Task<base::Status> can_run(Call& call) {
  const auto& target = call.exchange.target();
  CO_TRY_ASSIGN(const auto size_bytes, parse_size(target));
  const std::string name(target.query_value("name").value_or(""));
  const std::string& header = call.exchange.request().body;
  CO_TRY_ASSIGN(auto record,
                co_await base::run_on(call.parts.lanes, call.parts.loop, base::Lane::interactive,
                                      "read a model's header",
                                      [&] { return record_of(header, size_bytes, name); }));
  CO_TRY_ASSIGN(const auto plan, co_await call.parts.host.can_run(std::move(record)));
  co_return co_await call.respond_json(protocol::encode(plan));
}

}  // namespace ingle::api::native
