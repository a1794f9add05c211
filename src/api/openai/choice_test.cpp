// Chunks as a worker sends them go in, a whole choice and its usage come out; broken promises
// (JSON, a tool call) are errors, cut answers are not.
#include "api/openai/choice.h"

#include <gtest/gtest.h>

#include "api/openai/vectors.h"
#include "http/sse.h"

namespace ingle::api::openai {
namespace {

using protocol::Json;

Json chunk(const std::string& choice, const std::string& more = "") {
  return protocol::parse_json(R"({"id": "c1", "created": 5, "model": "m", "choices": [)" + choice +
                              "]" + more + "}")
      .value();
}

TEST(Choice, GathersTextReasoningAndUsage) {
  const Plan plan{.kind = PlanKind::chat};
  Choice choice(plan);
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"role": "assistant", "content": null}})")));
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"reasoning_content": "hm"}})")));
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"content": "a"}})")));
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"content": "b"}, "finish_reason": "stop"})")));
  ASSERT_TRUE(choice.take(chunk("", R"(, "usage": {"prompt_tokens": 3, "completion_tokens": 2})")));
  EXPECT_EQ(protocol::print_json(choice.whole(0, "")),
            R"({"index":0,"message":{"role":"assistant","content":"ab","refusal":null,)"
            R"("reasoning_content":"hm"},"logprobs":null,"finish_reason":"stop"})");
  EXPECT_EQ(choice.completion_tokens(), 2);
}

TEST(Choice, GathersToolCallsByIndex) {
  const Plan plan{.must_call_tool = true};
  Choice choice(plan);
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"tool_calls": [{"index": 0, "id": "a",
      "function": {"name": "f", "arguments": ""}}]}})")));
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"tool_calls": [{"index": 1, "id": "b",
      "function": {"name": "g", "arguments": "{}"}}]}})")));
  ASSERT_TRUE(choice.take(chunk(R"({"delta": {"tool_calls": [{"index": 0,
      "function": {"arguments": "{\"x\":1}"}}]}, "finish_reason": "tool_calls"})")));
  const Json whole = choice.whole(0, "");
  const auto& calls = *whole.find("message")->find("tool_calls")->as_array();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(*calls[0].find("function")->find("arguments")->as_string(), "{\"x\":1}");
  EXPECT_EQ(*calls[1].find("id")->as_string(), "b");
  EXPECT_TRUE(whole.find("message")->find("content")->is_null());
}

TEST(Choice, BrokenPromisesAreErrors) {
  const Plan json{.must_be_json = true};
  EXPECT_FALSE(
      Choice(json).take(chunk(R"({"delta": {"content": "sure: {}"}, "finish_reason": "stop"})")));
  EXPECT_TRUE(Choice(json).take(chunk(R"({"delta": {"content": "{}"}, "finish_reason": "stop"})")));
  EXPECT_TRUE(
      Choice(json).take(chunk(R"({"delta": {"content": "{"}, "finish_reason": "length"})")));
  const Plan tool{.must_call_tool = true};
  EXPECT_FALSE(Choice(tool).take(chunk(R"({"delta": {"content": "x"}, "finish_reason": "stop"})")));
  EXPECT_FALSE(Choice(tool).take(Json::Object{{"error", "x"}}));
}

TEST(Choice, UsageCountsAPromptOnce) {
  const Plan plan{.kind = PlanKind::completion};
  std::vector<Choice> choices(4, Choice(plan));
  for (auto& choice : choices)
    ASSERT_TRUE(choice.take(
        chunk(R"({"text": "x"})", R"(, "usage": {"prompt_tokens": 10, "completion_tokens": 3})")));
  const Json usage = usage_of(choices, 2);
  EXPECT_EQ(usage.find("prompt_tokens")->as_int(), 20);
  EXPECT_EQ(usage.find("completion_tokens")->as_int(), 12);
  EXPECT_EQ(usage.find("total_tokens")->as_int(), 32);
}

TEST(Choice, CompletionsHaveTheirOwnLogprobs) {
  const Plan plan{.kind = PlanKind::completion};
  Choice choice(plan);
  ASSERT_TRUE(choice.take(chunk(R"({"text": "ab", "finish_reason": "stop", "logprobs": {"content": [
      {"token": "a", "logprob": -1, "top_logprobs": [{"token": "z", "logprob": -2}]},
      {"token": "b", "logprob": -3, "top_logprobs": []}]}})")));
  const Json whole = choice.whole(2, ">>");
  EXPECT_EQ(*whole.find("text")->as_string(), ">>ab");
  EXPECT_EQ(protocol::print_json(*whole.find("logprobs")->find("text_offset")), "[2,3]");
  EXPECT_EQ(
      whole.find("logprobs")->find("top_logprobs")->as_array()->front().find("z")->as_double(), -2);
}

TEST(Vectors, ShortenScalesToLengthOne) {
  const auto out = shorten({3, 4, 100}, 2);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_FLOAT_EQ(out[0], 0.6f);
  EXPECT_FLOAT_EQ(out[1], 0.8f);
  EXPECT_EQ(shorten({0, 0}, 2), (std::vector<float>{0, 0}));
}

TEST(Vectors, Base64IsLittleEndianFloats) {
  EXPECT_EQ(base64_of({1.0f}), "AACAPw==");
  EXPECT_EQ(base64_of({}), "");
}

TEST(SseSplitter, EventsComeWholeHoweverTheBytesAreCut) {
  const std::string text = "data: a\n\n: c\n\ndata: {\"x\":\r\n\r\nevent: e\ndata:b\n\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    http::SseSplitter splitter;
    std::vector<std::string> events;
    const auto take = [&](std::string_view event) { events.emplace_back(event); };
    splitter.feed(std::string_view(text).substr(0, cut), take);
    splitter.feed(std::string_view(text).substr(cut), take);
    ASSERT_EQ(events.size(), 4u) << cut;
    EXPECT_EQ(http::sse_data(events[0]), "a");
    EXPECT_EQ(http::sse_data(events[1]), "");
    EXPECT_EQ(http::sse_data(events[2]), "{\"x\":");
    EXPECT_EQ(http::sse_data(events[3]), "b");
    EXPECT_TRUE(splitter.empty());
  }
}

}  // namespace
}  // namespace ingle::api::openai
