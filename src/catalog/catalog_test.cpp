// Goal: the catalogue over real folders: what it finds, what it reads again, what it keeps from one
// run to the next, and that faults of disk and database do no harm.
// Method: real files and SQLite on the real loop; a reader that counts the files that it opens.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <mutex>

#include "catalog/reading.h"
#include "make_gguf/sample_model.h"
#include "storage/models_repository.h"
#include "storage/storage.h"
#include "testing/fake_files.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::Status;
using base::Task;
using protocol::ModelKind;
using protocol::ModelState;
using Names = std::vector<std::string>;

std::string sample_bytes(gguf_writer::Architecture architecture) {
  return gguf_writer::make_sample({.architecture = architecture,
                                   .layers = 1,
                                   .embedding_length = 64,
                                   .feed_forward_length = 64})
      ->bytes();
}

class CatalogTest : public ::testing::Test {
 protected:
  // One run of the daemon, from its start to its end.
  struct Run {
    explicit Run(CatalogTest& test)
        : storage(storage::Storage::create(test.home_ / "ingle.db", test.real_.loop,
                                           base::Logger(test.log_, test.real_.clock, "storage"))),
          catalog(
              Catalog::create({.folders = test.folders_,
                               .starters = test.starters_,
                               .cancel = test.cancel_.token(),
                               .read = [&test](const fs::path& path) { return test.read(path); }},
                              test.files_, *storage, test.real_.lanes, test.real_.loop,
                              base::Logger(test.log_, test.real_.clock, "catalog"))) {}
    std::unique_ptr<storage::Storage> storage;
    std::unique_ptr<Catalog> catalog;
  };

  base::Result<FileReading> read(const fs::path& path) {
    {
      std::lock_guard lock(mutex_);
      read_.push_back(path.filename().string());
    }
    if (before_read_) before_read_(path);
    return read_model_file(path);
  }
  // The files that were opened since the last call.
  Names take_read() {
    std::lock_guard lock(mutex_);
    return std::exchange(read_, {});
  }
  Status scan(Run& run) { return real_.run(run.catalog->scan()); }
  static Names ids(const Run& run) {
    Names out;
    for (const auto& model : run.catalog->list().models) out.push_back(model.id);
    return out;
  }
  // The only model of this name in the list.
  static protocol::ModelInfo info(const Run& run, std::string_view id) {
    for (const auto& model : run.catalog->list().models)
      if (model.id == id) return model;
    ADD_FAILURE() << "no model " << id;
    return {};
  }
  std::size_t rows() {
    return storage::list_model_files(*storage::Connection::open(home_ / "ingle.db").value())
        ->size();
  }

  const std::string text_ = sample_bytes(gguf_writer::Architecture::llama);
  ingle::testing::TempFolder home_;
  ingle::testing::TempFolder models_;
  ingle::testing::FakeFiles files_;
  ingle::testing::MemoryLog log_;
  ingle::testing::RealLoop real_;
  base::CancelSource cancel_;
  std::vector<fs::path> folders_{models_.path()};
  fs::path starters_;
  std::function<void(const fs::path&)> before_read_;
  std::mutex mutex_;  // guards read_: files are read on the pool
  Names read_;
};

TEST_F(CatalogTest, WhatCameWithIngleIsListedAsSuchAndIsNoModelOfTheUser) {
  ingle::testing::TempFolder came;
  came.write("starter.gguf", text_);
  came.write("below/starter-two.gguf", text_);
  starters_ = came.path();
  {
    Run run(*this);
    ASSERT_TRUE(scan(run));
    EXPECT_EQ(info(run, "starter").source, protocol::ModelSource::starter);
    EXPECT_EQ(run.catalog->list().folders, Names{models_.path().string()});
    EXPECT_EQ(info(run, "starter-two").source, protocol::ModelSource::starter);
    EXPECT_TRUE(run.catalog->find("starter"));
    const auto other = run.catalog->find("other");
    EXPECT_EQ(other.error().code, ErrorCode::model_not_found);
    EXPECT_TRUE(other.error().message.contains("put a .gguf file there")) << other.error().message;
  }
  models_.write("tiny.gguf", text_);
  {
    Run run(*this);
    ASSERT_TRUE(real_.run(run.catalog->load_known()));  // as the database has it
    EXPECT_EQ(info(run, "starter").source, protocol::ModelSource::starter);
    ASSERT_TRUE(scan(run));
    EXPECT_EQ(info(run, "tiny").source, protocol::ModelSource::user);
    EXPECT_FALSE(run.catalog->find("other").error().message.contains("put a .gguf file there"));
  }
  starters_.clear();
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(ids(run), Names{"tiny"});
}

