// Goal: the life of a worker holds with real processes, sockets and signals, not only with scripted
// ones; and llama-server takes the command line and speaks as the driver expects. Method: the text
// host over ingle-fake-engine, told by INGLE_FAKE_SCRIPT to misbehave, and over llama-server with a
// small model.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>

#include "engines/model_host.h"
#include "gguf/facts.h"
#include "make_gguf/sample_model.h"
#include "testing/fake_kv_keep.h"
#include "testing/fake_machine.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using protocol::ModelKind;

constexpr auto kPath = "/usr/local/bin:/usr/bin:/bin";

class RealWorkerTest : public ::testing::Test {
 protected:
  ~RealWorkerTest() override {
    if (host) real.run(host->shut_down());
    EXPECT_TRUE(!host || files->list(folder / "run/workers", 9).value_or({}).empty());
  }

  // Over the fake engine, with a script, or over the llama-server in PATH.
  void host_fake(const std::string& script) {
    create({{"INGLE_FAKE_SCRIPT", script}}, INGLE_FAKE_ENGINE);
  }
  void host_llama_server() { create({{"PATH", kPath}}, ""); }

  void create(std::vector<std::pair<std::string, std::string>> environment, std::string engine) {
    host = create_model_host({.run_folder = folder / "run",
                              .lease_folder = folder / "run/workers",
                              .text = {.llama_server = std::move(engine)},
                              .path_variable = kPath,
                              .environment = std::move(environment)},
                             {.loop = real.loop,
                              .lanes = real.lanes,
                              .processes = *processes,
                              .client = *client,
                              .files = *files,
                              .find = [this](std::string_view) { return record; },
                              .machine = machine,
                              .measurements = measurements,
                              .kv = kv,
                              .log = base::Logger(log, real.clock, "test")});
  }

  base::Result<std::unique_ptr<Lease>> acquire(AcquireOptions options = {}) {
    return real.run(host->acquire("tiny", std::move(options)));
  }
  base::Result<http::Response> post(Lease& lease, std::string target, std::string body) {
    http::Request request{.method = http::Method::post,
                          .target = std::move(target),
                          .headers = {{"Authorization", "Bearer " + lease.api_key()},
                                      {"Content-Type", "application/json"}},
                          .body = std::move(body)};
    return real.run(client->fetch(lease.endpoint(), std::move(request), {}));
  }
  int pid() const { return static_cast<int>(host->residents().models.at(0).pid); }
  // The error of a load that must fail.
  base::Error failure() {
    auto lease = acquire();
    EXPECT_FALSE(lease);
    return lease ? base::Error{} : lease.error();
  }
  void use_sample(std::string_view preset, ModelKind kind) {
    const auto path = folder / "sample.gguf";
    const auto options = gguf_writer::preset(preset);
    ASSERT_TRUE(options) << options.error().message;
    const auto sample = gguf_writer::make_sample(*options);
    ASSERT_TRUE(sample && sample->write(path));
    const auto facts = gguf::read_facts(path);
    ASSERT_TRUE(facts) << facts.error().message;
    record = {.info = {.id = "tiny", .kind = kind, .path = path.native()}, .facts = *facts};
  }

  testing::RealLoop real;
  testing::MemoryLog log;
  testing::TempFolder folder;
  std::unique_ptr<platform::Files> files = platform::create_files();
  std::unique_ptr<platform::Processes> processes =
      platform::create_processes(real.loop, real.lanes);
  testing::FakeMachine machine{real.loop, 16ull << 30, 12ull << 30};
  testing::FakeKvKeep kv{real.loop};
  resources::Measurements measurements;
  std::unique_ptr<http::Client> client = http::Client::create(real.loop, {});
  catalog::ModelRecord record{
      .info = {.id = "tiny", .kind = ModelKind::text, .path = folder.write("m.gguf", "x").native()},
      .facts = {.weight_bytes = 1,
                .layers = 1,
                .kv_heads = {1},
                .key_length = 32,
                .value_length = 32,
                .context_tokens_max = 2048}};
  std::unique_ptr<ModelHost> host;
};

