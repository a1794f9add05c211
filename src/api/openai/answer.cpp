#include "api/openai/answer.h"

#include <format>

#include "api/openai/choice.h"
#include "api/openai/residency.h"
#include "api/openai/session.h"
#include "api/openai/upstream.h"
#include "catalog/catalog.h"
#include "engines/model_host.h"
#include "platform/asio_loop.h"

namespace ingle::api::openai {
namespace {

using base::Error;
using base::ErrorCode;
using base::fail;
using protocol::Json;

// A request up to this size has a prompt that the worker reads in one step or a few.
constexpr std::size_t kShortRequestMax = 2048;

// What lives as long as the request runs.
struct Run {
  Call& call;
  Plan& plan;
  Session session;
  std::unique_ptr<engines::Lease> lease{};
  std::unique_ptr<Upstream> first{};  // generation 0; the others are opened beside it

  const char* path() const {
    return plan.kind == PlanKind::chat ? "/v1/chat/completions" : "/v1/completions";
  }
};

base::Result<catalog::ModelRecord> find_model(Call& call, const Plan& plan) {
  TRY_ASSIGN(auto record, call.parts.catalog.find(plan.model));
  using protocol::ModelKind;
  if (record.info.kind == ModelKind::embedding || record.info.kind == ModelKind::reranker)
    return fail(
        ErrorCode::unsupported,
        std::format("'{}' is an {} model and writes no text{}", record.info.id,
                    record.info.kind == ModelKind::embedding ? "embedding" : "reranking",
                    record.info.kind == ModelKind::embedding ? "; use /v1/embeddings" : ""));
  if (plan.needs_tools && record.facts.chat_template.find("tools") == std::string::npos)
    return fail(ErrorCode::unsupported,
                std::format("the chat template of '{}' knows no tools; choose a model that does, "
                            "or leave out 'tools'",
                            record.info.id));
  return record;
}

base::Task<base::Result<std::unique_ptr<engines::Lease>>> acquire(Run& run, const std::string& id) {
  CO_TRY_ASSIGN(auto options, residency_of(run.call));
  options.on_progress = [&run, id](const engines::LoadProgress& progress) {
    run.session.set_progress(progress.message.empty()
                                 ? std::format("loading {} {:.0f} %", id, 100 * progress.share)
                                 : progress.message);
  };
  co_return co_await run.session.keep_alive(run.call.parts.host.acquire(id, std::move(options)));
}

base::Task<base::Result<std::unique_ptr<Upstream>>> open(Run& run, std::size_t index) {
  UpstreamOptions options{.path = run.path(), .pass_progress = run.plan.show_progress};
  options.on_prompt = [&run](double share) {
    run.session.set_progress(std::format("reading the prompt {:.0f} %", 100 * share));
  };
  auto& body = run.plan.generations[index].body;
  // Progress makes the worker write while it reads the prompt, and so hear that a client is gone;
  // in a short prompt it would only cost time.
  if (run.plan.show_progress || run.call.exchange.request().body.size() > kShortRequestMax)
    body.set("return_progress", true);
  co_return co_await Upstream::open(run.call, *run.lease, protocol::print_json(body),
                                    std::move(options));
}

// A worker for the run, and its first generation under way.
base::Task<base::Status> start(Run& run, const std::string& id) {
  run.lease.reset();
  CO_TRY_ASSIGN(run.lease, co_await acquire(run, id));
  CO_TRY_ASSIGN(run.first, co_await run.session.keep_alive(open(run, 0)));
  co_return base::Status{};
}

// Text of tokens, from the worker's tokenizer.
base::Task<base::Result<std::string>> detokenize(Run& run,
                                                 const std::vector<std::int64_t>& tokens) {
  Json::Array list(tokens.begin(), tokens.end());
  http::Request request{.method = http::Method::post, .target = "/detokenize"};
  request.headers.set("Content-Type", "application/json");
  request.headers.set("Authorization", "Bearer " + run.lease->api_key());
  request.body = protocol::print_json(Json::Object{{"tokens", std::move(list)}});
  CO_TRY_ASSIGN(const auto response,
                co_await run.call.parts.client.fetch(run.lease->endpoint(), std::move(request),
                                                     run.call.exchange.client_gone()));
  if (response.status != 200) co_return fail(upstream_error(response.status, response.body));
  CO_TRY_ASSIGN(const auto body, protocol::parse_json(response.body));
  const auto* content = body.find("content");
  if (content == nullptr || content->as_string() == nullptr)
    co_return fail(ErrorCode::upstream_error, "the text engine turned tokens into nothing");
  co_return *content->as_string();
}

base::Task<base::Result<std::string>> echo_of(Run& run, std::size_t index) {
  const auto& generation = run.plan.generations[index];
  if (generation.echo_tokens.empty()) co_return generation.echo;
  co_return co_await detokenize(run, generation.echo_tokens);
}

bool is_usage_chunk(std::string_view event) {
  return event.find("\"choices\":[]") != std::string_view::npos;
}

// The common case, one choice and nothing to check: events pass as they come.
base::Task<base::Status> relay(Run& run) {
  auto& upstream = *run.first;
  std::string kept;
  while (true) {
    // Once tokens come they come often enough to keep the stream alive by themselves.
    auto events = upstream.reading_prompt() ? co_await run.session.keep_alive(upstream.next())
                                            : co_await upstream.next();
    if (!events) co_return co_await run.session.give_up(std::move(events).error());
    if (events->empty()) break;
    std::string_view out = *events;
    if (!run.plan.include_usage && is_usage_chunk(out)) {
      kept.clear();
      http::SseSplitter splitter;
      splitter.feed(out, [&](std::string_view event) {
        if (!is_usage_chunk(event)) kept += event;
      });
      out = kept;
    }
    if (!out.empty()) CO_TRY(co_await run.session.send(out));
  }
  co_return co_await run.session.finish();
}

// The chunk of choice `index`, as part of an answer of several.
std::string chunk_event(Json chunk, std::int64_t index, const Json& id, const Plan& plan,
                        const std::string& echo) {
  chunk.set("id", id);
  if (auto* choices = chunk.find("choices"); choices->as_array() != nullptr)
    for (auto& choice : *choices->as_array()) {
      choice.set("index", index);
      if (plan.kind != PlanKind::completion) continue;
      if (auto* text = choice.find("text"); text != nullptr && text->as_string() != nullptr)
        choice.set("text", echo + *text->as_string());
      if (const auto* logprobs = choice.find("logprobs"))
        if (const auto* entries = logprobs->find("content"); entries && entries->as_array())
          choice.set("logprobs", completion_logprobs(*entries->as_array(), 0));
    }
  return "data: " + protocol::print_json(chunk) + "\n\n";
}

// Several generations at once, or one that must be checked: chunk by chunk.
struct Gathering {
  Run& run;
  std::vector<Choice> choices;
  std::vector<std::string> echoes;
  Json id{};                     // of the whole answer: the first chunk's
  std::optional<Error> error{};  // the first that happened
};

base::Status take_events(Gathering& all, std::size_t index, std::string_view events,
                         std::string& out) {
  base::Status status;
  http::SseSplitter splitter;
  const bool stream = all.run.session.is_stream();
  splitter.feed(events, [&](std::string_view event) {
    if (!status) return;
    auto chunk = protocol::parse_json(http::sse_data(event));
    if (!chunk) {
      status = fail(ErrorCode::upstream_error, "the text engine sent a chunk that is not JSON");
      return;
    }
    status = all.choices[index].take(*chunk);
    if (!status || !stream || is_usage_chunk(event)) return;
    if (all.id.is_null())
      if (const auto* id = chunk->find("id")) all.id = *id;
    out += chunk_event(*std::move(chunk), static_cast<std::int64_t>(index), all.id, all.run.plan,
                       std::exchange(all.echoes[index], {}));
  });
  return status;
}

base::Task<base::Status> gather_one(Gathering& all, std::size_t index) {
  CO_TRY_ASSIGN(all.echoes[index], co_await echo_of(all.run, index));
  std::unique_ptr<Upstream> upstream;
  if (index == 0) {
    upstream = std::move(all.run.first);
  } else {
    CO_TRY_ASSIGN(upstream, co_await open(all.run, index));
  }
  std::string out;
  while (!all.error) {
    CO_TRY_ASSIGN(const auto events, co_await upstream->next());
    if (events.empty()) break;
    out.clear();
    const auto taken = take_events(all, index, events, out);
    if (!out.empty()) CO_TRY(co_await all.run.session.send(out));
    CO_TRY(taken);
  }
  co_return base::Status{};
}

base::Task<void> gather_task(Gathering& all, std::size_t index) {
  auto status = co_await gather_one(all, index);
  if (!status && !all.error) all.error = std::move(status).error();
}

base::Task<base::Status> gather_all(Gathering& all) {
  base::TaskScope scope;
  for (std::size_t i = 0; i < all.choices.size(); ++i) scope.spawn(gather_task(all, i));
  co_await scope.join();
  if (all.error) co_return fail(*all.error);
  co_return base::Status{};
}

Json answer_head(const Gathering& all, const char* object) {
  Json out = all.choices.front().first_chunk();
  if (out.as_object() == nullptr) out = Json::Object{};
  out.set("object", object);
  out.erase("timings");
  out.erase("usage");
  return out;
}

base::Task<base::Status> gather(Run& run) {
  const auto& plan = run.plan;
  Gathering all{.run = run,
                .choices = std::vector<Choice>(plan.generations.size(), Choice(plan)),
                .echoes = std::vector<std::string>(plan.generations.size())};
  auto done = co_await run.session.keep_alive(gather_all(all));
  if (!done) co_return co_await run.session.give_up(std::move(done).error());
  const std::size_t per_prompt = plan.generations.size() / plan.prompts;
  const Json usage = usage_of(all.choices, per_prompt);
  if (run.session.is_stream()) {
    if (plan.include_usage) {
      Json last = answer_head(
          all, plan.kind == PlanKind::chat ? "chat.completion.chunk" : "text_completion");
      last.set("choices", Json::Array{});
      last.set("usage", usage);
      CO_TRY(co_await run.session.send("data: " + protocol::print_json(last) + "\n\n"));
    }
    co_return co_await run.session.finish();
  }
  Json whole =
      answer_head(all, plan.kind == PlanKind::chat ? "chat.completion" : "text_completion");
  Json::Array list;
  for (std::size_t i = 0; i < all.choices.size(); ++i)
    list.push_back(all.choices[i].whole(static_cast<std::int64_t>(i), all.echoes[i]));
  whole.set("choices", std::move(list));
  whole.set("usage", usage);
  if (all.choices.size() == 1 && !all.choices.front().timings().is_null())
    whole.set("timings", all.choices.front().timings());
  co_return co_await run.call.respond_json(protocol::print_json(whole));
}

}  // namespace

base::Task<base::Result<Json>> read_body(Call& call) {
  co_return co_await call.parse_request(
      [](const http::Request& request) { return protocol::parse_json(request.body); });
}

base::Task<base::Status> answer(Call& call, Plan plan) {
  CO_TRY_ASSIGN(const auto record, find_model(call, plan));
  Run run{.call = call, .plan = plan, .session = Session(call, plan.stream)};
  auto started = co_await start(run, record.info.id);
  // Its worker died between two requests: the next lease loads it again.
  if (!started && started.error().code == ErrorCode::pending)
    started = co_await start(run, record.info.id);
  if (!started) co_return co_await run.session.give_up(std::move(started).error());
  const bool plain = plan.stream && plan.generations.size() == 1 && !plan.must_be_json &&
                     !plan.must_call_tool && plan.kind == PlanKind::chat;
  if (plain) co_return co_await relay(run);
  co_return co_await gather(run);
}

}  // namespace ingle::api::openai
