// Goal: who goes, who stays and who waits, and that the answer says why. Method: single situations
// as a person would draw them; then random ones, of which every answer must keep the rules: nobody
// busy or pinned is evicted, the victims suffice and none is too many, draining only after
// patience.
#include "resources/make_room.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

namespace ingle::resources {
namespace {

using base::Micros;
using base::Millis;
using base::Seconds;
using Kind = RoomAnswer::Kind;
using ::testing::Test;

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr base::MonoTime kNow{Seconds(10'000)};

// Idle for a minute, reloaded in 2 s.
Holder idle(std::string model, std::uint64_t host_gib) {
  return {.model = std::move(model),
          .held_bytes = {host_gib * kGiB},
          .open = true,
          .opened_at = kNow - Seconds(600),
          .idle_since = kNow - Seconds(60),
          .reload_time = Seconds(2),
          .request_time = Seconds(3)};
}
Holder busy(std::string model, std::uint64_t host_gib) {
  auto out = idle(std::move(model), host_gib);
  out.leases = 2;
  return out;
}
Holder with(Holder holder, auto change) {
  change(holder);
  return holder;
}

// Somebody has waited for a second.
RoomQuestion ask(std::uint64_t needed_gib, std::int64_t available_gib,
                 std::vector<Holder> holders) {
  return {.needed_bytes = {needed_gib * kGiB},
          .available_bytes = {available_gib * static_cast<std::int64_t>(kGiB)},
          .holders = std::move(holders),
          .now = kNow,
          .waiting_since = kNow - Seconds(1),
          .load_time = Seconds(4)};
}

std::vector<std::string> victims(const RoomQuestion& question, const RoomAnswer& answer) {
  std::vector<std::string> out;
  for (const auto& victim : answer.victims) out.push_back(question.holders[victim.holder].model);
  return out;
}

using Names = std::vector<std::string>;

TEST(MakeRoom, WhatFitsIsLoadedNow) {
  EXPECT_EQ(make_room(ask(4, 4, {})).kind, Kind::now);
  EXPECT_EQ(make_room(ask(4, 4, {busy("a", 9)})).kind, Kind::now);
  // What is not needed of a device does not matter there.
  auto question = ask(4, 4, {});
  question.needed_bytes.push_back(0);
  question.available_bytes.push_back(-1);
  EXPECT_EQ(make_room(question).kind, Kind::now);
  question.needed_bytes.push_back(1);  // a device that nobody read
  EXPECT_EQ(make_room(question).kind, Kind::never);
}

struct Choice {
  const char* what;
  std::vector<Holder> holders;
  Names gone;
};

TEST(MakeRoom, TheCheapestGo) {
  const Choice choices[]{
      {"the longest unused",
       {idle("new", 4), with(idle("old", 4), [](auto& h) { h.idle_since -= Seconds(600); })},
       {"old"}},
      {"the quickest to bring back",
       {with(idle("slow", 4), [](auto& h) { h.reload_time = Seconds(30); }), idle("quick", 4)},
       {"quick"}},
      {"one large rather than many small", {idle("a", 1), idle("b", 1), idle("big", 6)}, {"big"}},
      {"none too many",
       {with(idle("cheap", 2), [](auto& h) { h.reload_time = Millis(1); }), idle("big", 4)},
       {"big"}},
      {"several, the cheapest first",
       {with(idle("x", 2), [](auto& h) { h.reload_time = Seconds(9); }), idle("y", 2)},
       {"y", "x"}},
      {"neither busy nor wanted nor pinned ones",
       {busy("busy", 9), with(idle("wanted", 9), [](auto& h) { h.wanted = true; }),
        with(idle("pinned", 9), [](auto& h) { h.pinned = true; }), idle("free", 4)},
       {"free"}},
  };
  for (const auto& choice : choices) {
    const auto question = ask(4, 0, choice.holders);
    const auto answer = make_room(question);
    EXPECT_EQ(answer.kind, Kind::evict) << choice.what;
    EXPECT_EQ(victims(question, answer), choice.gone) << choice.what;
  }
}

TEST(MakeRoom, OnlyTheDeviceThatLacksRoomCounts) {
  auto question = ask(4, 4, {});
  question.needed_bytes = {1 * kGiB, 4 * kGiB};
  question.available_bytes = {8ll << 30, 1ll << 30};
  const auto on_gpu = [](std::uint64_t gib) {
    return [gib](auto& h) { h.held_bytes = {kGiB, gib * kGiB}; };
  };
  question.holders = {idle("host", 9), with(idle("gpu", 0), on_gpu(3))};
  auto answer = make_room(question);
  EXPECT_EQ(victims(question, answer), Names{"gpu"});
  EXPECT_NE(answer.reason.find("3.0 GiB more memory of gpu0 is needed"), std::string::npos)
      << answer.reason;
  question.holders.pop_back();
  EXPECT_EQ(make_room(question).kind, Kind::never);
}

TEST(MakeRoom, WhatIsOwedComesBackFirst) {
  // 2 GiB are over what there is: 4 GiB more do not make 4 GiB free.
  auto question = ask(4, -2, {idle("a", 4), idle("b", 2)});
  EXPECT_EQ(make_room(question).victims.size(), 2u);
}

TEST(MakeRoom, WhoEndsIsWaitedFor) {
  const auto ending = with(busy("a", 4), [](auto& h) {
    h.ending = true;
    h.open = false;
  });
  auto answer = make_room(ask(4, 0, {ending, idle("b", 4)}));
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_EQ(answer.reason, "waiting for 'a' to end");
  const auto question = ask(8, 0, {ending, idle("b", 4), idle("c", 4)});
  answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::evict);
  EXPECT_EQ(answer.victims.size(), 1u);
}

TEST(MakeRoom, ALoadIsNotInterrupted) {
  const auto loading = with(idle("a", 4), [](auto& h) { h.open = false; });
  auto answer = make_room(ask(4, 0, {loading}));
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_EQ(answer.reason, "waiting for 'a' to be loaded");
  // A pinned one will not go once it is loaded.
  answer = make_room(ask(5, 0, {with(loading, [](auto& h) { h.pinned = true; })}));
  EXPECT_EQ(answer.kind, Kind::never);
}

TEST(MakeRoom, NothingIsRefusedWhileMemoryMoves) {
  // What it has taken and not yet told is missing from what is available.
  const auto loading = with(idle("a", 4), [](auto& h) { h.open = false; });
  auto question = ask(9, 2, {loading, idle("b", 2)});
  auto answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_EQ(answer.reason,
            "waiting for 'a' to be loaded or unloaded: until then what is free cannot be told "
            "exactly");
  question.holders[0].open = true;
  EXPECT_EQ(make_room(question).kind, Kind::never);
  EXPECT_EQ(make_room(ask(13, 2, {loading, idle("b", 2)})).kind, Kind::never);
}

TEST(MakeRoom, WhoWasLoadedAMomentAgoStaysAMoment) {
  const auto young = with(idle("a", 4), [](auto& h) { h.opened_at = kNow - Millis(500); });
  auto question = ask(4, 0, {young});
  auto answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_EQ(answer.ask_again, kNow + Millis(1500));
  EXPECT_EQ(answer.reason,
            "4.0 GiB more memory is needed: 'a' was loaded a moment ago and stays for another "
            "1.5 s");
  question.now = *answer.ask_again;
  EXPECT_EQ(make_room(question).kind, Kind::evict);
  // Not at the cost of the longest wait.
  question = ask(4, 0, {young});
  question.waiting_since = kNow - Millis(29'800);
  EXPECT_EQ(make_room(question).ask_again, kNow + Millis(200));
  question.waiting_since = kNow - Seconds(30);
  EXPECT_EQ(make_room(question).kind, Kind::evict);
}

TEST(MakeRoom, TheBusyAreAskedToLeaveWhenPatienceEnds) {
  // Longest wait 30 s, less 4 s to load and 3 s to finish: patience of 23 s.
  auto question = ask(4, 0, {busy("a", 4)});
  auto answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_EQ(answer.ask_again, question.waiting_since + Seconds(23));
  EXPECT_EQ(answer.reason,
            "4.0 GiB more memory is needed: 'a' is in use, and is asked to make room in 22.0 s at "
            "the latest");
  question.now = *answer.ask_again;
  answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::drain);
  ASSERT_EQ(answer.victims.size(), 1u);
  EXPECT_EQ(answer.victims[0].reason,
            "'a' has 2 requests under way, but another model has waited for 23.0 s");
  // A load that takes longer than the longest wait has no patience at all.
  question = ask(4, 0, {busy("a", 4)});
  question.load_time = Seconds(60);
  EXPECT_EQ(make_room(question).kind, Kind::drain);
}

TEST(MakeRoom, OfTheBusyOnlyThoseAreAskedWhoAreNeeded) {
  auto question = ask(6, 0, {busy("a", 2), busy("b", 4), idle("c", 2), busy("d", 1)});
  question.waiting_since = kNow - Seconds(30);
  const auto answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::drain);
  EXPECT_EQ(victims(question, answer), Names{"b"});  // with the idle one, which goes by evict
}

TEST(MakeRoom, APatienceWithoutEndDoesNotOverflow) {
  auto question = ask(4, 0, {busy("a", 4)});
  question.policy.longest_wait = Micros::max();
  question.waiting_since = kNow + Seconds(5);  // the clocks of two threads
  const auto answer = make_room(question);
  EXPECT_EQ(answer.kind, Kind::wait);
  EXPECT_GT(answer.ask_again, kNow);
}

TEST(MakeRoom, NothingIsMovedAsideForWhatNobodyWaitsFor) {
  auto question = ask(4, 0, {idle("a", 4)});
  question.only_if_free = true;
  EXPECT_EQ(make_room(question).kind, Kind::wait);
  question.available_bytes = {4ll << 30};
  EXPECT_EQ(make_room(question).kind, Kind::now);
  EXPECT_EQ(make_room(ask(5, 0, {idle("a", 4)})).kind, Kind::never);
}

TEST(MakeRoom, NeverSaysWhoHoldsHowMuch) {
  auto answer = make_room(
      ask(16, 2, {with(idle("big", 12), [](auto& h) { h.pinned = true; }), idle("a", 1)}));
  EXPECT_EQ(answer.kind, Kind::never);
  EXPECT_EQ(answer.reason,
            "it needs 16.0 GiB of memory, and at most 3.0 GiB can be had with every model moved "
            "aside that may go; 'big' is pinned and holds 12.0 GiB");
  EXPECT_TRUE(answer.victims.empty());
  answer = make_room(ask(16, 2, {}));
  EXPECT_EQ(answer.reason, "it needs 16.0 GiB of memory, and at most 2.0 GiB can be had");
}

// --- random questions ---

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  std::int64_t pick(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution(least, most)(random_);
  }
  bool one_in(std::int64_t n) { return pick(1, n) == 1; }

