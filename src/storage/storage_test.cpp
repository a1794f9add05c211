// Goal: work runs in order on the storage thread and comes back on the loop; a full queue, a file
// that cannot be opened and the end are handled as promised.
// Method: the real loop, real files; gates instead of sleeps.
#include "storage/storage.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <future>

#include "storage/settings_repository.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::Status;
using base::Task;

class StorageTest : public ::testing::Test {
 protected:
  std::unique_ptr<Storage> create(const std::filesystem::path& path) {
    return Storage::create(path, real_.loop, base::Logger(log_, real_.clock, "storage"));
  }
  ingle::testing::TempFolder folder_;
  ingle::testing::MemoryLog log_;
  ingle::testing::RealLoop real_;
};

// A coroutine lambda's captures live as long as the full expression, which ends after run().
TEST_F(StorageTest, WorkRunsOnItsThreadAndResumesOnTheLoop) {
  auto storage = create(folder_ / "ingle.db");
  std::string thread_name;
  bool on_loop = true;
  real_.run([&]() -> Task<void> {
    EXPECT_TRUE(co_await storage->opened());
    EXPECT_TRUE(co_await storage->run([&](Connection& db) -> Status {
      std::array<char, 32> buffer{};
      pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
      thread_name = buffer.data();
      on_loop = real_.loop.on_loop_thread();
      return write_setting(db, "a", "1");
    }));
    EXPECT_TRUE(real_.loop.on_loop_thread());
    const auto failed = co_await storage->run(
        [](Connection&) -> Status { return base::fail(ErrorCode::cancelled, "no"); });
    EXPECT_EQ(failed.error().code, ErrorCode::cancelled);
  }());
  EXPECT_EQ(thread_name, "ingle-storage");
  EXPECT_FALSE(on_loop);
  EXPECT_EQ(log_.count("database_opened"), 1u);
}

TEST_F(StorageTest, ManyAskersAreServedInOrder) {
  auto storage = create(folder_ / "ingle.db");
  std::vector<int> order;
  const auto ask = [&](int number) -> Task<void> {
    EXPECT_TRUE(co_await storage->run([&, number](Connection&) -> Status {
      order.push_back(number);
      return {};
    }));
  };
  real_.run([&]() -> Task<void> {
    base::TaskScope scope;
    for (int i = 0; i < 200; ++i) scope.spawn(ask(i));
    co_await scope.join();
  }());
  ASSERT_EQ(order.size(), 200u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(StorageTest, AFullQueueRefusesAtOnceAndTheRestIsServed) {
  auto storage = create(folder_ / "ingle.db");
  std::size_t refused = 0;
  std::size_t served = 0;
  const auto ask = [&](Storage::Work work) -> Task<void> {
    const auto status = co_await storage->run(std::move(work));
    if (status) ++served;
    if (!status && status.error().code == ErrorCode::overloaded) ++refused;
  };
  std::promise<void> started;
  std::promise<void> go;
  real_.run([&]() -> Task<void> {
    base::TaskScope scope;
    scope.spawn(ask([&](Connection&) -> Status {
      started.set_value();
      go.get_future().wait();
      return {};
    }));
    started.get_future().wait();  // the thread is held: the queue is empty and stays as we fill it
    for (std::size_t i = 0; i < Storage::kQueueMax + 7; ++i)
      scope.spawn(ask([](Connection&) { return Status{}; }));
    EXPECT_EQ(refused, 7u);
    go.set_value();
    co_await scope.join();
  }());
  EXPECT_EQ(refused, 7u);
  EXPECT_EQ(served, Storage::kQueueMax + 1);
}

TEST_F(StorageTest, AFileThatCannotBeOpenedIsEveryAnswer) {
  auto storage = create(folder_.write("ingle.db", std::string(4096, 'x')));
  real_.run([&]() -> Task<void> {
    const auto opened = co_await storage->opened();
    EXPECT_EQ(opened.error().code, ErrorCode::database_error);
    bool ran = false;
    const auto status = co_await storage->run([&](Connection&) -> Status {
      ran = true;
      return {};
    });
    EXPECT_EQ(status.error(), opened.error());
    EXPECT_FALSE(ran);
  }());
  EXPECT_EQ(log_.count("database_unusable"), 1u);
}

TEST_F(StorageTest, TheEndFinishesWhatIsQueued) {
  auto storage = create(folder_ / "ingle.db");
  int served = 0;
  const auto ask = [&](int number) -> Task<void> {
    if (co_await storage->run(
            [number](Connection& db) { return write_setting(db, std::to_string(number), "x"); }))
      ++served;
  };
  real_.run([&]() -> Task<void> {
    base::TaskScope scope;
    for (int i = 0; i < 50; ++i) scope.spawn(ask(i));
    storage.reset();
    co_await scope.join();
  }());
  EXPECT_EQ(served, 50);
  auto db = Connection::open(folder_ / "ingle.db").value();
  EXPECT_EQ(db->query("select count(*) from settings")->at(0).at(0), SqlValue(std::int64_t{50}));
}

}  // namespace
}  // namespace ingle::storage
