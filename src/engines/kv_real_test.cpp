// Goal: a conversation goes on with llama-server itself after its worker was ended and another one
// started. Method: real workers in their sandbox, with the command line and the driver that the
// host uses, on small models with random weights; the engine's own counts of prompt tokens.
#include <gtest/gtest.h>
#include <signal.h>

#include <format>

#include "engines/kv_keep.h"
#include "engines/kv_records.h"
#include "gguf/facts.h"
#include "make_gguf/sample_model.h"
#include "platform/process.h"
#include "protocol/json.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::engines {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using protocol::Json;

constexpr auto kPath = "/usr/local/bin:/usr/bin:/bin";

struct Told {
  std::int64_t prompt_tokens = 0;
  std::int64_t computed_tokens = 0;  // of them, not from the cache
  std::string text{};
};

class KvRealTest : public ::testing::Test {
 protected:
  ~KvRealTest() override { end_worker(); }

  void SetUp() override {
    use_model({.name = "tiny"});
    plan.settings.threads = plan.settings.threads_batch = 1;
    plan.settings.context_tokens = plan.settings.use.context_tokens = 4096;
    plan.settings.parallel = plan.settings.use.parallel = 2;
    plan.settings.flash_attention = "on";
    const auto found = platform::find_executable("llama-server", kPath);
    ASSERT_TRUE(found) << found.error().message;
    plan.executable = *found;
    plan.api_key = "secret";
    plan.environment = {{"PATH", kPath}};
    ASSERT_TRUE(files->make_folder(folder / "s"));
  }
  void use_model(const gguf_writer::SampleOptions& options) {
    const auto path = folder / (options.name + ".gguf");
    const auto sample = gguf_writer::make_sample(options);
    ASSERT_TRUE(sample && sample->write(path));
    const auto facts = gguf::read_facts(path);
    ASSERT_TRUE(facts) << facts.error().message;
    plan.model = {
        .info = {.id = options.name, .kind = protocol::ModelKind::text, .path = path.native()},
        .facts = *facts};
  }

  // Starts a worker of the plan and waits until it is ready.
  void start_worker() {
    end_worker();
    const auto made = real.run(keep->folder_for(plan));
    ASSERT_TRUE(made) << made.error().message;
    plan.kv_folder = *made;
    // A killed worker leaves its socket behind.
    plan.socket = folder / std::format("s/{}.sock", ++started);
    plan.arguments = llama_server_arguments(plan.settings, plan.model.info, plan.model.facts,
                                            plan.socket, EngineLog::brief, plan.kv_folder);
    LlamaServer driver(plan, *client);
    exited = false;
    auto spawned = real.run(processes->spawn(
        driver.spawn_options(), {.on_line = [this](std::string_view line) { output += line; },
                                 .on_exit = [this](platform::ExitStatus) { exited = true; }}));
    ASSERT_TRUE(spawned) << spawned.error().message;
    worker = *std::move(spawned);
    for (int i = 0; i < 2000 && !exited; ++i) {
      const auto health = real.run(driver.probe({}));
      if (health && *health == supervisor::Health::ready) return;
      ASSERT_TRUE(real.run(base::sleep_for(real.loop, base::Millis(10))));
    }
    FAIL() << "no worker: " << output;
  }
  void end_worker() {
    if (!worker) return;
    worker->signal(SIGKILL);
    for (int i = 0; i < 1000 && !exited; ++i)
      (void)real.run(base::sleep_for(real.loop, base::Millis(5)));
    EXPECT_TRUE(exited);
    worker.reset();
  }

  Told chat(const Json::Array& messages, std::int64_t tokens_max = 8) {
    http::Request request{
        .method = http::Method::post,
        .target = "/v1/chat/completions",
        .headers = {{"Authorization", "Bearer secret"}, {"Content-Type", "application/json"}},
        .body = protocol::print_json(
            Json::Object{{"messages", messages}, {"max_tokens", tokens_max}, {"temperature", 0}})};
    const auto answer =
        real.run(client->fetch(http::UnixEndpoint{plan.socket}, std::move(request), {}));
    EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : "");
    const auto json = protocol::parse_json(answer ? answer->body : "{}").value_or(Json{});
    const auto number = [&](const char* outer, const char* inner) {
      const Json* found = json.find(outer);
      if (found) found = found->find(inner);
      EXPECT_NE(found, nullptr) << inner;
      return found ? found->as_int().value_or(-1) : -1;
    };
    Told out{.prompt_tokens = number("usage", "prompt_tokens"),
             .computed_tokens = number("timings", "prompt_n")};
    if (const auto* choices = json.find("choices"))
      out.text = *(*choices->as_array())[0].find("message")->find("content")->as_string();
    return out;
  }
  static Json message(const char* role, std::string text) {
    return Json::Object{{"role", role}, {"content", std::move(text)}};
  }
  // A first message of over a thousand tokens.
  static std::string long_text(std::string_view salt) {
    std::string out;
    for (int i = 0; i < 100; ++i) out += std::format("{} the fire and water {} ", salt, i);
    return out;
  }
  // A conversation and its next question, after its first answer came from the worker.
  Json::Array converse(std::string_view salt) {
    Json::Array out{message("user", long_text(salt))};
    out.push_back(message("assistant", chat(out, 16).text));
    out.push_back(message("user", "and then?"));
    return out;
  }
  KvAmount save() {
    const auto saved = real.run(keep->save(plan, {}));
    EXPECT_TRUE(saved) << saved.error().text();
    return saved.value_or(KvAmount{});
  }
  KvAmount restore() {
    const auto restored = real.run(keep->restore(plan, {}));
    EXPECT_TRUE(restored) << restored.error().text();
    return restored.value_or(KvAmount{});
  }
  fs::path slot_file(std::int64_t slot) const { return plan.kv_folder / kv_file_name(slot); }

  testing::RealLoop real;
  testing::MemoryLog log;
  testing::TempFolder folder;
  std::unique_ptr<platform::Files> files = platform::create_files();
  std::unique_ptr<platform::Processes> processes =
      platform::create_processes(real.loop, real.lanes);
  std::unique_ptr<http::Client> client = http::Client::create(real.loop, {});
  std::unique_ptr<KvKeep> keep =
      create_kv_keep({.folder = folder / "kv", .bytes_max = 1 << 30}, *client, real.loop,
                     real.lanes, *files, base::Logger(log, real.clock, "kv"));
  LaunchPlan plan{};
  std::unique_ptr<platform::Process> worker;
  std::string output;
  bool exited = true;
  int started = 0;
};

