#include "base/lanes.h"

#include <pthread.h>

#include <algorithm>

namespace ingle::base {
namespace {

std::size_t index_of(Lane lane) { return static_cast<std::size_t>(lane); }

}  // namespace

std::string_view lane_name(Lane lane) {
  constexpr std::array<std::string_view, kLaneCount> kNames{"interactive", "normal", "bulk"};
  return kNames[index_of(lane)];
}

LanePool::LanePool(LanePoolOptions options)
    : options_(std::move(options)), running_(options_.threads, nullptr) {
  CHECK(options_.threads >= 2, "bulk work needs a second thread beside it");
  threads_.reserve(options_.threads);
  for (std::size_t i = 0; i < options_.threads; ++i)
    threads_.emplace_back([this, i] { run_thread(i); });
}

LanePool::~LanePool() {
  stop();
  for (auto& thread : threads_) thread.join();
}

void LanePool::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
}

Status LanePool::submit(Lane lane, const char* name, std::move_only_function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::shutting_down, "the daemon is stopping");
    auto& queue = queues_[index_of(lane)];
    if (queue.size() >= options_.queue_limit) {
      ++counts_[index_of(lane)].rejected;
      return fail(ErrorCode::overloaded,
                  "the " + std::string(lane_name(lane)) + " lane is full; try again later");
    }
    queue.push_back({name, std::move(work)});
  }
  wake_.notify_one();
  return {};
}

LanesStatus LanePool::status() const {
  std::lock_guard lock(mutex_);
  LanesStatus out{
      .threads = options_.threads, .queue_limit = options_.queue_limit, .lanes = counts_};
  for (std::size_t i = 0; i < kLaneCount; ++i) out.lanes[i].queued = queues_[i].size();
  for (const char* name : running_)
    if (name != nullptr) out.running.emplace_back(name);
  return out;
}

std::optional<Lane> LanePool::next_lane() const {
  const auto busy = static_cast<std::size_t>(
      std::ranges::count_if(running_, [](const char* name) { return name != nullptr; }));
  const std::size_t free = options_.threads - busy;  // this thread is one of them
  for (Lane lane : {Lane::interactive, Lane::normal, Lane::bulk}) {
    if (queues_[index_of(lane)].empty()) continue;
    if (lane == Lane::bulk && free < 2) continue;
    return lane;
  }
  return std::nullopt;
}

void LanePool::run_thread(std::size_t index) {
  const std::string name = options_.thread_name + "-" + std::to_string(index);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  while (true) {
    std::optional<Lane> lane;
    wake_.wait(lock, [&] { return stopping_ || (lane = next_lane()).has_value(); });
    if (stopping_) return;
    auto& queue = queues_[index_of(*lane)];
    Item item = std::move(queue.front());
    queue.pop_front();
    running_[index] = item.name;
    ++counts_[index_of(*lane)].running;
    lock.unlock();
    item.work();
    item.work = nullptr;  // its captures end outside the lock
    lock.lock();
    running_[index] = nullptr;
    --counts_[index_of(*lane)].running;
    ++counts_[index_of(*lane)].completed;
    // A thread came free: bulk work that had to wait for a second free one may go on.
    wake_.notify_one();
  }
}

}  // namespace ingle::base