TEST_F(CatalogTest, FindsModelsAndTellsTheirKinds) {
  models_.write("tiny.gguf", text_);
  models_.write("embed/e.gguf", sample_bytes(gguf_writer::Architecture::bert));
  models_.write("rank.gguf", sample_bytes(gguf_writer::Architecture::reranker));
  models_.write("empty.gguf", "");
  models_.write("cut.gguf", text_.substr(0, text_.size() - 100));
  models_.write("coming.gguf.part", "GGUF");
  models_.write("readme.txt", "hello");
  Run run(*this);
  EXPECT_FALSE(run.catalog->ready());
  EXPECT_TRUE(run.catalog->list().scanning);
  EXPECT_EQ(run.catalog->find("tiny").error().code, ErrorCode::pending);
  ASSERT_TRUE(scan(run));
  EXPECT_TRUE(run.catalog->ready());
  const auto list = run.catalog->list();
  EXPECT_FALSE(list.scanning);
  EXPECT_EQ(list.folders, Names{models_.path().string()});
  EXPECT_EQ(ids(run), (Names{"coming", "cut", "e", "empty", "rank", "tiny"}));
  EXPECT_EQ(info(run, "tiny").kind, ModelKind::text);
  EXPECT_EQ(info(run, "e").kind, ModelKind::embedding);
  EXPECT_EQ(info(run, "rank").kind, ModelKind::reranker);
  EXPECT_EQ(info(run, "empty").state, ModelState::broken);
  EXPECT_NE(info(run, "empty").problem.find("empty"), std::string::npos);
  EXPECT_EQ(info(run, "cut").state, ModelState::broken);
  EXPECT_EQ(info(run, "coming").state, ModelState::incomplete);
  const auto tiny = run.catalog->find("TINY");
  ASSERT_TRUE(tiny) << tiny.error().text();
  EXPECT_EQ(tiny->info.path, (models_ / "tiny.gguf").string());
  EXPECT_EQ(tiny->files, std::vector{models_ / "tiny.gguf"});
  EXPECT_EQ(tiny->facts.layers, 1u);
  EXPECT_EQ(run.catalog->find("cut").error().code, ErrorCode::model_broken);
  EXPECT_EQ(run.catalog->find("other").error().code, ErrorCode::model_not_found);
  EXPECT_EQ(log_.count("model_broken"), 2u);
}

TEST_F(CatalogTest, OnlyNewAndChangedFilesAreOpenedAgain) {
  models_.write("a.gguf", text_);
  models_.write("b.gguf", text_);
  models_.write("broken.gguf", "GGUF and no more");
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), (Names{"a.gguf", "b.gguf", "broken.gguf"}));
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), Names{});

  models_.write("c.gguf", text_);
  fs::remove(models_ / "a.gguf");
  const auto replacement = models_.write("new", sample_bytes(gguf_writer::Architecture::bert));
  fs::rename(replacement, models_ / "b.gguf");
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), (Names{"b.gguf", "c.gguf"}));
  EXPECT_EQ(ids(run), (Names{"b", "broken", "c"}));
  EXPECT_EQ(info(run, "b").kind, ModelKind::embedding);

  // The same size and inode, and another time.
  fs::last_write_time(models_ / "c.gguf",
                      fs::last_write_time(models_ / "c.gguf") + std::chrono::seconds(1));
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), Names{"c.gguf"});
  EXPECT_EQ(rows(), 3u);

  // The same size and time, and another file.
  const auto time = fs::last_write_time(models_ / "c.gguf");
  const auto twin = models_.write("twin", text_);
  fs::last_write_time(twin, time);
  fs::rename(twin, models_ / "c.gguf");
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), Names{"c.gguf"});
}

TEST_F(CatalogTest, TheNextRunKnowsWhatTheLastKnew) {
  models_.write("a/tiny.gguf", text_);
  models_.write("b/tiny.gguf", text_);
  models_.write("broken.gguf", "no");
  {
    Run first(*this);
    ASSERT_TRUE(scan(first));
  }
  take_read();
  models_.write("A/tiny.gguf", text_);  // sorts before the others, and takes no one's name
  Run second(*this);
  ASSERT_TRUE(real_.run(second.catalog->load_known()));
  EXPECT_TRUE(second.catalog->ready());
  EXPECT_TRUE(second.catalog->list().scanning);
  EXPECT_EQ(ids(second), (Names{"b/tiny", "broken", "tiny"}));
  const auto known = second.catalog->find("tiny");
  ASSERT_TRUE(known) << known.error().text();
  EXPECT_EQ(known->info.path, (models_ / "a/tiny.gguf").string());
  EXPECT_EQ(known->facts.architecture, "llama");
  EXPECT_EQ(second.catalog->find("new").error().code, ErrorCode::pending);
  EXPECT_EQ(take_read(), Names{});
  ASSERT_TRUE(scan(second));
  EXPECT_EQ(take_read(), Names{"tiny.gguf"});
  EXPECT_EQ(ids(second), (Names{"A/tiny", "b/tiny", "broken", "tiny"}));
}

