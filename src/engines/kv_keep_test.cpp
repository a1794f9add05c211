// Goal: what is kept of conversations comes back once and only where it can be read, stays within
// its bounds on disk, and nothing that a worker does, writes or leaves out harms anything else.
// Method: real files in a temporary folder, virtual time, and a scripted client that answers as
// llama-server 0.7.0 does (tried by hand: kv_real_test.cpp has the real one).
#include "engines/kv_keep.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <format>
#include <functional>
#include <map>

#include "engines/kv_records.h"
#include "http/server.h"  // for the whole type of WebSocket
#include "testing/fake_files.h"
#include "testing/fake_loop.h"
#include "testing/memory_log.h"
#include "testing/temp_folder.h"

namespace ingle::engines {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;

constexpr std::uint64_t kTokenBytes = 1024;  // of the model below
constexpr std::uint64_t kPlenty = 1ull << 30;

// A worker's slots, behind its HTTP.
class FakeSlots final : public http::Client {
 public:
  struct Slot {
    std::int64_t tokens = 0;
    bool processing = false;
    bool used = true;  // since a restore: only then does it tell its tokens
  };
  using Reply = std::optional<base::Result<http::Response>>;

  explicit FakeSlots(base::Loop& loop) : loop_(loop) {}

  base::Task<base::Result<http::Response>> fetch(http::Endpoint, http::Request request,
                                                 base::CancelToken cancel) override {
    asked.push_back(request.target);
    EXPECT_EQ(request.headers.get("Authorization"), "Bearer key");
    if (hangs_on != "" && request.target.contains(hangs_on))
      CO_TRY(co_await base::sleep_for(loop_, base::Seconds(3600), cancel));
    CO_TRY(co_await base::sleep_for(loop_, base::Millis(20), cancel));
    if (on_request)
      if (auto reply = on_request(request.target)) co_return *std::move(reply);
    if (request.target == "/slots") co_return http::Response{.body = list()};
    const auto target = http::parse_target(request.target);
    const std::int64_t id = request.target.at(std::string("/slots/").size()) - '0';
    const fs::path path = folder / std::format("slot-{}.bin", id);
    EXPECT_EQ(request.body, std::format(R"({{"filename":"slot-{}.bin"}})", id));
    const std::int64_t bytes = slots[id].tokens * static_cast<std::int64_t>(bytes_per_token);
    if (target->query_value("action") == "save") {
      write(path, static_cast<std::uint64_t>(bytes));
      co_return http::Response{.body = std::format(R"({{"n_saved":{}}})", slots[id].tokens)};
    }
    if (!fs::exists(path)) co_return http::Response{.status = 400, .body = "{}"};
    const auto tokens = static_cast<std::int64_t>(fs::file_size(path) / bytes_per_token);
    slots[id] = {.tokens = tokens, .used = false};
    co_return http::Response{.body = std::format(R"({{"n_restored":{}}})", tokens)};
  }
  base::Task<base::Result<std::unique_ptr<http::ResponseStream>>> open(http::Endpoint,
                                                                       http::Request,
                                                                       base::CancelToken) override {
    co_return base::fail(ErrorCode::unsupported, "not in this test");
  }
  base::Task<base::Result<std::unique_ptr<http::WebSocket>>> open_websocket(
      http::Endpoint, std::string, http::Headers, base::CancelToken) override {
    co_return base::fail(ErrorCode::unsupported, "not in this test");
  }

  static void write(const fs::path& path, std::uint64_t bytes) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"),
                                                         std::fclose);
    ASSERT_TRUE(file);
    file.reset();
    fs::resize_file(path, bytes);
  }
  std::size_t count(std::string_view part) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        asked, [&](const std::string& target) { return target.contains(part); }));
  }

  std::map<std::int64_t, Slot> slots{};
  fs::path folder{};
  std::uint64_t bytes_per_token = kTokenBytes;
  std::string hangs_on{};
  std::function<Reply(const std::string&)> on_request{};
  std::vector<std::string> asked{};

 private:
  std::string list() const {
    std::string out;
    for (const auto& [id, slot] : slots)
      out += std::format(
          R"({}{{"id":{},"n_ctx":8192,"is_processing":{}{}}})", out.empty() ? "" : ",", id,
          slot.processing,
          slot.used && slot.tokens > 0 ? std::format(R"(,"n_prompt_tokens":{})", slot.tokens) : "");
    return "[" + out + "]";
  }

  base::Loop& loop_;
};

