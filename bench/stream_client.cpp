// stream_client: the same requests to two targets in turn, so that what else the machine does hits
// both alike. `direct` is the worker that ingle itself talks to, `ingle` the daemon before it.
//   stream_client throughput MODEL STREAMS TOKENS ROUNDS DIRECT KEY INGLE
//   stream_client first_token MODEL REQUESTS DIRECT KEY INGLE
//   stream_client cancel MODEL TIMES PROMPT_WORDS DIRECT KEY INGLE
// Targets are tcp:PORT or unix:PATH. Prints JSON. Every prompt differs, so that no cached prompt
// favours the second of a pair.
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <format>
#include <print>

#include "raw_client.h"

namespace {

using namespace ingle::bench;

constexpr std::string_view kChat = "/v1/chat/completions";

std::string words(int count) {
  constexpr std::array kWords{"hearth", "ember", "ash", "oak", "smoke", "warm", "night", "log"};
  std::string out;
  for (int i = 0; i < count; ++i)
    out += std::format("{} ", kWords[static_cast<std::size_t>(i * 7 + i / 3) % kWords.size()]);
  return out;
}

std::string chat_body(std::string_view model, int salt, int tokens, int prompt_words = 8) {
  return std::format(
      R"({{"model":"{}","messages":[{{"role":"user","content":"{} {}"}}],"stream":true,)"
      R"("max_tokens":{},"temperature":0,"ignore_eos":true}})",
      model, salt, words(prompt_words), tokens);
}

// Runs `streams` requests at once to their ends; tokens per second over all of them.
double throughput(const Target& target, std::string_view model, int streams, int tokens, int salt) {
  std::vector<pollfd> polls;
  std::vector<std::string> ends(static_cast<std::size_t>(streams));
  const double started = now_ms();
  for (int i = 0; i < streams; ++i)
    polls.push_back(
        {.fd = send_request(target, "POST", kChat, chat_body(model, salt * 100 + i, tokens)),
         .events = POLLIN});
  std::array<char, 65536> piece;
  for (int open = streams; open > 0;) {
    if (::poll(polls.data(), polls.size(), 60'000) <= 0) give_up(target.name + " is silent");
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].revents == 0) continue;
      const auto got = ::recv(polls[i].fd, piece.data(), piece.size(), 0);
      if (got > 0) {
        // Only the end matters: [DONE] must stand there.
        ends[i].append(piece.data(), static_cast<std::size_t>(got));
        if (ends[i].size() > 4096) ends[i].erase(0, ends[i].size() - 2048);
        continue;
      }
      if (!ends[i].contains("data: [DONE]")) give_up(target.name + " cut a stream: " + ends[i]);
      ::close(polls[i].fd);
      polls[i].fd = -1;
      --open;
    }
  }
  return streams * tokens / ((now_ms() - started) / 1e3);
}

void run_throughput(const Target& direct, const Target& ingle, std::string_view model, int streams,
                    int tokens, int rounds) {
  throughput(direct, model, streams, tokens, 1);
  throughput(ingle, model, streams, tokens, 2);
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> ratios;
  for (int round = 0; round < rounds; ++round) {
    const bool direct_first = round % 2 == 0;
    const int salt = 10 + 2 * round;
    double through_direct = 0;
    if (direct_first) through_direct = throughput(direct, model, streams, tokens, salt);
    const double through_ingle = throughput(ingle, model, streams, tokens, salt + 1);
    if (!direct_first) through_direct = throughput(direct, model, streams, tokens, salt);
    a.push_back(through_direct);
    b.push_back(through_ingle);
    ratios.push_back(through_ingle / through_direct);
  }
  std::println(R"({{"streams":{},"tokens":{},"rounds":{},"direct_tokens_per_s":{:.1f},)"
               R"("ingle_tokens_per_s":{:.1f},"ratio_median":{:.4f},"ratio_of_medians":{:.4f},)"
               R"("ratio_p25":{:.4f},"ratio_p75":{:.4f}}})",
               streams, tokens, rounds, median(a), median(b), median(ratios), median(b) / median(a),
               percentile(ratios, 0.25), percentile(ratios, 0.75));
}

