// Goal: the ring keeps the newest within its bounds, and its follower gets every record once, in
// order, under no lock. Method: a follower that writes itself, writers on several threads.
#include "insight/log_ring.h"

#include <gtest/gtest.h>

#include <atomic>

namespace ingle::insight {
namespace {

SharedRecord record(std::int64_t number, base::LogLevel level = base::LogLevel::info,
                    std::string message = "m") {
  return std::make_shared<const base::LogRecord>(base::LogRecord{.level = level,
                                                                 .logger = "t",
                                                                 .event = "e",
                                                                 .message = std::move(message),
                                                                 .fields = {{"number", number}}});
}

void write(LogRing& ring, SharedRecord shared) {
  ring.push(std::move(shared), [](const SharedRecord&) {});
  ring.deliver();
}

std::vector<std::string> numbers(const std::vector<protocol::LogEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(event.fields.at("number"));
  return out;
}

using Texts = std::vector<std::string>;

TEST(LogRing, KeepsTheNewest) {
  LogRing ring(3);
  for (int i = 0; i < 5; ++i) write(ring, record(i));
  EXPECT_EQ(numbers(ring.newest(10, base::LogLevel::trace, "")), (Texts{"2", "3", "4"}));
  EXPECT_EQ(numbers(ring.newest(2, base::LogLevel::trace, "")), (Texts{"3", "4"}));
  EXPECT_TRUE(ring.newest(0, base::LogLevel::trace, "").empty());
}

TEST(LogRing, ChoosesByLevelAndText) {
  LogRing ring(10);
  write(ring, record(1, base::LogLevel::error, "the disk is full"));
  write(ring, record(2, base::LogLevel::info, "the disk is fine"));
  write(ring, record(3, base::LogLevel::warning, "rain"));
  EXPECT_EQ(numbers(ring.newest(9, base::LogLevel::warning, "")), (Texts{"1", "3"}));
  EXPECT_EQ(numbers(ring.newest(9, base::LogLevel::trace, "disk")), (Texts{"1", "2"}));
  EXPECT_EQ(numbers(ring.newest(1, base::LogLevel::trace, "disk")), (Texts{"2"}));
  EXPECT_EQ(numbers(ring.newest(9, base::LogLevel::trace, "number=3")), (Texts{"3"}));
}

TEST(LogRing, IsBoundedInBytes) {
  LogRing ring(1'000'000);
  const std::string large(LogRing::kBytesMax / 4, 'x');
  for (int i = 0; i < 9; ++i) write(ring, record(i, base::LogLevel::info, large));
  EXPECT_EQ(numbers(ring.newest(99, base::LogLevel::trace, "")), (Texts{"6", "7", "8"}));
}

TEST(LogRing, AFollowerMayWriteAndMayEnd) {
  LogRing ring(10);
  std::vector<std::int64_t> seen;
  ring.set_follower([&](const base::LogRecord& one) {
    seen.push_back(std::get<std::int64_t>(one.fields[0].value));
    if (seen.back() == 1) write(ring, record(2));
    EXPECT_EQ(ring.newest(9, base::LogLevel::trace, "").size(), 2u) << "no lock is held";
    if (seen.back() == 2) ring.set_follower({});
  });
  write(ring, record(1));
  write(ring, record(3));
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2}));
}

TEST(LogRing, TheFollowerGetsEachOnceInTheRingsOrder) {
  constexpr int kThreads = 4, kEach = 500;
  LogRing ring(kThreads * kEach);
  std::vector<const base::LogRecord*> seen;
  std::atomic<int> inside{0};
  ring.set_follower([&](const base::LogRecord& one) {
    EXPECT_EQ(++inside, 1) << "one thread at a time";
    seen.push_back(&one);
    --inside;
  });
  std::vector<const base::LogRecord*> pushed;  // under the ring's lock
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          ring.push(record(i), [&](const SharedRecord& shared) { pushed.push_back(shared.get()); });
          ring.deliver();
        }
      });
  }
  ring.set_follower({});
  ASSERT_EQ(seen.size() + ring.dropped(), std::size_t{kThreads * kEach});
  if (ring.dropped() == 0) {
    EXPECT_EQ(seen, pushed);
  }
}

}  // namespace
}  // namespace ingle::insight
