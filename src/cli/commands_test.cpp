// Goal: every command asks the daemon for the right thing and prints what it answers, errors
// included. Method: the commands themselves against a real HTTP server with scripted answers, on
// a thread of its own; stdout and stderr are captured.
#include "cli/commands.h"

#include <gtest/gtest.h>

#include <format>
#include <map>

#include "cli/daemon_client.h"
#include "http/rig_test.h"
#include "insight/log_hub.h"
#include "protocol/codec.h"
#include "protocol/events.h"
#include "protocol/models.h"
#include "protocol/resources.h"
#include "testing/temp_folder.h"

namespace ingle::cli {
namespace {

using base::Task;
using http::Exchange;

// A daemon that answers each target with what the test says, and remembers what it was asked.
struct FakeDaemon {
  struct Answer {
    int status = 200;
    std::string body;
    bool stream = false;
    bool cut = false;  // the stream ends before its end
  };

  std::map<std::string, Answer> answers;     // by "GET /path", fixed before the first request
  std::vector<std::string> socket_messages;  // what the WebSocket says after the hello
  std::vector<std::string> asked;            // "GET /path?query body", written by the server
  std::string authorization;
  http::ServerRig rig{[this](Exchange& exchange) { return serve(exchange); }};

  Surroundings around() {
    const auto url = std::format("http://127.0.0.1:{}", rig.port());
    return {.environment = [url](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) == "INGLE_URL") return url;
      if (std::string_view(name) == "INGLE_API_KEY") return "ingle-secret";
      if (std::string_view(name) == "HOME") return "/nowhere";
      return std::nullopt;
    }};
  }

  Task<void> serve(Exchange& exchange) {
    const auto& request = exchange.request();
    asked.push_back(std::string(http::method_name(request.method)) + " " + request.target +
                    (request.body.empty() ? "" : " " + request.body));
    authorization = std::string(request.headers.get("Authorization").value_or(""));
    if (exchange.is_upgrade()) co_return co_await serve_socket(exchange);
    const auto key = std::string(http::method_name(request.method)) + " " + exchange.target().path;
    const auto found = answers.find(key);
    const Answer answer = found == answers.end() ? Answer{.status = 404} : found->second;
    if (!answer.stream) {
      (void)co_await exchange.respond({.status = answer.status, .body = answer.body});
      co_return;
    }
    if (!co_await exchange.begin_stream({})) co_return;
    if (!co_await exchange.write(answer.body)) co_return;
    if (!answer.cut) (void)co_await exchange.end_stream();
  }

  Task<void> serve_socket(Exchange& exchange) {
    auto socket = co_await exchange.upgrade();
    if (!socket) co_return;
    auto hello = co_await (*socket)->receive();
    if (!hello) co_return;
    asked.push_back(hello->data);
    for (const auto& text : socket_messages) (void)(*socket)->send({.data = text, .binary = false});
    (*socket)->close(1000, "");
    while (co_await (*socket)->receive()) {
    }
  }
};

struct Printed {
  int code = 0;
  std::string out, err;
};

template <class F>
Printed printed(F&& body) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Printed result;
  result.code = body();
  result.out = ::testing::internal::GetCapturedStdout();
  result.err = ::testing::internal::GetCapturedStderr();
  return result;
}

using Texts = std::vector<std::string>;

TEST(Commands, LsPrintsATable) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/models"] = {
      .body = protocol::encode(protocol::ModelList{
          .models = {
              {.id = "tiny",
               .kind = protocol::ModelKind::text,
               .size_bytes = 3 << 20,
               .quantization = "Q4_K",
               .parameters = 152'000'000,
               .context_tokens_max = 4096},
              {.id = "bad\x1b[2J", .state = protocol::ModelState::broken, .problem = "cut"}}})};
  const auto result = printed([&] { return list_models({}, daemon.around()); });
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            "NAME        KIND        SIZE  PARAMETERS  QUANTISATION  CONTEXT  STATE\n"
            "tiny        text     3.0 MiB       152 M  Q4_K             4096  usable\n"
            "bad\\x1b[2J  unknown        -           -  -                   -  broken: cut\n");
  EXPECT_EQ(daemon.authorization, "Bearer ingle-secret");
  const auto json = printed([&] { return list_models({Output::json}, daemon.around()); });
  EXPECT_TRUE(json.out.starts_with("{\n")) << json.out;
  EXPECT_NE(json.out.find("\"tiny\""), std::string::npos);
}