class KvKeepTest : public ::testing::Test {
 protected:
  void SetUp() override { start(kPlenty); }

  // A keeper as at the start of a daemon.
  void start(std::uint64_t bytes_max) {
    keep = create_kv_keep({.folder = kv, .bytes_max = bytes_max}, worker, loop, lanes, files,
                          base::Logger(log, loop.clock(), "kv"));
    const auto opened = loop.run(keep->open());
    EXPECT_TRUE(opened) << opened.error().text();
  }
  // A plan for a model of that name, whose worker the client then is, with empty slots.
  LaunchPlan plan_for(const std::string& id) {
    LaunchPlan out;
    out.model.info = {.id = id, .kind = protocol::ModelKind::text};
    out.model.info.path = (folder / (id + ".gguf")).native();
    if (!fs::exists(out.model.info.path)) folder.write(id + ".gguf", "GGUF");
    out.model.facts.layers = 2;
    out.model.facts.kv_heads = {2, 2};
    out.model.facts.key_length = out.model.facts.value_length = 64;
    out.settings.context_tokens = out.settings.use.context_tokens = 8192;
    out.settings.parallel = out.settings.use.parallel = 4;
    out.executable = (folder / "llama-server").native();
    if (!fs::exists(out.executable)) folder.write("llama-server", "engine");
    out.api_key = "key";
    out.kv_folder = loop.run(keep->folder_for(out)).value_or("");
    worker.folder = out.kv_folder;
    worker.slots = {{0, {}}, {1, {}}, {2, {}}, {3, {}}};
    return out;
  }
  KvAmount save(const LaunchPlan& plan) {
    auto saved = loop.run(keep->save(plan, {}));
    EXPECT_TRUE(saved) << saved.error().text();
    return saved.value_or(KvAmount{});
  }
  KvAmount restore(const LaunchPlan& plan) {
    auto restored = loop.run(keep->restore(plan, {}));
    EXPECT_TRUE(restored) << restored.error().text();
    return restored.value_or(KvAmount{});
  }
  // Saves one conversation of a model, with the worker gone afterwards.
  LaunchPlan keep_one(const std::string& id, std::int64_t tokens = 1000) {
    auto plan = plan_for(id);
    worker.slots[0].tokens = tokens;
    EXPECT_EQ(save(plan).tokens, tokens);
    loop.advance(base::Seconds(1));
    return plan;
  }
  // Everything under data/kv that is not a folder.
  std::size_t files_left() const {
    std::size_t out = 0;
    for (const auto& entry : fs::recursive_directory_iterator(kv)) out += !entry.is_directory();
    return out;
  }

  testing::FakeLoop loop;
  testing::FakeLanes lanes{loop};
  testing::FakeFiles files;
  testing::MemoryLog log;
  testing::TempFolder folder;
  const fs::path kv = folder / "data/kv";
  FakeSlots worker{loop};
  std::unique_ptr<KvKeep> keep;
};

TEST_F(KvKeepTest, SlotsWorthItAreSavedAndComeBackOnce) {
  const auto plan = plan_for("org/alpha:q4");
  worker.slots = {{0, {.tokens = 400}},
                  {1, {.tokens = 20}},
                  {2, {.tokens = 900, .processing = true}},
                  {3, {.tokens = 4000}}};
  const auto saved = save(plan);
  EXPECT_EQ(saved.slots, 2);
  EXPECT_EQ(saved.tokens, 4400);
  EXPECT_EQ(saved.bytes, 4400 * kTokenBytes);
  EXPECT_EQ(keep->bytes_on_disk(), saved.bytes);
  EXPECT_EQ(worker.asked.at(1), "/slots/3?action=save") << "the longest first";

  plan_for("org/alpha:q4");  // a new worker
  const auto restored = restore(plan);
  EXPECT_EQ(restored.tokens, 4400);
  EXPECT_EQ(worker.slots[3].tokens, 4000);
  EXPECT_EQ(worker.slots[0].tokens, 400);
  EXPECT_EQ(keep->bytes_on_disk(), 0U);
  EXPECT_EQ(files_left(), 0U);
  EXPECT_EQ(restore(plan).slots, 0);
}

