#include "api/openai/handlers.h"

#include "api/openai/answer.h"
#include "api/openai/plan.h"
#include "catalog/catalog.h"

namespace ingle::api::openai {
namespace {

using protocol::Json;

Json model_object(const protocol::ModelInfo& model) {
  return Json::Object{{"id", model.id},
                      {"object", "model"},
                      {"created", model.modified_unix_ms / 1000},
                      {"owned_by", "local"}};
}

}  // namespace

base::Task<base::Status> list_models(Call& call) {
  Json::Array data;
  for (const auto& model : call.parts.catalog.list().models)
    if (model.state == protocol::ModelState::usable && model.kind != protocol::ModelKind::component)
      data.push_back(model_object(model));
  co_return co_await call.respond_json(
      protocol::print_json(Json::Object{{"object", "list"}, {"data", std::move(data)}}));
}

base::Task<base::Status> get_model(Call& call) {
  CO_TRY_ASSIGN(const auto record, call.parts.catalog.find(call.path_tail));
  co_return co_await call.respond_json(protocol::print_json(model_object(record.info)));
}

base::Task<base::Status> chat_completions(Call& call) {
  CO_TRY_ASSIGN(auto body, co_await read_body(call));
  CO_TRY_ASSIGN(auto plan, plan_chat(std::move(body)));
  co_return co_await answer(call, std::move(plan));
}

base::Task<base::Status> completions(Call& call) {
  CO_TRY_ASSIGN(auto body, co_await read_body(call));
  CO_TRY_ASSIGN(auto plan, plan_completion(std::move(body)));
  co_return co_await answer(call, std::move(plan));
}

}  // namespace ingle::api::openai