TEST(Commands, LsOfNothingSaysWhereItLooked) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/models"] = {
      .body = protocol::encode(protocol::ModelList{.folders = {"/srv/models"}})};
  const auto result = printed([&] { return list_models({}, daemon.around()); });
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("\n  /srv/models\n"), std::string::npos);
}

TEST(Commands, PsPrintsWhatIsLoaded) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/ps"] = {.body = protocol::encode(protocol::ResidentList{
                                          .models = {{.id = "tiny",
                                                      .state = protocol::WorkerState::loading,
                                                      .load_progress = 0.4,
                                                      .pid = 12,
                                                      .resident_bytes = 1 << 30}}})};
  const auto result = printed([&] { return list_residents({}, daemon.around()); });
  EXPECT_EQ(result.out,
            "NAME  STATE          MEMORY  PID  REQUESTS  LOADED IN  UNLOADED  WHY\n"
            "tiny  loading 40 %  1.0 GiB   12         0          -  never     -\n");
}

TEST(Commands, SystemPrintsTheMachine) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/system"] = {
      .body = protocol::encode(protocol::SystemInfo{.cpu_name = "A Processor"})};
  const auto result = printed([&] { return show_system({}, daemon.around()); });
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("processor            A Processor")) << result.out;
  const auto json = printed([&] { return show_system({Output::json}, daemon.around()); });
  EXPECT_TRUE(json.out.contains("\"cpu_name\": \"A Processor\"")) << json.out;
}

TEST(Commands, LoadSendsWhatItWasGiven) {
  FakeDaemon daemon;
  daemon.answers["POST /api/v1/load"] = {
      .body = protocol::encode(
          protocol::LoadResult{.model = "tiny",
                               .loaded = true,
                               .load_ms = 812,
                               .plan = {.model = "tiny",
                                        .fits = true,
                                        .settings = {{"threads", "2", "two cores", "derived"}},
                                        .evictions = {{.model = "other", .bytes = 1 << 30}},
                                        .command = "llama-server -m x"}})};
  const auto result = printed([&] {
    return load_model({.model = "tiny", .set = {"threads=2"}, .keep_alive = "5m", .pin = true},
                      daemon.around());
  });
  EXPECT_EQ(result.out, "moved aside: other, 1.0 GiB\ntiny is loaded, in 812 ms; pinned\n");
  EXPECT_EQ(daemon.asked.front(),
            R"(POST /api/v1/load {"model":"tiny","explain":false,"set":["threads=2"],)"
            R"("keep_alive":"5m","pin":true})");
  const auto explained =
      printed([&] { return load_model({.model = "tiny", .explain = true}, daemon.around()); });
  EXPECT_EQ(explained.code, 0);
  EXPECT_TRUE(explained.out.starts_with("tiny fits, once 1 other model is aside\n"));
  EXPECT_TRUE(explained.out.ends_with("\nllama-server -m x\n")) << explained.out;
}

TEST(Commands, UnloadNamesOneOrAll) {
  FakeDaemon daemon;
  daemon.answers["POST /api/v1/unload"] = {
      .body = protocol::encode(protocol::UnloadResult{.models = {"tiny"}, .freed_bytes = 1024})};
  const auto result = printed([&] { return unload_models({"tiny"}, daemon.around()); });
  EXPECT_EQ(result.out, "tiny is unloaded\n1.0 KiB of memory freed\n");
  printed([&] { return unload_models({}, daemon.around()); });
  EXPECT_EQ(daemon.asked,
            (Texts{R"(POST /api/v1/unload {"model":"tiny"})", "POST /api/v1/unload {}"}));
}

TEST(Commands, ErrorsOfTheDaemonArePrinted) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/ps"] = {
      .status = 503,
      .body = protocol::encode(protocol::ErrorBody{
          {.code = "pending", .message = "still\nwarming up", .context = {"asked for ps"}}})};
  const auto result = printed([&] { return list_residents({}, daemon.around()); });
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "ingle: still\\x0awarming up\n  (asked for ps)\n");
  const auto bare = printed([&] { return list_models({}, daemon.around()); });
  EXPECT_EQ(bare.err, "ingle: the daemon answered with status 404\n");
  EXPECT_EQ(error_of_answer(401, R"({"error":{"message":"no key","code":"unauthorized"}})").code,
            base::ErrorCode::unauthorized);
  EXPECT_EQ(error_of_answer(502, "<html>\x1b").message,
            "the daemon answered with status 502: <html>\\x1b");
}

TEST(Commands, NobodyListeningIsSaid) {
  std::uint16_t port = 0;
  {
    http::ServerRig gone([](Exchange&) -> Task<void> { co_return; });
    port = gone.port();
  }
  const DaemonClient client(*parse_url(std::format("http://127.0.0.1:{}", port)), "");
  const auto got = client.get("/livez");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, base::ErrorCode::daemon_absent);
  EXPECT_NE(got.error().message.find("ingle serve"), std::string::npos);
}