TEST_F(CatalogTest, RowsOfOtherFoldersAndOfNoUseAreDropped) {
  models_.write("tiny.gguf", text_);
  {
    Run first(*this);
    ASSERT_TRUE(scan(first));
    auto db = storage::Connection::open(home_ / "ingle.db").value();
    const std::array odd{
        storage::ModelFileRow{.path = models_ / "odd.gguf", .content = "not json"},
        storage::ModelFileRow{.path = "/elsewhere/x.gguf", .content = encode_reading({})}};
    ASSERT_TRUE(storage::save_model_files(*db, odd, {}));
  }
  EXPECT_EQ(rows(), 3u);
  Run second(*this);
  ASSERT_TRUE(real_.run(second.catalog->load_known()));
  EXPECT_EQ(ids(second), Names{"tiny"});
  ASSERT_TRUE(scan(second));
  EXPECT_EQ(rows(), 1u);
}

TEST_F(CatalogTest, AScanBegunTogetherWithTheLoadReadsNothingTwice) {
  models_.write("a.gguf", text_);
  models_.write("b.gguf", text_);
  {
    Run first(*this);
    ASSERT_TRUE(scan(first));
  }
  take_read();
  fs::remove(models_ / "a.gguf");
  Run second(*this);
  real_.run([&]() -> Task<void> {
    base::TaskScope scope;
    const auto end_well = [](Task<Status> task) -> Task<void> {
      EXPECT_TRUE(co_await std::move(task));
    };
    scope.spawn(end_well(second.catalog->scan()));
    scope.spawn(end_well(second.catalog->load_known()));
    co_await scope.join();
  }());
  EXPECT_EQ(take_read(), Names{});
  EXPECT_EQ(ids(second), Names{"b"});
  EXPECT_EQ(rows(), 1u);
}

TEST_F(CatalogTest, AllShardsAreReadAndAMissingOneComes) {
  const auto shard = [](std::uint32_t index) {
    gguf_writer::GgufWriter writer;
    writer.add("general.architecture", std::string("llama"));
    writer.add("llama.block_count", std::uint32_t{1});
    writer.add("tokenizer.ggml.model", std::string("gpt2"));
    writer.add("split.count", std::uint32_t{2});
    writer.add("split.no", index);
    writer.add_tensor("blk.0.attn_norm.weight", {32}, gguf_writer::TensorType::f32,
                      [](std::uint64_t, std::span<float>) {});
    return writer.bytes();
  };
  models_.write("big-00002-of-00002.gguf", shard(1));
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(info(run, "big").state, ModelState::incomplete);
  const auto missing = run.catalog->find("big").error();
  EXPECT_EQ(missing.code, ErrorCode::model_broken);
  EXPECT_NE(missing.message.find("big-00001-of-00002.gguf"), std::string::npos);
  models_.write("big-00001-of-00002.gguf", shard(0));
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(info(run, "big").state, ModelState::usable) << info(run, "big").problem;
  EXPECT_EQ(info(run, "big").file_count, 2);
  EXPECT_EQ(run.catalog->find("big")->facts.weight_bytes, 256u);
  const auto kept =
      storage::list_model_files(*storage::Connection::open(home_ / "ingle.db").value()).value();
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].model_id, "big");
  EXPECT_EQ(kept[1].model_id, "");
}

TEST_F(CatalogTest, ADownloadThatEndsIsRead) {
  models_.write("a.gguf", text_);
  models_.write("a.gguf.aria2", "");
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(info(run, "a").state, ModelState::incomplete);
  EXPECT_EQ(take_read(), Names{});
  EXPECT_EQ(rows(), 0u);
  fs::remove(models_ / "a.gguf.aria2");
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(info(run, "a").state, ModelState::usable);
  EXPECT_EQ(take_read(), Names{"a.gguf"});
}

TEST_F(CatalogTest, ProblemsThatMayPassAreLookedAtAgain) {
  models_.write("mine.gguf", text_);
  Run run(*this);
  bool allowed = false;
  std::unique_ptr<Catalog> catalog = Catalog::create(
      {.folders = folders_,
       .read = [&](const fs::path& path) -> base::Result<FileReading> {
         if (allowed) return read_model_file(path);
         return FileReading{.problem = "cannot open it: Permission denied", .lasting = false};
       }},
      files_, *run.storage, real_.lanes, real_.loop, base::Logger(log_, real_.clock, "catalog"));
  ASSERT_TRUE(real_.run(catalog->scan()));
  EXPECT_NE(catalog->find("mine").error().message.find("Permission denied"), std::string::npos);
  EXPECT_EQ(rows(), 0u);
  allowed = true;  // chmod changes neither size nor time
  ASSERT_TRUE(real_.run(catalog->scan()));
  EXPECT_TRUE(catalog->find("mine"));
  EXPECT_EQ(rows(), 1u);
}