constexpr auto kChat = R"({"messages":[{"role":"user","content":"hello"}],"max_tokens":4})";

TEST_F(RealWorkerTest, AnswersAndEndsInOrder) {
  host_fake(R"({"load_ms":20,"n_ctx":777})");
  auto lease = acquire();
  ASSERT_TRUE(lease) << lease.error().message;
  EXPECT_EQ((*lease)->context_tokens(), 777);
  const auto answer = post(**lease, "/v1/chat/completions", kChat);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_TRUE(answer->body.contains("w0 w1"));
  EXPECT_EQ(files->list(folder / "run/workers", 9)->size(), 1u);
  lease->reset();
  const auto unloaded = real.run(host->unload("tiny"));
  ASSERT_TRUE(unloaded);
  EXPECT_GT(unloaded->freed_bytes, 1 << 20);
  EXPECT_TRUE(files->list(folder / "run/workers", 9)->empty());
  EXPECT_TRUE(files->list(folder / "run/s", 9)->empty());
}

struct Death {
  const char* script;
  ErrorCode code;
  std::vector<std::string> parts;
};

TEST_F(RealWorkerTest, DeathsDuringTheLoadAreToldInWords) {
  for (const auto& [script, code, parts] : {
           Death{R"({"crash_at":"start","crash_code":3,"output":["error: no wood"]})",
                 ErrorCode::load_failed,
                 {"exited with code 3", "error: no wood"}},
           Death{R"({"crash_at":"start","crash_code":0})",
                 ErrorCode::load_failed,
                 {"exited with code 0", "It wrote nothing"}},
           Death{R"({"crash_at":"greeted","crash_signal":9,"load_ms":5000})",
                 ErrorCode::worker_crashed,
                 {"SIGKILL", "memory"}},
           Death{R"({"crash_at":"loading","crash_signal":6,"load_ms":40})",
                 ErrorCode::worker_crashed,
                 {"SIGABRT"}},
           Death{R"({"crash_at":"loading","crash_signal":4,"load_ms":40})",
                 ErrorCode::worker_crashed,
                 {"SIGILL", "processor lacks"}},
           Death{R"({"crash_at":"start","output":["\u001b[31mred\u0007 error: \u0001"]})",
                 ErrorCode::load_failed,
                 {"\\x1b[31mred\\x07 error: \\x01"}},
       }) {
    host_fake(script);
    const auto error = failure();
    EXPECT_EQ(error.code, code) << script;
    for (const auto& part : parts) EXPECT_TRUE(error.message.contains(part)) << error.message;
    real.run(host->shut_down());
  }
}

TEST_F(RealWorkerTest, DeathUnderARequestIsKnownAtOnce) {
  host_fake(R"({"crash_at":"request","crash_signal":11})");
  auto lease = acquire();
  ASSERT_TRUE(lease) << lease.error().message;
  EXPECT_FALSE(post(**lease, "/v1/chat/completions", kChat));
  const auto error = real.run((*lease)->crash());
  EXPECT_EQ(error.code, ErrorCode::worker_crashed);
  EXPECT_TRUE(error.message.contains("SIGSEGV")) << error.message;
  EXPECT_TRUE((*lease)->worker_gone().cancelled());
}

TEST_F(RealWorkerTest, KilledFromOutsideWhileReady) {
  host_fake("{}");
  auto lease = acquire();
  ASSERT_TRUE(lease);
  ::kill(pid(), SIGKILL);
  EXPECT_TRUE(real.run((*lease)->crash()).message.contains("SIGKILL"));
  EXPECT_TRUE(acquire()) << "the next request loads again";
}

TEST_F(RealWorkerTest, IgnoredSigtermEndsInSigkill) {
  host_fake(R"({"ignore_sigterm":true})");
  ASSERT_TRUE(acquire());
  const int victim = pid();
  ASSERT_TRUE(real.run(host->unload("tiny")));
  EXPECT_EQ(::kill(victim, 0), -1);
  EXPECT_EQ(log.count("worker_killed"), 1u);
}

TEST_F(RealWorkerTest, GarbageIsNoHealth) {
  host_fake(R"({"garbage":true,"output":["I am well"]})");
  base::CancelSource source;
  real.loop.after(base::Millis(300), [&] { source.cancel(); });
  EXPECT_EQ(acquire({.cancel = source.token()}).error().code, ErrorCode::cancelled);
  EXPECT_EQ(host->residents().models.at(0).state, protocol::WorkerState::spawned);
}

TEST_F(RealWorkerTest, AFloodOfOutputIsBounded) {
  host_fake(R"({"flood_lines":20000})");
  ASSERT_TRUE(acquire());
  real.run(host->shut_down());
  EXPECT_LT(log.count("output"), 5'000u);
  EXPECT_GE(log.count("output_suppressed"), 1u);
}

// --- llama-server itself ---

TEST_F(RealWorkerTest, LlamaServerAnswersWithTheSettingsAskedFor) {
  use_sample("tiny", ModelKind::text);
  host_llama_server();
  auto lease = acquire({.set = {"context_tokens=512", "parallel=2", "mmap=off"}});
  ASSERT_TRUE(lease) << lease.error().message;
  EXPECT_EQ((*lease)->context_tokens(), 512);
  const auto answer = post(**lease, "/v1/chat/completions", kChat);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_GT(log.count("output"), 20u);  // the log keeps level debug, so the engine tells all
  for (const auto& line : log.records()) {
    const bool raw = line.event == "output" && line.message.starts_with(R"({"type":"log")");
    EXPECT_FALSE(raw) << line.message;
  }
  EXPECT_EQ(log.last("output")->logger, "worker.tiny");
}

TEST_F(RealWorkerTest, LlamaServerEmbeds) {
  use_sample("embedding", ModelKind::embedding);
  host_llama_server();
  auto lease = acquire();
  ASSERT_TRUE(lease) << lease.error().message;
  const auto answer = post(**lease, "/v1/embeddings", R"({"input":["one","two"]})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200) << answer->body;
}

TEST_F(RealWorkerTest, LlamaServerReranks) {
  use_sample("reranker", ModelKind::reranker);
  host_llama_server();
  auto lease = acquire();
  ASSERT_TRUE(lease) << lease.error().message;
  const auto answer =
      post(**lease, "/v1/rerank", R"({"query":"wood","documents":["fire","water"]})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200) << answer->body;
}

TEST_F(RealWorkerTest, LlamaServerRefusesATruncatedModel) {
  use_sample("tiny", ModelKind::text);
  std::filesystem::resize_file(record.info.path, std::filesystem::file_size(record.info.path) / 2);
  host_llama_server();
  const auto error = failure();
  EXPECT_EQ(error.code, ErrorCode::load_failed);
  EXPECT_TRUE(error.message.contains("not within the file bounds")) << error.message;
  EXPECT_TRUE(error.message.contains("download it again"));
}

TEST_F(RealWorkerTest, LlamaServerTakesEveryCombinationOfSettings) {
  use_sample("tiny", ModelKind::text);
  host_llama_server();
  for (const std::vector<std::string>& set :
       {std::vector<std::string>{"gpu_layers=0", "flash_attention=off"},
        std::vector<std::string>{"gpu_layers=all", "batch_tokens=64", "ubatch_tokens=32"},
        std::vector<std::string>{"kv_type_k=bf16", "flash_attention=on", "cache_ram_mib=0"}}) {
    auto lease = acquire({.set = set});
    ASSERT_TRUE(lease) << lease.error().message;
    EXPECT_EQ(post(**lease, "/v1/chat/completions", kChat)->status, 200);
  }
}

}  // namespace
}  // namespace ingle::engines