TEST_F(KvKeepTest, WhatNobodyUsedSinceItCameBackIsSavedAgain) {
  const auto plan = keep_one("alpha", 3000);
  plan_for("alpha");
  EXPECT_EQ(restore(plan).tokens, 3000);
  EXPECT_EQ(save(plan).tokens, 3000) << "the engine does not tell the tokens of such a slot";
  // A later worker that got nothing back has nothing of it.
  restore(plan);
  plan_for("alpha");
  EXPECT_EQ(restore(plan).slots, 0);
  EXPECT_EQ(save(plan).slots, 0);
}

TEST_F(KvKeepTest, ItOutlivesTheDaemon) {
  const auto plan = keep_one("alpha");
  start(kPlenty);
  EXPECT_EQ(keep->bytes_on_disk(), 1000 * kTokenBytes);
  plan_for("alpha");
  EXPECT_EQ(restore(plan).tokens, 1000);
}

TEST_F(KvKeepTest, OtherSettingsAreNotTried) {
  const std::vector<std::function<void(LaunchPlan&)>> changes{
      [](LaunchPlan& plan) { plan.settings.parallel = 2; },
      [](LaunchPlan& plan) { plan.settings.kv_type_k = "q8_0"; },
      [](LaunchPlan& plan) { plan.settings.kv_type_v = "q8_0"; },
      [](LaunchPlan& plan) { plan.settings.flash_attention = "off"; },
      [&](LaunchPlan& plan) { plan.executable = folder.write("other-server", "engine"); },
      [&](LaunchPlan& plan) { fs::resize_file(plan.model.info.path, 99); },
      [&](LaunchPlan& plan) { fs::last_write_time(plan.executable, fs::file_time_type{}); }};
  for (const auto& change : changes) {
    auto plan = keep_one("alpha");
    change(plan);
    EXPECT_EQ(restore(plan).slots, 0);
    EXPECT_EQ(files_left(), 0U);
  }
  EXPECT_EQ(worker.count("restore"), 0U);
  EXPECT_EQ(log.count("kv_not_restored"), changes.size());
}

TEST_F(KvKeepTest, ASmallerContextLeavesOutWhatDoesNotFit) {
  auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  worker.slots[1].tokens = 900;
  EXPECT_EQ(save(plan).slots, 2);
  plan.settings.context_tokens = 1024;
  EXPECT_EQ(restore(plan).tokens, 900);
  EXPECT_EQ(files_left(), 0U);
}

TEST_F(KvKeepTest, TheOldestGivesWay) {
  start(2500 * kTokenBytes);
  keep_one("alpha");
  keep_one("beta");
  EXPECT_EQ(keep->bytes_on_disk(), 2000 * kTokenBytes);
  keep_one("gamma");
  EXPECT_EQ(keep->bytes_on_disk(), 2000 * kTokenBytes);
  EXPECT_TRUE(log.last("kv_dropped")->message.contains("'alpha'"));
  EXPECT_EQ(restore(plan_for("alpha")).slots, 0);
  EXPECT_EQ(restore(plan_for("beta")).tokens, 1000);
  // A smaller bound at the next start.
  start(500 * kTokenBytes);
  EXPECT_EQ(keep->bytes_on_disk(), 0U);
}

TEST_F(KvKeepTest, WhatCannotFitIsNotAskedFor) {
  start(1500 * kTokenBytes);
  const auto other = keep_one("other");
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(worker.count("/slots/0?action=save"), 1U) << "only the other's";
  EXPECT_TRUE(log.last("kv_no_room")->message.contains("memory.kv_disk"));
  EXPECT_EQ(restore(plan_for("other")).tokens, 1000) << "and nobody had to go for it";
}

TEST_F(KvKeepTest, AFileLargerThanThereIsRoomForIsRemoved) {
  start(1500 * kTokenBytes);
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 1000;
  worker.bytes_per_token = 2 * kTokenBytes;
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(files_left(), 0U);
  EXPECT_TRUE(log.last("kv_not_saved")->message.contains("more than expected"));
}