  RoomQuestion question() {
    RoomQuestion out;
    const auto devices = pick(1, 3);
    for (std::int64_t i = 0; i < devices; ++i) {
      out.needed_bytes.push_back(one_in(3) ? 0 : static_cast<std::uint64_t>(pick(0, 20)) * kGiB);
      out.available_bytes.push_back(pick(-2, 10) * static_cast<std::int64_t>(kGiB));
    }
    for (auto i = pick(0, 7); i > 0; --i) out.holders.push_back(holder(devices));
    out.now = kNow;
    out.waiting_since = kNow - Millis(pick(0, 40'000));
    out.load_time = Millis(pick(0, 20'000));
    out.only_if_free = one_in(8);
    return out;
  }

 private:
  Holder holder(std::int64_t devices) {
    Holder out{.model = std::string(1, static_cast<char>('a' + pick(0, 25)))};
    for (std::int64_t i = 0; i < devices; ++i)
      out.held_bytes.push_back(static_cast<std::uint64_t>(pick(0, 8)) * kGiB);
    out.leases = one_in(3) ? static_cast<int>(pick(1, 4)) : 0;
    out.wanted = one_in(6);
    out.pinned = one_in(6);
    out.open = !one_in(5);
    out.ending = one_in(6);
    out.opened_at = kNow - Millis(pick(0, 10'000));
    out.idle_since = out.opened_at;
    out.reload_time = Millis(pick(0, 9000));
    out.request_time = Millis(pick(0, 9000));
    return out;
  }

  std::mt19937_64 random_;
};

bool enough(const RoomQuestion& question, auto&& goes) {
  for (std::size_t device = 0; device < question.needed_bytes.size(); ++device) {
    auto have = question.available_bytes[device];
    for (std::size_t i = 0; i < question.holders.size(); ++i)
      if (goes(i)) have += static_cast<std::int64_t>(question.holders[i].held_bytes[device]);
    const auto needed = static_cast<std::int64_t>(question.needed_bytes[device]);
    if (needed > 0 && needed > have) return false;
  }
  return true;
}

void check_answer(const RoomQuestion& question, const RoomAnswer& answer) {
  const auto waited = question.now - question.waiting_since;
  const auto& holders = question.holders;
  const auto ending = [&](std::size_t i) { return holders[i].ending; };
  const auto in_use = [&](std::size_t i) { return holders[i].leases > 0 || holders[i].wanted; };
  const auto may_go_once = [&](std::size_t i) { return holders[i].ending || !holders[i].pinned; };
  const auto picked = [&](std::size_t i) {
    return std::ranges::contains(answer.victims, i, &Victim::holder);
  };
  const bool acts = answer.kind == Kind::evict || answer.kind == Kind::drain;

  EXPECT_FALSE(answer.reason.empty());
  EXPECT_EQ(answer.kind == Kind::now, enough(question, [](auto) { return false; }));
  // Those whose memory moves may explain as much again.
  auto explained = question;
  for (std::size_t i = 0; i < holders.size(); ++i)
    for (std::size_t device = 0; device < question.needed_bytes.size(); ++device)
      if (holders[i].ending || !holders[i].open)
        explained.available_bytes[device] +=
            static_cast<std::int64_t>(holders[i].held_bytes[device]);
  EXPECT_EQ(answer.kind == Kind::never, !enough(explained, may_go_once));
  EXPECT_EQ(acts, !answer.victims.empty());
  EXPECT_FALSE(acts && question.only_if_free);
  for (const auto& victim : answer.victims) {
    const auto& holder = holders[victim.holder];
    EXPECT_FALSE(victim.reason.empty());
    EXPECT_TRUE(holder.open && !holder.ending && !holder.pinned);
    EXPECT_EQ(in_use(victim.holder), answer.kind == Kind::drain);
    EXPECT_EQ(std::ranges::count(answer.victims, victim.holder, &Victim::holder), 1);
  }
  if (answer.ask_again) {
    EXPECT_EQ(answer.kind, Kind::wait);
    EXPECT_GT(*answer.ask_again, question.now);
  }
  if (answer.kind == Kind::evict) {
    const auto goes = [&](std::size_t i) { return ending(i) || picked(i); };
    EXPECT_TRUE(enough(question, goes));
    for (const auto& victim : answer.victims) {
      EXPECT_FALSE(enough(question, [&](std::size_t i) { return goes(i) && i != victim.holder; }));
      EXPECT_TRUE(question.now - holders[victim.holder].opened_at >=
                      question.policy.shortest_residency ||
                  waited >= question.policy.longest_wait);
    }
  }
  if (answer.kind == Kind::drain) {
    const auto free_to_go = [&](std::size_t i) {
      return ending(i) || (holders[i].open && !holders[i].pinned && !in_use(i));
    };
    EXPECT_FALSE(enough(question, free_to_go));
    EXPECT_TRUE(enough(question, [&](std::size_t i) { return free_to_go(i) || picked(i); }));
    Micros longest{0};
    for (const auto& victim : answer.victims)
      longest = std::max(longest, holders[victim.holder].request_time);
    EXPECT_GE(waited, question.policy.longest_wait - question.load_time - longest);
  }
}

TEST(MakeRoom, EveryAnswerKeepsTheRules) {
  const char* const given = std::getenv("INGLE_TEST_SEED");
  const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : 0;
  int kinds[5]{};
  for (std::uint64_t seed = first; seed < first + (given ? 1 : 20'000); ++seed) {
    SCOPED_TRACE("INGLE_TEST_SEED=" + std::to_string(seed));
    Chance chance(seed);
    const auto question = chance.question();
    const auto answer = make_room(question);
    ++kinds[static_cast<int>(answer.kind)];
    check_answer(question, answer);
    if (Test::HasFailure()) return;
  }
  if (given) return;
  for (const int times : kinds) EXPECT_GT(times, 500);  // that every answer was seen often
}

// Whoever asks again when told to gets an answer that brings it on, when nobody else moves.
TEST(MakeRoom, AskingAgainEndsTheWait) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    Chance chance(seed);
    auto question = chance.question();
    auto answer = make_room(question);
    for (int i = 0; answer.ask_again && i < 10; ++i) {
      question.now = *answer.ask_again;
      answer = make_room(question);
    }
    ASSERT_FALSE(answer.ask_again) << "seed " << seed;
    ASSERT_LE(question.now, std::max(kNow, question.waiting_since + question.policy.longest_wait))
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace ingle::resources
