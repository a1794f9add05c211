#include <algorithm>
#include <format>

#include "api/openai/answer.h"
#include "api/openai/fields.h"
#include "api/openai/handlers.h"
#include "api/openai/residency.h"
#include "api/openai/upstream.h"
#include "api/openai/vectors.h"
#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "platform/asio_loop.h"

namespace ingle::api::openai {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::Json;

constexpr std::size_t kInputsMax = 2048;

auto bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

struct EmbeddingRequest {
  std::string model;
  Json input;
  bool base64 = false;
  std::optional<std::int64_t> dimensions;
};

bool is_token(const Json& item) { return item.as_int() && *item.as_int() >= 0; }

// A string, a list of strings, a list of tokens, or a list of lists of tokens.
base::Status check_input(const Json& input) {
  if (const auto* text = input.as_string())
    return text->empty() ? base::Status(bad("'input' is empty")) : base::Status{};
  const auto* list = input.as_array();
  if (list == nullptr || list->empty())
    return bad(
        "'input' must be a string, or a list of strings, tokens or lists of tokens that is "
        "not empty");
  if (std::ranges::all_of(*list, is_token)) return {};
  if (list->size() > kInputsMax)
    return fail(
        ErrorCode::limit_exceeded,
        std::format("'input' has {} entries; at most {} are taken", list->size(), kInputsMax));
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& item = (*list)[i];
    const auto* tokens = item.as_array();
    const bool good =
        (item.as_string() != nullptr && !item.as_string()->empty()) ||
        (tokens != nullptr && !tokens->empty() && std::ranges::all_of(*tokens, is_token));
    if (!good)
      return bad(
          std::format("'input[{}]' must be a text or a list of tokens that is not "
                      "empty",
                      i));
  }
  return {};
}

base::Result<EmbeddingRequest> plan_embedding(Json body) {
  TRY(check_fields(body, embedding_fields()));
  EmbeddingRequest out;
  const auto* model = body.find("model");
  if (model == nullptr || model->as_string()->empty())
    return bad("'model' must name a model; GET /v1/models lists them");
  out.model = *model->as_string();
  if (const auto* format = body.find("encoding_format")) {
    out.base64 = *format->as_string() == "base64";
    if (!out.base64 && *format->as_string() != "float")
      return bad("'encoding_format' must be float or base64");
  }
  if (const auto* dimensions = body.find("dimensions")) out.dimensions = dimensions->as_int();
  auto* input = body.find("input");
  if (input == nullptr) return bad("'input' is missing");
  TRY(check_input(*input));
  out.input = std::move(*input);
  return out;
}

base::Status check_model(const catalog::ModelRecord& record, const EmbeddingRequest& request) {
  if (record.info.kind != protocol::ModelKind::embedding)
    return fail(ErrorCode::unsupported,
                std::format("'{}' is no embedding model; 'ingle ls' shows the kind of each",
                            record.info.id));
  if (request.dimensions && *request.dimensions > record.info.embedding_length)
    return bad(std::format("'dimensions' is {}; vectors of '{}' have {}", *request.dimensions,
                           record.info.id, record.info.embedding_length));
  return {};
}

// Shortens every vector of the worker's answer and writes it in the wanted form.
base::Result<std::string> shorten_all(const std::string& text, const EmbeddingRequest& request) {
  TRY_ASSIGN(auto body, protocol::parse_json(text));
  auto* data = body.find("data");
  if (data == nullptr || data->as_array() == nullptr)
    return fail(ErrorCode::upstream_error, "the text engine answered without vectors");
  for (auto& entry : *data->as_array()) {
    const auto* values = entry.find("embedding");
    if (values == nullptr || values->as_array() == nullptr)
      return fail(ErrorCode::upstream_error, "the text engine answered without vectors");
    std::vector<float> vector;
    for (const auto& value : *values->as_array())
      vector.push_back(static_cast<float>(value.as_double().value_or(0)));
    vector = shorten(std::move(vector), static_cast<std::size_t>(*request.dimensions));
    if (request.base64)
      entry.set("embedding", base64_of(vector));
    else
      entry.set("embedding", Json::Array(vector.begin(), vector.end()));
  }
  return protocol::print_json(body);
}

// The worker's answer to this body. Errors: those of a lease, explain_failure() and the worker.
base::Task<base::Result<std::string>> ask_worker(Call& call, const std::string& id,
                                                 const std::string& body) {
  CO_TRY_ASSIGN(auto options, residency_of(call));
  CO_TRY_ASSIGN(const auto lease, co_await call.parts.host.acquire(id, std::move(options)));
  http::Request request{.method = http::Method::post, .target = "/v1/embeddings"};
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Authorization", "Bearer " + lease->api_key());
  request.body = body;
  auto response = co_await call.parts.client.fetch(lease->endpoint(), std::move(request),
                                                   call.exchange.client_gone());
  if (!response)
    co_return fail(co_await explain_failure(call, *lease, std::move(response).error()));
  if (response->status != 200) co_return fail(upstream_error(response->status, response->body));
  co_return std::move(response->body);
}

}  // namespace

base::Task<base::Status> embeddings(Call& call) {
  CO_TRY_ASSIGN(auto body, co_await read_body(call));
  CO_TRY_ASSIGN(auto wanted, plan_embedding(std::move(body)));
  CO_TRY_ASSIGN(const auto record, call.parts.catalog.find(wanted.model));
  CO_TRY(check_model(record, wanted));
  const bool worker_encodes = wanted.base64 && !wanted.dimensions;
  const std::string body_text =
      protocol::print_json(Json::Object{{"model", record.info.id},
                                        {"input", std::move(wanted.input)},
                                        {"encoding_format", worker_encodes ? "base64" : "float"}});
  auto response = co_await ask_worker(call, record.info.id, body_text);
  // Its worker died between two requests: the next lease loads it again.
  if (!response && response.error().code == ErrorCode::pending)
    response = co_await ask_worker(call, record.info.id, body_text);
  if (!response) co_return fail(std::move(response).error());
  if (!wanted.dimensions) co_return co_await call.respond_json(*std::move(response));
  CO_TRY_ASSIGN(auto text, co_await base::run_on(call.parts.lanes, call.parts.loop,
                                                 base::Lane::interactive, "shorten vectors",
                                                 [&] { return shorten_all(*response, wanted); }));
  co_return co_await call.respond_json(std::move(text));
}

}  // namespace ingle::api::openai