constexpr std::string_view kStream =
    ": loading tiny 40 %\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hi \\u001b[2J!\"}}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"
    "data: [DONE]\n\n";

TEST(Commands, RunStreamsAnAnswer) {
  FakeDaemon daemon;
  daemon.answers["POST /v1/chat/completions"] = {.body = std::string(kStream), .stream = true};
  const RunArguments arguments{
      .model = "tiny", .prompt = "Hello?", .system = "Be brief.", .max_tokens = 3, .seed = 7};
  const auto result = printed([&] { return run_model(arguments, daemon.around()); });
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "hm\n\nHi \x1b[2J!\n") << "a pipe gets the answer as it is";
  EXPECT_TRUE(result.err.starts_with("1 token in ")) << result.err;
  EXPECT_EQ(daemon.asked.front(),
            R"(POST /v1/chat/completions {"model":"tiny","messages":[{"role":"system",)"
            R"("content":"Be brief."},{"role":"user","content":"Hello?"}],"stream":true,)"
            R"("stream_options":{"include_usage":true},"max_tokens":3,"seed":7})");
  auto on_terminal = daemon.around();
  on_terminal.terminal = {.out = true, .err = true, .out_colour = true};
  const auto shown = printed([&] { return run_model(arguments, on_terminal); });
  EXPECT_EQ(shown.out, "\x1b[2mhm\x1b[0m\n\nHi !\n");
  EXPECT_TRUE(shown.err.starts_with("\r\x1b[Kloading tiny 40 %\r\x1b[K1 token in"));
}

TEST(Commands, RunSaysWhatWentWrong) {
  FakeDaemon daemon;
  auto& answer = daemon.answers["POST /v1/chat/completions"];
  const RunArguments arguments{.model = "tiny", .prompt = "Hello?"};
  answer = {.status = 404,
            .body = R"({"error":{"message":"no model 'tiny'","type":"invalid_request_error",)"
                    R"("code":"model_not_found"}})"};
  EXPECT_EQ(printed([&] { return run_model(arguments, daemon.around()); }).err,
            "ingle: no model 'tiny'\n");
  answer = {.body =
                "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n"
                "data: {\"error\":{\"message\":\"crashed\",\"code\":\"worker_crashed\"}}\n\n",
            .stream = true};
  auto result = printed([&] { return run_model(arguments, daemon.around()); });
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "Hi\n");
  EXPECT_EQ(result.err, "ingle: crashed\n");
  answer = {.body = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
            .stream = true,
            .cut = true};
  result = printed([&] { return run_model(arguments, daemon.around()); });
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "Hi\n");
  EXPECT_TRUE(result.err.starts_with("ingle: ")) << result.err;
}

protocol::LogEvent event(std::string message) {
  return {.time = "2026-01-02T03:04:05.000000Z",
          .level = protocol::LogSeverity::warning,
          .logger = "t",
          .event = "e",
          .message = std::move(message)};
}

TEST(Commands, LogsComeFromTheDaemon) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/logs"] = {
      .body = protocol::encode(protocol::LogPage{.records = {event("one"), event("two\n")}})};
  const LogsArguments arguments{.level = base::LogLevel::warning, .grep = "a b&", .count = 5};
  const auto result = printed([&] { return print_logs(arguments, daemon.around()); });
  EXPECT_EQ(result.out, insight::format_text(event("one"), false) + "\n" +
                            insight::format_text(event("two\n"), false) + "\n");
  EXPECT_EQ(daemon.asked.front(), "GET /api/v1/logs?count=5&level=warning&grep=a%20b%26");
  const auto json = printed([&] { return print_logs({.output = Output::json}, daemon.around()); });
  EXPECT_EQ(json.out,
            protocol::encode(event("one")) + "\n" + protocol::encode(event("two\n")) + "\n");
}

std::string logged(std::int64_t sequence, protocol::LogEvent what) {
  return protocol::encode(
      protocol::Event{.sequence = sequence, .topic = protocol::Topic::log, .log = std::move(what)});
}