TEST_F(KvKeepTest, AFullDiskCostsThatConversationOnly) {
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  worker.slots[1].tokens = 300;
  worker.on_request = [&](const std::string& target) -> FakeSlots::Reply {
    if (target != "/slots/0?action=save") return {};
    FakeSlots::write(worker.folder / "slot-0.bin", 100);
    return http::Response{.status = 500, .body = R"({"error":{"message":"full"}})"};
  };
  EXPECT_EQ(save(plan).tokens, 300);
  EXPECT_EQ(files_left(), 2U) << "the other slot and the record";
  EXPECT_EQ(log.count("kv_not_saved"), 1U);

  // Nearly full: it is not even tried, and what is there gives way no more than needed.
  files.set_free_bytes(100 << 20);
  worker.asked.clear();
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(worker.count("save"), 0U);

  // The record alone cannot be written: good for this run of the daemon.
  files.set_free_bytes({});
  worker.on_request = {};
  files.inject({.path_part = ".json"});
  EXPECT_EQ(save(plan).tokens, 4300);
  EXPECT_EQ(log.count("kv_not_recorded"), 1U);
  EXPECT_EQ(restore(plan).tokens, 4300);
}

TEST_F(KvKeepTest, AWorkerThatHangsHoldsNobodyUp) {
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  worker.slots[1].tokens = 300;
  const auto before = loop.clock().mono_now();
  worker.hangs_on = "/slots/1";
  EXPECT_EQ(save(plan).tokens, 4000) << "what was done in time is kept";
  worker.hangs_on = "/slots";
  EXPECT_EQ(loop.run(keep->save(plan, {})).error().code, ErrorCode::timeout);
  EXPECT_EQ(files_left(), 0U);
  worker.hangs_on = "";
  EXPECT_EQ(save(plan).slots, 2);
  worker.hangs_on = "restore";
  EXPECT_EQ(loop.run(keep->restore(plan, {})).error().code, ErrorCode::timeout);
  EXPECT_LT(loop.clock().mono_now() - before, base::Seconds(100));
  EXPECT_EQ(files_left(), 0U);
}

TEST_F(KvKeepTest, CancelledInTheMiddleNothingStays) {
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  worker.slots[1].tokens = 300;
  worker.hangs_on = "/slots/1";
  base::CancelSource source;
  loop.after(base::Seconds(1), [&] { source.cancel(); });
  EXPECT_EQ(loop.run(keep->save(plan, source.token())).error().code, ErrorCode::cancelled);
  EXPECT_EQ(files_left(), 0U);
  EXPECT_EQ(keep->bytes_on_disk(), 0U);
  worker.hangs_on = "";
  EXPECT_EQ(save(plan).slots, 2) << "the worker goes on, and can be saved later";
}

TEST_F(KvKeepTest, ACrashOnRestoringHappensOnlyOnce) {
  const auto plan = keep_one("alpha");
  const auto record = kv / (kv_folder_name("alpha") + ".json");
  ASSERT_TRUE(fs::exists(record));
  worker.on_request = [&](const std::string&) -> FakeSlots::Reply {
    EXPECT_FALSE(fs::exists(record)) << "should the daemon die, too";
    return base::fail(ErrorCode::upstream_error, "the connection was closed");
  };
  EXPECT_EQ(loop.run(keep->restore(plan, {})).error().code, ErrorCode::upstream_error);
  EXPECT_EQ(files_left(), 0U);
  worker.on_request = {};
  EXPECT_EQ(restore(plan).slots, 0);
}

TEST_F(KvKeepTest, ARefusedSlotDoesNotCostTheOthers) {
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 4000;
  worker.slots[1].tokens = 300;
  EXPECT_EQ(save(plan).slots, 2);
  worker.on_request = [](const std::string& target) -> FakeSlots::Reply {
    if (!target.starts_with("/slots/0")) return {};
    return http::Response{.status = 400, .body = "no JSON at all"};
  };
  EXPECT_EQ(restore(plan).tokens, 300);
  EXPECT_EQ(log.last("kv_not_restored")->level, base::LogLevel::warning);
}