// From before the connect to the first piece with content.
double first_token(const Target& target, std::string_view model, int salt) {
  const double started = now_ms();
  const int socket = send_request(target, "POST", kChat, chat_body(model, salt, 2));
  std::string text;
  if (!read_until(socket, R"("content":")", text)) give_up(target.name + " answered: " + text);
  const double out = now_ms() - started;
  read_until(socket, {}, text);
  ::close(socket);
  return out;
}

void run_first_token(const Target& direct, const Target& ingle, std::string_view model,
                     int requests) {
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> added;
  for (int i = 0; i < requests + 20; ++i) {
    const bool direct_first = i % 2 == 0;
    const int salt = 1'000'000 + 2 * i;
    double through_direct = 0;
    if (direct_first) through_direct = first_token(direct, model, salt);
    const double through_ingle = first_token(ingle, model, salt + 1);
    if (!direct_first) through_direct = first_token(direct, model, salt);
    if (i < 20) continue;  // warm
    a.push_back(through_direct);
    b.push_back(through_ingle);
    added.push_back(through_ingle - through_direct);
  }
  std::println(R"({{"requests":{},"direct_ms_median":{:.3f},"ingle_ms_median":{:.3f},)"
               R"("added_ms_median":{:.3f},"added_ms_of_medians":{:.3f},"added_ms_p95":{:.3f}}})",
               a.size(), median(a), median(b), median(added), median(b) - median(a),
               percentile(added, 0.95));
}

bool worker_is_busy(const Target& direct) {
  return fetch(direct, "GET", "/slots").contains(R"("is_processing":true)");
}

void wait_until(const Target& direct, bool busy, double limit_ms) {
  const double limit = now_ms() + limit_ms;
  while (worker_is_busy(direct) != busy) {
    if (now_ms() > limit) give_up(busy ? "the worker never began" : "the worker never stopped");
    const timespec pause{.tv_nsec = 200'000};
    ::nanosleep(&pause, nullptr);
  }
}

// A client of ingle leaves in the midst of the prompt or of the answer; until the worker is idle.
void run_cancel(const Target& direct, const Target& ingle, std::string_view model, int times,
                int prompt_words) {
  std::vector<double> in_prompt;
  std::vector<double> in_answer;
  for (int i = 0; i < times; ++i) {
    int socket = send_request(ingle, "POST", kChat, chat_body(model, 5000 + i, 1, prompt_words));
    wait_until(direct, true, 20'000);
    ::close(socket);
    double left = now_ms();
    wait_until(direct, false, 60'000);
    in_prompt.push_back(now_ms() - left);

    socket = send_request(ingle, "POST", kChat, chat_body(model, 7000 + i, 4000));
    std::string text;
    if (!read_until(socket, R"("content":")", text)) give_up("ingle answered: " + text);
    ::close(socket);
    left = now_ms();
    wait_until(direct, false, 60'000);
    in_answer.push_back(now_ms() - left);
  }
  std::println(
      R"({{"times":{},"prompt_words":{},"in_prompt_ms_median":{:.1f},"in_prompt_ms_max":{:.1f},)"
      R"("in_answer_ms_median":{:.1f},"in_answer_ms_max":{:.1f}}})",
      times, prompt_words, median(in_prompt), percentile(in_prompt, 1), median(in_answer),
      percentile(in_answer, 1));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> all(argv + 1, argv + argc);
  if (all.size() < 6) give_up("see the head of stream_client.cpp for what it takes");
  const std::size_t n = all.size();
  const Target direct{"llama-server", all[n - 3], all[n - 2]};
  const Target ingle{"ingle", all[n - 1], ""};
  const std::string& what = all[0];
  const auto number = [&](std::size_t i) { return std::atoi(all[i].c_str()); };
  if (what == "throughput" && n == 8)
    run_throughput(direct, ingle, all[1], number(2), number(3), number(4));
  else if (what == "first_token" && n == 6)
    run_first_token(direct, ingle, all[1], number(2));
  else if (what == "cancel" && n == 7)
    run_cancel(direct, ingle, all[1], number(2), number(3));
  else
    give_up("see the head of stream_client.cpp for what it takes");
}