TEST_F(KvRealTest, ConversationsGoOnAfterTheirWorkerWasEnded) {
  start_worker();
  const auto one = converse("alder");
  const auto two = converse("birch");
  const auto saved = save();
  ASSERT_EQ(saved.slots, 2);
  EXPECT_GT(saved.tokens, 2000);
  EXPECT_EQ(keep->bytes_on_disk(), saved.bytes);
  const auto expected = chat(one, 16).text;

  start_worker();
  EXPECT_EQ(restore().tokens, saved.tokens);
  EXPECT_TRUE(fs::is_empty(plan.kv_folder));
  // Once more, before anybody used it.
  EXPECT_EQ(save().tokens, saved.tokens);
  start_worker();
  ASSERT_EQ(restore().tokens, saved.tokens);
  for (const auto& conversation : {one, two}) {
    const auto told = chat(conversation, 16);
    EXPECT_GT(told.prompt_tokens, 1000);
    EXPECT_LT(told.computed_tokens, told.prompt_tokens / 20);
    if (conversation == one) {
      EXPECT_EQ(told.text, expected);
    }
  }
}

TEST_F(KvRealTest, WithSmallerKvTypesAndAnotherContextToo) {
  plan.settings.kv_type_k = plan.settings.kv_type_v = "q8_0";
  start_worker();
  const auto conversation = converse("alder");
  ASSERT_EQ(save().slots, 1);
  plan.settings.context_tokens = 3072;
  start_worker();
  ASSERT_EQ(restore().slots, 1);
  const auto told = chat(conversation);
  EXPECT_LT(told.computed_tokens, told.prompt_tokens / 20);
}

// What the engine needs to go on from within these is more than their caches: it saves its
// checkpoints, too.
TEST_F(KvRealTest, WithSlidingWindowsExpertsAndRecurrentStateToo) {
  using gguf_writer::Architecture;
  for (const auto& options :
       {gguf_writer::SampleOptions{
            .name = "swa", .architecture = Architecture::gemma3, .layers = 6, .window_tokens = 256},
        gguf_writer::SampleOptions{
            .name = "moe", .architecture = Architecture::qwen3moe, .experts = 4},
        gguf_writer::SampleOptions{.name = "recurrent", .architecture = Architecture::mamba}}) {
    use_model(options);
    start_worker();
    const auto conversation = converse("alder");
    ASSERT_EQ(save().slots, 1) << options.name;
    start_worker();
    ASSERT_EQ(restore().slots, 1) << options.name;
    const auto told = chat(conversation);
    EXPECT_GT(told.prompt_tokens, 1000);
    EXPECT_LT(told.computed_tokens, told.prompt_tokens / 20) << options.name;
  }
}

TEST_F(KvRealTest, ADamagedFileDoesNoLastingHarm) {
  start_worker();
  const auto conversation = converse("alder");
  ASSERT_EQ(save().slots, 1);
  // Of the same size and time, so that only the engine can tell.
  const auto file = fs::exists(slot_file(0)) ? slot_file(0) : slot_file(1);
  const auto time = fs::last_write_time(file);
  const auto size = fs::file_size(file);
  fs::resize_file(file, size / 2);
  fs::resize_file(file, size);
  fs::last_write_time(file, time);
  start_worker();
  const auto restored = real.run(keep->restore(plan, {}));
  // The engine may find it wrong, take it, or crash: no more than once.
  EXPECT_TRUE(fs::is_empty(plan.kv_folder));
  if (!restored) start_worker();
  EXPECT_EQ(restore().slots, 0);
  EXPECT_GT(chat(conversation).prompt_tokens, 1000);
}

}  // namespace
}  // namespace ingle::engines
