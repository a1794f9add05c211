#include "engine.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <format>

#include "protocol/json.h"

namespace ingle::fake {
namespace {

using protocol::Json;

constexpr std::size_t kMib = 1 << 20;

base::Task<void> pause(base::Loop& loop, std::int64_t ms) {
  if (ms > 0) std::ignore = co_await base::sleep_for(loop, base::Millis(ms));
}

http::Response json_response(int status, const Json& body) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = protocol::print_json(body)};
}

http::Response error_response(int status, std::string message) {
  return json_response(status, Json::Object{{"error", Json::Object{{"code", status},
                                                                   {"message", std::move(message)},
                                                                   {"type", "server_error"}}}});
}

Json usage(std::int64_t pieces) {
  return Json::Object{
      {"prompt_tokens", 3}, {"completion_tokens", pieces}, {"total_tokens", 3 + pieces}};
}

}  // namespace

void say(std::string_view level, std::string_view message) {
  const Json line = Json::Object{{"type", "log"},
                                 {"time", 0},
                                 {"level", std::string(level)},
                                 {"msg", std::string(message) + "\n"}};
  std::printf("%s\n", protocol::print_json(line).c_str());
  std::fflush(stdout);
}

void crash_if(const Script& script, CrashAt point) {
  if (script.crash_at != point) return;
  if (script.crash_signal == 0) _exit(static_cast<int>(script.crash_code));
  const int number = static_cast<int>(script.crash_signal);
  signal(number, SIG_DFL);
  raise(number);
}

base::Task<void> FakeEngine::load() {
  say("info", "load_model: loading model '" + alias_ + "'");
  co_await pause(loop_, script_.load_ms / 2);
  crash_if(script_, CrashAt::loading);
  for (std::int64_t i = 0; i < script_.bloat_mib; ++i) bloat_.emplace_back(kMib, 'x');
  co_await pause(loop_, script_.load_ms / 2);
  if (script_.load_hangs) co_return;
  ready_ = true;
  say("info", "srv  llama_server: model loaded");
  for (std::int64_t i = 0; i < script_.flood_lines; ++i) say("info", std::format("flood {}", i));
  crash_if(script_, CrashAt::ready);
}

http::Response FakeEngine::on_refused(int status, const base::Error& error, std::string_view) {
  return error_response(status, error.message);
}

base::Task<void> FakeEngine::handle(http::Exchange& exchange) {
  if (script_.silent) {
    base::Gate never(loop_);
    std::ignore = co_await never.wait(exchange.client_gone());
    co_return;
  }
  co_await answer(exchange);
  crash_if(script_, CrashAt::greeted);
}

base::Task<void> FakeEngine::answer(http::Exchange& exchange) {
  const std::string path = exchange.target().path;
  const auto authorization = exchange.request().headers.get("Authorization");
  if (path == "/health") {
    if (ready_)
      std::ignore = co_await exchange.respond(json_response(200, Json::Object{{"status", "ok"}}));
    else
      std::ignore = co_await exchange.respond(error_response(503, "Loading model"));
  } else if (!api_key_.empty() && authorization != "Bearer " + api_key_) {
    std::ignore = co_await exchange.respond(error_response(401, "Invalid API Key"));
  } else if (!ready_) {
    std::ignore = co_await exchange.respond(error_response(503, "Loading model"));
  } else if (path == "/props") {
    std::ignore = co_await exchange.respond(json_response(
        200, Json::Object{{"default_generation_settings", Json::Object{{"n_ctx", script_.n_ctx}}},
                          {"total_slots", script_.total_slots},
                          {"model_alias", alias_}}));
  } else if (path == "/slots") {
    std::ignore = co_await exchange.respond(json_response(200, Json::Array{}));
  } else if (path == "/v1/chat/completions" || path == "/v1/completions") {
    co_await complete(exchange);
  } else {
    std::ignore = co_await exchange.respond(error_response(404, "File Not Found"));
  }
}

std::string FakeEngine::piece(std::int64_t index) const { return std::format("w{} ", index); }

base::Task<void> FakeEngine::complete(http::Exchange& exchange) {
  crash_if(script_, CrashAt::request);
  if (script_.answer_status != 200) {
    std::ignore = co_await exchange.respond(
        error_response(static_cast<int>(script_.answer_status), "the script says so"));
    co_return;
  }
  const auto request = protocol::parse_json(exchange.request().body);
  const Json* streamed = request ? request->find("stream") : nullptr;
  if (streamed && streamed->as_bool() && *streamed->as_bool()) {
    co_await stream(exchange);
    co_return;
  }
  std::string text;
  for (std::int64_t i = 0; i < script_.pieces; ++i) {
    co_await pause(loop_, script_.piece_ms);
    if (exchange.client_gone().cancelled()) co_return;
    text += piece(i);
  }
  const bool chat = exchange.target().path == "/v1/chat/completions";
  Json::Object choice{{"index", 0}, {"finish_reason", "stop"}};
  if (chat)
    choice.emplace_back("message", Json::Object{{"role", "assistant"}, {"content", text}});
  else
    choice.emplace_back("text", text);
  std::ignore = co_await exchange.respond(
      json_response(200, Json::Object{{"id", "fake-1"},
                                      {"object", chat ? "chat.completion" : "text_completion"},
                                      {"created", 0},
                                      {"model", alias_},
                                      {"choices", Json::Array{Json(std::move(choice))}},
                                      {"usage", usage(script_.pieces)}}));
}

base::Task<void> FakeEngine::stream(http::Exchange& exchange) {
  const bool chat = exchange.target().path == "/v1/chat/completions";
  const auto event = [&](const std::string& text, const Json& finish) {
    Json::Object choice{{"index", 0}, {"finish_reason", finish}};
    if (chat)
      choice.emplace_back(
          "delta", text.empty() ? Json(Json::Object{}) : Json(Json::Object{{"content", text}}));
    else
      choice.emplace_back("text", text);
    Json::Object body{{"id", "fake-1"},
                      {"object", chat ? "chat.completion.chunk" : "text_completion"},
                      {"created", 0},
                      {"model", alias_},
                      {"choices", Json::Array{Json(std::move(choice))}}};
    if (!finish.is_null()) body.emplace_back("usage", usage(script_.pieces));
    return "data: " + protocol::print_json(Json(std::move(body))) + "\n\n";
  };
  if (!co_await exchange.begin_stream({.headers = {{"Content-Type", "text/event-stream"}}}))
    co_return;
  for (std::int64_t i = 0; i < script_.pieces; ++i) {
    if (script_.cut_after && i >= *script_.cut_after) co_return;  // an early return cuts it
    if (!co_await exchange.write(event(piece(i), Json()))) co_return;
    if (i == 0) {
      co_await pause(loop_, 1);  // let the piece out first
      crash_if(script_, CrashAt::stream);
    }
    co_await pause(loop_, script_.piece_ms);
  }
  if (!co_await exchange.write(event("", Json("stop")))) co_return;
  if (!co_await exchange.write("data: [DONE]\n\n")) co_return;
  std::ignore = co_await exchange.end_stream();
}

}  // namespace ingle::fake