TEST(Commands, FollowedLogsAreWholeAndWithoutDoubles) {
  FakeDaemon daemon;
  daemon.answers["GET /api/v1/logs"] = {
      .body = protocol::encode(protocol::LogPage{.records = {event("one"), event("two")}})};
  auto quiet = event("quiet");
  quiet.level = protocol::LogSeverity::debug;
  daemon.socket_messages = {protocol::encode(protocol::HelloReply{}), logged(1, event("two")),
                            R"({"type":"news"})", logged(2, quiet), logged(3, event("three"))};
  const auto result = printed([&] {
    return print_logs({.follow = true, .level = base::LogLevel::info, .output = Output::json},
                      daemon.around());
  });
  EXPECT_EQ(result.out, protocol::encode(event("one")) + "\n" + protocol::encode(event("two")) +
                            "\n" + protocol::encode(event("three")) + "\n");
  EXPECT_EQ(result.code, 1) << "there is no more to follow";
  EXPECT_EQ(result.err, "ingle: the daemon closed the connection\n");
  EXPECT_NE(daemon.asked[1].find(R"("topics":["log"])"), std::string::npos);
}

TEST(Commands, AVersionThatDoesNotMeetIsSaid) {
  FakeDaemon daemon;
  daemon.socket_messages = {protocol::encode(protocol::EventError{
      .error = {.code = "version_mismatch", .message = "this daemon speaks 2"}})};
  const auto result = printed([&] { return print_logs({.follow = true}, daemon.around()); });
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "ingle: this daemon speaks 2\n");
}

// Without a daemon.
Surroundings home_at(const testing::TempFolder& folder) {
  return {.environment =
              [path = folder.path().string()](const char* name) -> std::optional<std::string> {
    return std::string_view(name) == "INGLE_HOME" ? std::optional(path) : std::nullopt;
  }};
}

TEST(Commands, WithoutADaemonTheyFailAndLogsReadTheFile) {
  testing::TempFolder folder;
  const auto around = home_at(folder);
  const auto home = platform::resolve_home(around.environment);
  ASSERT_TRUE(home) << home.error().text();
  const auto failed = printed([&] { return list_models({}, around); });
  EXPECT_EQ(failed.code, 1);
  EXPECT_TRUE(failed.err.starts_with("ingle: no ingle daemon runs for this home ("));
  std::filesystem::create_directories(home->logs);
  folder.write((home->logs / "ingle.log").lexically_relative(folder.path()).string(),
               protocol::encode(event("from the file")) + "\n");
  const auto logs = printed([&] { return print_logs({}, around); });
  EXPECT_EQ(logs.code, 0);
  EXPECT_EQ(logs.out, insight::format_text(event("from the file"), false) + "\n");
  EXPECT_EQ(printed([&] { return print_logs({.follow = true}, around); }).code, 1);
}

TEST(Commands, ConfigShowIsTomlWithOrigins) {
  testing::TempFolder folder;
  auto around = home_at(folder);
  const auto home = platform::resolve_home(around.environment);
  ASSERT_TRUE(home) << home.error().text();
  folder.write(home->config_file().lexically_relative(folder.path()).string(),
               "[server]\nport = 7\n");
  const char* variables[] = {"INGLE_LOG_LEVEL=debug", nullptr};
  around.variables = variables;
  const ConfigArguments arguments{.flags = {{"--set text.threads", "text.threads", "3"}}};
  const auto result = printed([&] { return show_config(arguments, around); });
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("\nserver.port              = 7            # ingle.toml:2\n"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("# INGLE_LOG_LEVEL\n"), std::string::npos);
  EXPECT_NE(result.out.find("# --set text.threads\n"), std::string::npos);
  const auto again = config::load({.toml_path = "x", .toml_text = result.out});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->values.text.threads, 3);
  const auto json = printed([&] { return show_config({.output = Output::json}, around); });
  EXPECT_NE(json.out.find("\"ingle.toml:2\""), std::string::npos);
}

TEST(Commands, KeysAreMadeListedAndRemoved) {
  testing::TempFolder folder;
  const auto around = home_at(folder);
  using Verb = KeysArguments::Verb;
  const auto made = printed([&] { return manage_keys({Verb::make, "laptop"}, around); });
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_TRUE(made.out.starts_with("ingle-"));
  const auto listed = printed([&] { return manage_keys({Verb::list, ""}, around); });
  EXPECT_NE(listed.out.find("laptop"), std::string::npos);
  EXPECT_EQ(listed.out.find(made.out.substr(0, 40)), std::string::npos) << "never shown again";
  EXPECT_EQ(printed([&] { return manage_keys({Verb::make, "laptop"}, around); }).code, 1);
  EXPECT_EQ(printed([&] { return manage_keys({Verb::remove, "laptop"}, around); }).code, 0);
  EXPECT_EQ(printed([&] { return manage_keys({Verb::remove, "laptop"}, around); }).code, 1);
}

}  // namespace
}  // namespace ingle::cli