TEST_F(CatalogTest, AFileThatGoesAwayWhileItIsReadIsNoModel) {
  models_.write("a.gguf", text_);
  models_.write("b.gguf", text_);
  before_read_ = [&](const fs::path& path) {
    if (path.filename() == "a.gguf") fs::remove(path);
  };
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(ids(run), Names{"b"});
}

TEST_F(CatalogTest, ASecondScanJoinsTheFirst) {
  for (int i = 0; i < 5; ++i) models_.write(std::to_string(i) + ".gguf", text_);
  Run run(*this);
  real_.run([&]() -> Task<void> {
    base::TaskScope scope;
    int ended = 0;
    for (int i = 0; i < 3; ++i)
      scope.spawn([](Catalog& catalog, int& count) -> Task<void> {
        EXPECT_TRUE(co_await catalog.scan());
        ++count;
      }(*run.catalog, ended));
    co_await scope.join();
    EXPECT_EQ(ended, 3);
  }());
  EXPECT_EQ(take_read().size(), 5u);
  EXPECT_EQ(log_.count("catalog_scanned"), 1u);
}

TEST_F(CatalogTest, ACancelledScanEndsBetweenTwoFiles) {
  for (int i = 0; i < 5; ++i) models_.write(std::to_string(i) + ".gguf", text_);
  before_read_ = [&](const fs::path& path) {
    if (path.filename() == "1.gguf") real_.loop.post([&] { cancel_.cancel(); });
  };
  Run run(*this);
  const auto cancelled = scan(run);
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  EXPECT_EQ(take_read(), (Names{"0.gguf", "1.gguf"}));
  EXPECT_TRUE(run.catalog->list().models.empty());
}

TEST_F(CatalogTest, FoldersThatCannotBeReadAreLogged) {
  models_.write("good/a.gguf", text_);
  models_.write("bad/b.gguf", text_);
  folders_.push_back(models_ / "missing");
  files_.inject({ingle::testing::FileOperation::list, "/bad", ErrorCode::permission_denied});
  Run run(*this);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(ids(run), Names{"a"});
  EXPECT_EQ(log_.count("models_folder_skipped"), 1u);
  EXPECT_EQ(log_.count("models_folder_missing"), 1u);
}

TEST_F(CatalogTest, WithoutItsDatabaseItWorksAllTheSame) {
  models_.write("tiny.gguf", text_);
  home_.write("ingle.db", std::string(4096, 'x'));
  Run run(*this);
  EXPECT_EQ(real_.run(run.catalog->load_known()).error().code, ErrorCode::database_error);
  EXPECT_FALSE(run.catalog->ready());
  ASSERT_TRUE(scan(run));
  EXPECT_TRUE(run.catalog->find("tiny"));
  EXPECT_EQ(log_.count("catalog_not_saved"), 1u);
}

TEST_F(CatalogTest, WhatAFullDiskKeptFromTheDatabaseIsSavedLater) {
  models_.write("tiny.gguf", text_);
  Run run(*this);
  const auto limit = [&](std::int64_t pages) {
    return real_.run(run.storage->run([pages](storage::Connection& db) -> Status {
      TRY(db.query("pragma max_page_count = " + std::to_string(pages)));
      return {};
    }));
  };
  ASSERT_TRUE(limit(1));
  for (int i = 0; i < 200; ++i) models_.write("m" + std::to_string(i) + ".gguf", text_);
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(log_.last("catalog_not_saved")->exception.substr(0, 9), "disk_full");
  EXPECT_EQ(run.catalog->list().models.size(), 201u);
  EXPECT_EQ(rows(), 0u);
  ASSERT_TRUE(limit(1'000'000));
  take_read();
  ASSERT_TRUE(scan(run));
  EXPECT_EQ(take_read(), Names{});
  EXPECT_EQ(rows(), 201u);
}

TEST_F(CatalogTest, AnEmptyCatalogueSaysWhereItLooked) {
  Run run(*this);
  ASSERT_TRUE(scan(run));
  const auto error = run.catalog->find("tiny").error();
  EXPECT_EQ(error.code, ErrorCode::model_not_found);
  EXPECT_NE(error.message.find(models_.path().string()), std::string::npos);
  EXPECT_NE(error.message.find("--models DIR"), std::string::npos);
}

}  // namespace
}  // namespace ingle::catalog
