// What text requests are refused for, and what reaches the worker, case by case: bodies go in as
// JSON text, the plan or the error's words come out.
#include "api/openai/plan.h"

#include <gtest/gtest.h>

namespace ingle::api::openai {
namespace {

using protocol::Json;

base::Result<Plan> chat(const std::string& members) {
  return plan_chat(protocol::parse_json("{\"model\": \"m\", " + members + "}").value());
}

base::Result<Plan> completion(const std::string& members) {
  return plan_completion(protocol::parse_json("{\"model\": \"m\", " + members + "}").value());
}

const std::string kHi = R"("messages": [{"role": "user", "content": "hi"}])";
const std::string kTool =
    R"("tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
                 {"type": "function", "function": {"name": "g"}}])";

struct Refusal {
  const char* members;
  const char* words;  // that the message must have
};

TEST(PlanChat, RefusesMalformedHistories) {
  const Refusal cases[] = {
      {R"("messages": [])", "'messages' is empty"},
      {R"("messages": "hi")", "'messages' must be a list"},
      {R"("messages": [3])", "messages[0] must be an object"},
      {R"("messages": [{"content": "x"}])", "messages[0].role"},
      {R"("messages": [{"role": "wizard", "content": "x"}])", "'wizard'"},
      {R"("messages": [{"role": "user"}])", "messages[0].content is missing"},
      {R"("messages": [{"role": "user", "content": 5}])", "messages[0].content must be"},
      {R"("messages": [{"role": "user", "content": []}])", "messages[0].content is empty"},
      {R"("messages": [{"role": "user", "content": [{"type": "text"}]}])", "content[0].text"},
      {R"("messages": [{"role": "user", "content": [{"type": "image_url"}]}])", "image_url"},
      {R"("messages": [{"role": "assistant"}])", "messages[0].content is missing"},
      {R"("messages": [{"role": "tool", "content": "x"}])", "tool_call_id must be a string"},
      {R"("messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}])",
       "answers no tool call"},
      {R"("messages": [{"role": "assistant", "tool_calls": []}])", "tool_calls must be a list"},
      {R"("messages": [{"role": "assistant", "tool_calls": [{"id": "a",
          "function": {"name": "f", "arguments": "{bad"}}]}])",
       "tool_calls[0].function.arguments is not a JSON object"},
      {R"("messages": [{"role": "assistant", "tool_calls": [{"id": "a",
          "function": {"name": "f", "arguments": {}}}]}])",
       "arguments must be a string"},
      {R"("messages": [{"role": "assistant", "tool_calls": [{"id": "",
          "function": {"name": "f", "arguments": "{}"}}]}])",
       "tool_calls[0].id"},
  };
  for (const auto& bad : cases) {
    const auto plan = chat(bad.members);
    ASSERT_FALSE(plan) << bad.members;
    EXPECT_NE(plan.error().message.find(bad.words), std::string::npos) << plan.error().message;
  }
}

TEST(PlanChat, RefusesValuesOutOfTypeOrRange) {
  const Refusal cases[] = {
      {R"("temperature": "hot")", "'temperature' must be a number"},
      {R"("temperature": -1)", "'temperature' is -1"},
      {R"("top_p": 2)", "'top_p'"},
      {R"("n": 0)", "'n' is 0"},
      {R"("n": 17)", "from 1 to 16"},
      {R"("max_tokens": 0)", "'max_tokens'"},
      {R"("max_tokens": 1.5)", "a whole number"},
      {R"("stop": 4)", "'stop'"},
      {R"("logit_bias": {"x": 1})", "keys are token ids"},
      {R"("logit_bias": {"5": 200})", "-100 to 100"},
      {R"("top_logprobs": 2)", "'top_logprobs' needs"},
      {R"("top_logprobs": 21, "logprobs": true)", "'top_logprobs' is 21"},
      {R"("stream_options": {"include_usage": true})", "only for streams"},
      {R"("stream": "yes")", "'stream' must be true or false"},
      {R"("temprature": 1)", "did you mean 'temperature'"},
      {R"("n_discard": -5)", "'n_discard' is no parameter"},
      {R"("tool_choice": "required")", "there are no 'tools'"},
      {R"("response_format": {"type": "yaml"})", "'yaml'"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "x"}})",
       "json_schema.schema"},
      {R"("modalities": ["audio"])", "modalities"},
  };
  for (const auto& bad : cases) {
    const auto plan = chat(kHi + ", " + bad.members);
    ASSERT_FALSE(plan) << bad.members;
    EXPECT_NE(plan.error().message.find(bad.words), std::string::npos) << plan.error().message;
  }
}

