// Goal: what a calibration varies suits the model and the machine, and what it must not change is
// held. Method: settings as the model host explains them.
#include "jobs/search_space.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ingle::jobs {
namespace {

using Texts = std::vector<std::string>;

SpaceFacts on_processor() {
  SpaceFacts out{.cores_physical = 8,
                 .cores_logical = 16,
                 .layers = 32,
                 .prompt_tokens = 512,
                 .speculations = {"off", "ngram-a", "ngram-b"}};
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"threads", "8"},
                                                        {"threads_batch", "16"},
                                                        {"kv_type_k", "f16"},
                                                        {"kv_type_v", "f16"},
                                                        {"parallel", "4"},
                                                        {"flash_attention", "auto"},
                                                        {"device", "host"},
                                                        {"gpu_layers", "0"},
                                                        {"speculation", "off"},
                                                        {"expert_layers_on_host", "0"},
                                                        {"batch_tokens", "192"},
                                                        {"ubatch_tokens", "192"},
                                                        {"mmap", "on"},
                                                        {"context_tokens", "4096"}})
    out.defaults.push_back({.name = name, .value = value});
  return out;
}

void put(SpaceFacts& facts, const std::string& name, const std::string& value) {
  std::ranges::find(facts.defaults, name, &protocol::Setting::name)->value = value;
}

// The steps of the axis whose first setting has this name, its default in brackets.
std::string steps(const SpaceFacts& facts, const std::string& name) {
  std::string out;
  for (const auto& axis : calibration_axes(facts))
    if (axis.steps.front().front().starts_with(name + "="))
      for (std::size_t i = 0; i < axis.steps.size(); ++i) {
        const auto value = axis.steps[i].front().substr(name.size() + 1);
        out += (out.empty() ? "" : " ") + (i == axis.base ? "[" + value + "]" : value);
      }
  return out;
}

TEST(SearchSpace, OnAProcessor) {
  const auto facts = on_processor();
  EXPECT_EQ(steps(facts, "flash_attention"), "[auto] off");
  EXPECT_EQ(steps(facts, "threads"), "7 [8] 16");
  EXPECT_EQ(steps(facts, "threads_batch"), "7 8 [16]");
  EXPECT_EQ(steps(facts, "batch_tokens"), "128 [192] 512") << "256 is too near";
  EXPECT_EQ(steps(facts, "speculation"), "[off] ngram-a ngram-b");
  EXPECT_EQ(steps(facts, "kv_type_k"), "") << "only when asked for";
  EXPECT_EQ(steps(facts, "gpu_layers"), "");
  EXPECT_EQ(calibration_axes(facts).size(), 5u);
}

TEST(SearchSpace, LargerBatchesThanThePromptAreNotTried) {
  auto facts = on_processor();
  facts.prompt_tokens = 3000;
  EXPECT_EQ(steps(facts, "batch_tokens"), "128 [192] 512 1024 2048");
  facts.prompt_tokens = 100;
  EXPECT_EQ(steps(facts, "batch_tokens"), "128 [192]");
}

TEST(SearchSpace, OneCoreLeavesLittleToTry) {
  auto facts = on_processor();
  facts.cores_physical = facts.cores_logical = 1;
  put(facts, "threads", "1");
  put(facts, "threads_batch", "1");
  EXPECT_EQ(steps(facts, "threads"), "");
  EXPECT_EQ(steps(facts, "threads_batch"), "");
}

TEST(SearchSpace, WhatWasAskedForStays) {
  auto facts = on_processor();
  facts.fixed = {"threads=4", "batch_tokens=64", "flash_attention=on"};
  EXPECT_EQ(steps(facts, "threads"), "");
  EXPECT_EQ(steps(facts, "batch_tokens"), "");
  EXPECT_EQ(steps(facts, "flash_attention"), "");
  const auto pinned = pinned_settings(facts);
  EXPECT_TRUE(std::ranges::contains(pinned, std::string("threads=4")));
  EXPECT_FALSE(std::ranges::contains(pinned, std::string("threads=8")));
}

TEST(SearchSpace, QuantisedValuesNeedFlashAttention) {
  auto facts = on_processor();
  facts.smaller_kv = true;
  EXPECT_EQ(steps(facts, "kv_type_k"), "[f16] q8_0");
  put(facts, "kv_type_v", "q8_0");
  EXPECT_EQ(steps(facts, "flash_attention"), "");
  EXPECT_EQ(steps(facts, "kv_type_k"), "") << "memory has chosen";
}

TEST(SearchSpace, OnAGpu) {
  auto facts = on_processor();
  put(facts, "device", "gpu0");
  put(facts, "gpu_layers", "all");
  EXPECT_EQ(steps(facts, "gpu_layers"), "0 16 [all]");
  EXPECT_EQ(steps(facts, "expert_layers_on_host"), "") << "it has no experts";
  facts.has_experts = true;
  put(facts, "expert_layers_on_host", "10");
  EXPECT_EQ(steps(facts, "expert_layers_on_host"), "[10] 21 all");
  put(facts, "gpu_layers", "1");
  EXPECT_EQ(steps(facts, "gpu_layers"), "0 [1]");
}

TEST(SearchSpace, PinnedSettingsHoldTheContextAndThePlace) {
  auto facts = on_processor();
  const auto pinned = pinned_settings(facts);
  for (const auto* entry : {"context_tokens=4096", "parallel=4", "kv_type_k=f16", "device=host",
                            "flash_attention=auto", "batch_tokens=192", "speculation=off"})
    EXPECT_TRUE(std::ranges::contains(pinned, entry)) << entry;
  EXPECT_FALSE(std::ranges::contains(pinned, std::string("mmap=on")));
  put(facts, "device", "gpu0,gpu1");
  put(facts, "gpu_layers", "auto");
  for (const auto& entry : pinned_settings(facts)) {
    EXPECT_FALSE(entry.starts_with("device=")) << "several cannot be asked for";
    EXPECT_FALSE(entry.starts_with("gpu_layers="));
  }
}

TEST(SearchSpace, ChangesTakeThePlaceOfWhatTheyChange) {
  EXPECT_EQ(with_changes({"a=1", "b=2", "c=3"}, {"b=5", "d=1"}),
            (Texts{"a=1", "c=3", "b=5", "d=1"}));
}

TEST(SearchSpace, SettingsAreFoundAgainAsAPoint) {
  const auto axes = calibration_axes(on_processor());
  const Search search(axes, {1, 1});
  auto point = search.base();
  for (std::size_t i = 0; i < axes.size(); ++i) point[i] = axes[i].steps.size() - 1;
  auto changes = search.changes(point);
  std::ranges::reverse(changes);
  EXPECT_EQ(point_of(axes, changes), point);
  EXPECT_EQ(point_of(axes, {}), search.base());
  EXPECT_FALSE(point_of(axes, {"threads=5"})) << "no step of today's";
}

}  // namespace
}  // namespace ingle::jobs
