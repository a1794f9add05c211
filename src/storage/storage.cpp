#include "storage/storage.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace ingle::storage {
namespace {

using base::ErrorCode;
using base::fail;
using base::Status;

class StorageThread final : public Storage {
 public:
  StorageThread(std::filesystem::path path, base::Loop& loop, base::Logger log)
      : path_(std::move(path)),
        loop_(loop),
        log_(std::move(log)),
        thread_([this] { run_thread(); }) {}

  ~StorageThread() override {
    {
      std::lock_guard lock(mutex_);
      stop_by_ = loop_.clock().mono_now() + kStopLimit;
    }
    wake_.notify_all();
    thread_.join();
  }

  base::Task<Status> opened() override {
    return run([](Connection&) { return Status{}; });
  }

  base::Task<Status> run(Work work) override {
    base::Completion<Status> done;
    {
      std::lock_guard lock(mutex_);
      if (queue_.size() >= kQueueMax)
        co_return fail(ErrorCode::overloaded,
                       "too much is waiting for the database; try again later");
      queue_.push_back({std::move(work), &done});
    }
    wake_.notify_all();
    co_return co_await done;
  }

 private:
  struct Item {
    Work work;
    base::Completion<Status>* done;  // in the frame of run(), which waits for it
  };

  void run_thread() {
    pthread_setname_np(pthread_self(), "ingle-storage");
    auto connection = Connection::open(path_);
    if (connection)
      log_.debug("database_opened", "the database is open", {{"path", path_.string()}});
    else
      log_.error("database_unusable", connection.error());
    while (auto item = next()) {
      Status status = fail(ErrorCode::shutting_down, "the daemon is stopping");
      if (!connection)
        status = fail(connection.error());
      else if (!late())
        status = item->work(**connection);
      item->work = nullptr;  // its captures end here, before the waiter goes on
      loop_.post([done = item->done, status = std::move(status)]() mutable {
        done->complete(std::move(status));
      });
    }
  }

  // Waits for work; nothing when the storage ends and none is left.
  std::optional<Item> next() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !queue_.empty() || stop_by_; });
    if (queue_.empty()) return std::nullopt;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    return item;
  }

  bool late() {
    std::lock_guard lock(mutex_);
    return stop_by_ && loop_.clock().mono_now() > *stop_by_;
  }

  const std::filesystem::path path_;
  base::Loop& loop_;
  const base::Logger log_;
  std::mutex mutex_;  // guards the two below: work is handed from the loop to the thread
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::optional<base::MonoTime> stop_by_;
  std::thread thread_;  // last: it uses all above
};

}  // namespace

std::unique_ptr<Storage> Storage::create(std::filesystem::path path, base::Loop& loop,
                                         base::Logger log) {
  return std::make_unique<StorageThread>(std::move(path), loop, std::move(log));
}

}  // namespace ingle::storage