TEST(PlanChat, ModelIsNeeded) {
  for (const char* body : {"{}", R"({"model": ""})", R"({"model": 3})", "[]"})
    EXPECT_FALSE(plan_chat(protocol::parse_json(body).value())) << body;
}

TEST(PlanChat, WorkerAlwaysStreamsWithUsage) {
  const auto plan = chat(kHi);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->stream);
  const Json& body = plan->generations.at(0).body;
  EXPECT_TRUE(*body.find("stream")->as_bool());
  EXPECT_TRUE(*body.find("stream_options")->find("include_usage")->as_bool());
  EXPECT_EQ(body.find("model"), nullptr);
}

TEST(PlanChat, ChoicesAreGenerationsWithSeedsOfTheirOwn) {
  const auto plan = chat(kHi + R"(, "n": 3, "seed": 7)");
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->generations.size(), 3u);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Json& body = plan->generations[static_cast<std::size_t>(i)].body;
    EXPECT_EQ(body.find("seed")->as_int(), 7 + i);
    EXPECT_EQ(body.find("n"), nullptr);
  }
}

TEST(PlanChat, NamedToolIsForcedByLeavingOnlyIt) {
  const auto plan = chat(kHi + ", " + kTool +
                         R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_TRUE(plan->must_call_tool);
  const Json& body = plan->generations[0].body;
  ASSERT_EQ(body.find("tools")->as_array()->size(), 1u);
  EXPECT_EQ(*body.find("tools")->as_array()->front().find("function")->find("name")->as_string(),
            "g");
  EXPECT_EQ(*body.find("tool_choice")->as_string(), "required");
  EXPECT_FALSE(chat(kHi + ", " + kTool +
                    R"(, "tool_choice": {"type": "function", "function": {"name": "h"}})"));
}

TEST(PlanChat, ToolsAreNeededOfTheTemplateUnlessNone) {
  EXPECT_TRUE(chat(kHi + ", " + kTool)->needs_tools);
  EXPECT_FALSE(chat(kHi + ", " + kTool + R"(, "tool_choice": "none")")->needs_tools);
}

TEST(PlanChat, HistoryWithToolResultsPasses) {
  const auto plan = chat(R"("messages": [
      {"role": "developer", "content": "d"},
      {"role": "user", "content": [{"type": "text", "text": "hi"}]},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
      {"role": "tool", "tool_call_id": "b", "content": "1"},
      {"role": "tool", "tool_call_id": "a", "content": "2"}])");
  ASSERT_TRUE(plan) << plan.error().message;
  const auto& messages = *plan->generations[0].body.find("messages")->as_array();
  EXPECT_EQ(*messages[0].find("role")->as_string(), "system");
  EXPECT_EQ(*messages[2].find("content")->as_string(), "");
}

TEST(PlanCompletion, PromptsTimesChoices) {
  const auto plan = completion(R"("prompt": ["a", "b"], "n": 2, "echo": true)");
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->generations.size(), 4u);
  EXPECT_EQ(plan->prompts, 2u);
  EXPECT_EQ(plan->generations[1].echo, "a");
  EXPECT_EQ(plan->generations[2].echo, "b");
  EXPECT_EQ(*plan->generations[2].body.find("prompt")->as_string(), "b");
}

TEST(PlanCompletion, TokensArePrompts) {
  const auto one = completion(R"("prompt": [5, 6], "echo": true)");
  ASSERT_TRUE(one);
  ASSERT_EQ(one->generations.size(), 1u);
  EXPECT_EQ(one->generations[0].echo_tokens, (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(completion(R"("prompt": [[5], [6, 7]])")->generations.size(), 2u);
}

TEST(PlanCompletion, Refusals) {
  const Refusal cases[] = {
      {R"("max_tokens": 4)", "'prompt' is missing"},
      {R"("prompt": [])", "'prompt' must be"},
      {R"("prompt": ["a", 3])", "'prompt' must hold"},
      {R"("prompt": [-1])", "'prompt' must hold"},
      {R"("prompt": "a", "suffix": "b")", "'suffix'"},
      {R"("prompt": "a", "best_of": 2)", "'best_of'"},
      {R"("prompt": "a", "echo": true, "logprobs": 1)", "'echo' with"},
      {R"("prompt": ["a","b","c","d","e"], "n": 16)", "limit of 64"},
  };
  for (const auto& bad : cases) {
    const auto plan = completion(bad.members);
    ASSERT_FALSE(plan) << bad.members;
    EXPECT_NE(plan.error().message.find(bad.words), std::string::npos) << plan.error().message;
  }
}

}  // namespace
}  // namespace ingle::api::openai
