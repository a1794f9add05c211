// What calibration varies: the axes of the search for one model on one machine, from the settings
// that it has by default. Pure.
//
//   flash attention   off, where the engine decides by itself (it is then on wherever it can be)
//   KV type           q8_0, and only when asked for: it changes what the model answers
//   layers on a GPU   half of them, none: for a weak card beside a strong processor
//   experts           of more layers on the host, where there is a GPU and the model has experts
//   batch             128 to 2048 tokens at once, given and computed alike
//   threads           for prompts and for single tokens apart: one core less, the cores, all
//                     hardware threads
//   speculation       the engine's own kinds without a draft model
//
// Context, slots and everything else stay as they are: a faster model that remembers less, or
// answers fewer at once, is not what was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/search.h"
#include "protocol/resources.h"

namespace ingle::jobs {

struct SpaceFacts {
  std::vector<protocol::Setting> defaults{};  // all settings of the model, without kept ones
  std::vector<std::string> fixed{};           // name=value that the caller asked for
  std::int64_t cores_physical = 1;
  std::int64_t cores_logical = 1;
  std::int64_t layers = 0;
  bool has_experts = false;
  std::int64_t prompt_tokens = 0;  // of the workload: larger batches are as good as one of that
  bool smaller_kv = false;
  std::vector<std::string> speculations{};  // without "off"
};

// The most promising first.
std::vector<Axis> calibration_axes(const SpaceFacts& facts);

// What every trial is loaded with, as name=value: the defaults of everything that is varied or that
// must not change with it, so that no trial gets another context than the default has.
std::vector<std::string> pinned_settings(const SpaceFacts& facts);

// `settings` (name=value) with those of the same names in `changes` instead.
std::vector<std::string> with_changes(std::vector<std::string> settings,
                                      const std::vector<std::string>& changes);

// The point whose changes these settings are, in another order; nothing: there is none.
std::optional<Point> point_of(const std::vector<Axis>& axes,
                              const std::vector<std::string>& settings);

}  // namespace ingle::jobs