TEST_F(KvKeepTest, WhatChangedOnDiskIsNotTried) {
  const std::vector<std::function<void(const fs::path&)>> changes{
      [](const fs::path& file) { fs::resize_file(file, 10); },
      [](const fs::path& file) { fs::last_write_time(file, fs::file_time_type{}); },
      [](const fs::path& file) { fs::remove(file); },
      [&](const fs::path& file) {
        fs::rename(file, folder / "moved.bin");
        fs::create_symlink(folder / "moved.bin", file);
      }};
  for (const auto& change : changes) {
    const auto plan = keep_one("alpha");
    change(plan.kv_folder / "slot-0.bin");
    EXPECT_EQ(restore(plan).slots, 0);
    EXPECT_EQ(files_left(), 0U);
  }
  EXPECT_EQ(worker.count("restore"), 0U);
  EXPECT_TRUE(fs::exists(folder / "moved.bin"));
}

TEST_F(KvKeepTest, LinksAreNeitherWrittenThroughNorCounted) {
  const auto victim = folder.write("victim", "precious");
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 500;
  fs::create_symlink(victim, worker.folder / "slot-0.bin");
  EXPECT_EQ(save(plan).tokens, 500);
  EXPECT_EQ(fs::file_size(victim), 8U) << "the link was removed first";

  worker.on_request = [&](const std::string& target) -> FakeSlots::Reply {
    if (!target.contains("save")) return {};
    fs::create_symlink(victim, worker.folder / "slot-0.bin");
    fs::create_directories(worker.folder / "deep/er");
    return http::Response{.body = R"({"n_saved":500})"};
  };
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(keep->bytes_on_disk(), 0U);
  worker.on_request = {};
  keep_one("alpha");
  EXPECT_FALSE(fs::exists(worker.folder / "deep"));
  EXPECT_EQ(fs::file_size(victim), 8U);
}

TEST_F(KvKeepTest, StrangeAnswersAreRefused) {
  const auto plan = plan_for("alpha");
  std::string body;
  worker.on_request = [&](const std::string& target) -> FakeSlots::Reply {
    if (target == "/slots") return http::Response{.body = body};
    return http::Response{.body = R"({"n_saved":9223372036854775807})"};
  };
  std::string many = R"({"id":0})";
  for (int i = 1; i <= kKeptSlotsMax; ++i) many += std::format(R"(,{{"id":{}}})", i);
  for (const std::string& text : {std::string("{}"), std::string("[") + many + "]"}) {
    body = text;
    EXPECT_EQ(loop.run(keep->save(plan, {})).error().code, ErrorCode::upstream_error) << text;
  }
  body = "nonsense";
  EXPECT_FALSE(loop.run(keep->save(plan, {})));
  // Numbers out of range, and a slot that comes twice: nothing to ask for but the last.
  body = R"([{"id":99999,"n_prompt_tokens":500},{"id":1,"n_prompt_tokens":99999999},
             {"id":2,"n_prompt_tokens":-5},{"id":"x","n_prompt_tokens":500},7,
             {"id":0,"n_prompt_tokens":600}])";
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(worker.count("save"), 1U);
}

TEST_F(KvKeepTest, TheStartRemovesWhatItDoesNotKnow) {
  keep_one("alpha");
  const auto beta = keep_one("beta");
  const auto gamma = keep_one("gamma");
  keep_one("delta");
  folder.write("data/kv/stray", "x");
  folder.write("data/kv/bad.json", "{");
  folder.write("data/kv/deep/er/file", "x");
  folder.write("keep/me", "x");
  fs::create_directory_symlink(folder / "keep", kv / "link");
  fs::copy_file(kv / (kv_folder_name("alpha") + ".json"), kv / "copy.json");
  fs::remove(beta.kv_folder / "slot-0.bin");
  fs::resize_file(gamma.model.info.path, 50);
  start(kPlenty);
  EXPECT_EQ(keep->bytes_on_disk(), 2000 * kTokenBytes);
  EXPECT_EQ(files_left(), 4U) << "two records, two slots";
  EXPECT_TRUE(fs::exists(folder / "keep/me"));
  start(0);
  EXPECT_FALSE(fs::exists(kv));
}

