// Goal: a streamed answer reads the same however its bytes are cut, and what is wrong with it is
// said. Method: answers cut at every byte, and errors of each kind.
#include "cli/chat_reader.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

constexpr std::string_view kAnswer =
    ": loading tiny 40 %\n\n"
    ": loading tiny 100 %\r\n\r\n"
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße\\n\"}}]}\n\n"
    "data:{\"choices\":[{\"delta\":{\"content\":\" 🙂\"}}],\"usage\":null}\r\n\r\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9},"
    "\"timings\":{\"predicted_per_second\":40.25}}\n\n"
    "data: [DONE]\n\n";

struct Collected {
  std::string content, reasoning, progress;
  ChatReader reader{{.on_content = [this](auto text) { content += text; },
                     .on_reasoning = [this](auto text) { reasoning += text; },
                     .on_progress = [this](auto text) { (progress += text) += "|"; }}};
};

void expect_answer(const Collected& got) {
  EXPECT_TRUE(got.reader.end()) << got.reader.end().error().text();
  EXPECT_EQ(got.content, "Grüße\n 🙂");
  EXPECT_EQ(got.reader.content(), got.content);
  EXPECT_EQ(got.reasoning, "hm");
  EXPECT_EQ(got.progress, "loading tiny 40 %|loading tiny 100 %|");
  EXPECT_EQ(got.reader.figures().prompt_tokens, 5);
  EXPECT_EQ(got.reader.figures().completion_tokens, 9);
  EXPECT_EQ(got.reader.figures().tokens_per_second, 40.25);
}

TEST(ChatReader, ReadsTheSameHoweverItIsCut) {
  for (std::size_t cut = 0; cut <= kAnswer.size(); ++cut) {
    Collected got;
    got.reader.feed(kAnswer.substr(0, cut));
    got.reader.feed(kAnswer.substr(cut));
    expect_answer(got);
    if (HasFailure()) FAIL() << "cut at " << cut;
  }
  Collected bytewise;
  for (const char c : kAnswer) bytewise.reader.feed(std::string_view(&c, 1));
  expect_answer(bytewise);
}

TEST(ChatReader, WantsNothingAfterTheEnd) {
  Collected got;
  EXPECT_TRUE(got.reader.feed("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
  EXPECT_FALSE(
      got.reader.feed("data: [DONE]\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n"));
  EXPECT_EQ(got.content, "a");
}

std::string error_after(std::string_view bytes) {
  Collected got;
  got.reader.feed(bytes);
  const auto end = got.reader.end();
  return end ? ""
             : std::string(base::error_code_name(end.error().code)) + ": " + end.error().text();
}

TEST(ChatReader, SaysWhatWentWrong) {
  EXPECT_EQ(error_after("data: {\"error\":{\"message\":\"the worker crashed\",\"type\":"
                        "\"server_error\",\"code\":\"worker_crashed\"}}\n\n"),
            "worker_crashed: the worker crashed");
  EXPECT_EQ(error_after("data: {\"error\":{\"message\":\"odd\",\"code\":null}}\n\n"),
            "upstream_error: odd");
  EXPECT_TRUE(
      error_after("data: {\"error\":{\"mess").starts_with("upstream_error: the answer ended"));
  EXPECT_TRUE(error_after("").starts_with("upstream_error: the answer ended"));
  EXPECT_TRUE(error_after("data: {nonsense}\n\n").starts_with("malformed: "));
}

TEST(ChatReader, PassesOverWhatItDoesNotKnow) {
  for (const std::string_view odd :
       {"event: ping\n\n", ":\n\n", "data: 3\n\n", "data: {\"choices\":3}\n\n",
        "data: {\"choices\":[3]}\n\n", "data: {\"choices\":[{\"delta\":{\"content\":3}}]}\n\n",
        "data: {\"usage\":[],\"timings\":7}\n\n", "\n\n\n"}) {
    Collected got;
    got.reader.feed(odd);
    got.reader.feed("data: [DONE]\n\n");
    EXPECT_TRUE(got.reader.end()) << odd;
    EXPECT_EQ(got.content, "");
  }
}

TEST(ChatReader, FiguresAreOneLine) {
  using base::Millis;
  EXPECT_EQ(figures_text({.prompt_tokens = 5, .completion_tokens = 101, .tokens_per_second = 40.25},
                         Millis(120), Millis(2500)),
            "101 tokens in 2.5 s, 40.2 tokens/s, prompt 5 tokens, first token after 120 ms");
  EXPECT_EQ(figures_text({.completion_tokens = 101}, Millis(500), Millis(2500)),
            "101 tokens in 2.5 s, 50.0 tokens/s, first token after 500 ms");
  EXPECT_EQ(figures_text({.completion_tokens = 1, .tokens_per_second = 0}, Millis(4), Millis(4)),
            "1 token in 4.0 ms, first token after 4.0 ms");
  EXPECT_EQ(figures_text({}, Millis(500), Millis(2500)),
            "answered in 2.5 s, first token after 500 ms");
}

}  // namespace
}  // namespace ingle::cli