TEST_F(KvKeepTest, NothingIsKeptWhereThereIsNothingToKeep) {
  auto plan = plan_for("alpha");
  struct stat facts{};
  ASSERT_EQ(::stat(plan.kv_folder.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
  plan.model.info.kind = protocol::ModelKind::embedding;
  EXPECT_EQ(loop.run(keep->folder_for(plan)), fs::path{});
  EXPECT_EQ(save(plan).slots, 0);
  start(0);
  plan = plan_for("alpha");
  EXPECT_TRUE(plan.kv_folder.empty());
  EXPECT_EQ(save(plan).slots, 0);
  EXPECT_EQ(restore(plan).slots, 0);
  EXPECT_TRUE(worker.asked.empty());
}

TEST_F(KvKeepTest, ForgettingAModelLeavesTheOthers) {
  const auto alpha = keep_one("alpha");
  keep_one("beta");
  loop.run(keep->forget("alpha"));
  EXPECT_EQ(keep->bytes_on_disk(), 1000 * kTokenBytes);
  EXPECT_TRUE(fs::is_empty(alpha.kv_folder));
  EXPECT_EQ(restore(alpha).slots, 0);
  EXPECT_EQ(restore(plan_for("beta")).tokens, 1000);
}

TEST_F(KvKeepTest, CallsTakeTurns) {
  start(1500 * kTokenBytes);
  const auto plan = plan_for("alpha");
  worker.slots[0].tokens = 1000;
  std::vector<std::int64_t> tokens;
  base::TaskScope scope;
  const auto run = [&](bool saving) -> base::Task<void> {
    auto done = saving ? co_await keep->save(plan, {}) : co_await keep->restore(plan, {});
    EXPECT_TRUE(done);
    tokens.push_back(done ? done->tokens : -1);
  };
  for (const bool saving : {true, false, true}) scope.spawn(run(saving));
  EXPECT_EQ(tokens.size(), 0U);
  loop.run(scope.join());
  EXPECT_EQ(tokens, (std::vector<std::int64_t>{1000, 1000, 1000}));
  EXPECT_EQ(keep->bytes_on_disk(), 1000 * kTokenBytes);
}

TEST(KvRecords, ARecordIsReadBackAndADamagedOneIsNot) {
  const KeptModel record{.model = "org/it:q4",
                         .path = "/m/it.gguf",
                         .size_bytes = 5'000'000'000,
                         .modified_ns = 1'700'000'000'123'456'789,
                         .settings = "parallel 4",
                         .saved_unix_ms = 1'700'000'000'000,
                         .slots = {{0, 100, 1000, 7}, {3, 200, 2000, 8}}};
  const auto text = print_kept_model(record);
  EXPECT_EQ(parse_kept_model(text), record);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"version\": 1", "\"version\": 2"},
           {"\"slot\": 3", "\"slot\": 0"},
           {"\"slot\": 3", "\"slot\": -3"},
           {"\"slot\": 3", "\"slot\": 256"},
           {"\"tokens\": 200", "\"tokens\": \"200\""},
           {"\"bytes\": 2000", "\"bytes\": -1"},
           {"org/it:q4", ""},
           {"\"slots\": [", "\"slots\": [], \"other\": ["}}) {
    auto damaged = text;
    ASSERT_TRUE(damaged.contains(from)) << from;
    damaged.replace(damaged.find(from), from.size(), to);
    const auto parsed = parse_kept_model(damaged);
    ASSERT_FALSE(parsed) << to;
    EXPECT_EQ(parsed.error().code, ErrorCode::malformed);
  }
}

TEST(KvRecords, FolderNamesAreSafeAndTellModelsApart) {
  EXPECT_NE(kv_folder_name("a/b"), kv_folder_name("a_b"));
  for (const std::string id : {"..", "../../etc", "a/b:c", std::string(160, 'x').c_str()}) {
    const auto name = kv_folder_name(id);
    EXPECT_EQ(name.find_first_of("./:"), std::string::npos) << name;
    EXPECT_LT(name.size(), 80U);
  }
}

}  // namespace
}  // namespace ingle::engines
