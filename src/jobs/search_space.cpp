#include "jobs/search_space.h"

#include <algorithm>
#include <charconv>
#include <format>

namespace ingle::jobs {
namespace {

using Part = Axis::Part;
using Shape = Axis::Shape;

// What a trial must not change by itself.
constexpr std::string_view kPinned[] = {"threads",      "threads_batch", "context_tokens",
                                        "parallel",     "kv_type_k",     "kv_type_v",
                                        "device",       "gpu_layers",    "flash_attention",
                                        "batch_tokens", "ubatch_tokens", "expert_layers_on_host",
                                        "speculation"};

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

class Space {
 public:
  explicit Space(const SpaceFacts& facts) : facts_(facts) {}

  std::vector<Axis> axes() {
    add_flash_attention();
    add_kv_types();
    if (on_gpu()) add_layers();
    if (on_gpu() && facts_.has_experts) add_experts();
    add_batch();
    add_threads("threads_batch", Part::prompt);
    add_threads("threads", Part::generation);
    add_speculation();
    return std::move(out_);
  }

 private:
  std::string value(std::string_view name) const {
    const auto found = std::ranges::find(facts_.defaults, name, &protocol::Setting::name);
    return found == facts_.defaults.end() ? "" : found->value;
  }
  bool is_free(std::string_view name) const {
    return !value(name).empty() && !std::ranges::contains(facts_.fixed, name, name_of);
  }
  bool on_gpu() const { return !value("device").empty() && value("device") != "host"; }

  void add(Axis axis) {
    if (axis.steps.size() > 1) out_.push_back(std::move(axis));
  }

  // A ladder of numbers, with the default among them; others that are too near to it are left out.
  void add_numbers(Part part, std::vector<std::string> names, std::vector<std::int64_t> values,
                   std::int64_t base, double apart) {
    std::erase_if(values, [&](std::int64_t value) {
      const auto ratio = static_cast<double>(value) / static_cast<double>(base);
      return value < 1 || (ratio < apart && ratio > 1 / apart);
    });
    values.push_back(base);
    std::ranges::sort(values);
    const auto same = std::ranges::unique(values);
    values.erase(same.begin(), same.end());
    Axis axis{.part = part, .shape = Shape::ladder};
    for (const auto number : values) {
      if (number == base) axis.base = axis.steps.size();
      auto& step = axis.steps.emplace_back();
      for (const auto& name : names) step.push_back(std::format("{}={}", name, number));
    }
    add(std::move(axis));
  }

  void add_flash_attention() {
    // Quantised values need it.
    const auto type = value("kv_type_v");
    const bool needed = !type.starts_with("f") && !type.starts_with("bf");
    if (!is_free("flash_attention") || value("flash_attention") == "off" || needed) return;
    add({.part = Part::both,
         .steps = {{"flash_attention=" + value("flash_attention")}, {"flash_attention=off"}}});
  }

  void add_kv_types() {
    if (!facts_.smaller_kv || !is_free("kv_type_k") || !is_free("kv_type_v") ||
        value("kv_type_k") != "f16" || value("kv_type_v") != "f16")
      return;
    add({.part = Part::both,
         .steps = {{"kv_type_k=f16", "kv_type_v=f16"}, {"kv_type_k=q8_0", "kv_type_v=q8_0"}}});
  }

  void add_layers() {
    if (!is_free("gpu_layers") || facts_.layers < 2) return;
    // The default has as many on the GPU as fit.
    const auto base = value("gpu_layers");
    const auto now = number_of(base).value_or(facts_.layers + 1);
    if (now == 0) return;
    Axis axis{.part = Part::both, .shape = Shape::ladder, .steps = {{"gpu_layers=0"}}};
    if (now > 1) axis.steps.push_back({std::format("gpu_layers={}", now / 2)});
    axis.steps.push_back({"gpu_layers=" + base});
    axis.base = axis.steps.size() - 1;
    add(std::move(axis));
  }

  void add_experts() {
    if (!is_free("expert_layers_on_host") || facts_.layers < 2) return;
    // The default has as few on the host as fit.
    const auto now = number_of(value("expert_layers_on_host"));
    if (!now || *now >= facts_.layers) return;
    Axis axis{.part = Part::both, .shape = Shape::ladder};
    const auto half = (*now + facts_.layers) / 2;
    axis.steps.push_back({std::format("expert_layers_on_host={}", *now)});
    if (half > *now) axis.steps.push_back({std::format("expert_layers_on_host={}", half)});
    axis.steps.push_back({"expert_layers_on_host=all"});
    add(std::move(axis));
  }

  void add_batch() {
    const auto base = number_of(value("ubatch_tokens"));
    if (!is_free("batch_tokens") || !is_free("ubatch_tokens") || !base || *base < 1) return;
    std::vector<std::int64_t> values;
    for (const std::int64_t tokens : {128, 256, 512, 1024, 2048}) {
      values.push_back(tokens);
      if (tokens >= facts_.prompt_tokens) break;
    }
    add_numbers(Part::prompt, {"batch_tokens", "ubatch_tokens"}, values, *base, 1.5);
    // The default may give more at once than it computes.
    if (!out_.empty() && out_.back().part == Part::prompt)
      out_.back().steps[out_.back().base] = {"batch_tokens=" + value("batch_tokens"),
                                             "ubatch_tokens=" + value("ubatch_tokens")};
  }

  void add_threads(const std::string& name, Part part) {
    const auto base = number_of(value(name));
    if (!is_free(name) || !base || *base < 1) return;
    add_numbers(part, {name},
                {facts_.cores_physical - 1, facts_.cores_physical, facts_.cores_logical}, *base, 1);
  }

  void add_speculation() {
    if (!is_free("speculation") || value("speculation") != "off") return;
    Axis axis{.part = Part::generation, .steps = {{"speculation=off"}}};
    for (const auto& kind : facts_.speculations)
      if (kind != "off") axis.steps.push_back({"speculation=" + kind});
    add(std::move(axis));
  }

  const SpaceFacts& facts_;
  std::vector<Axis> out_;
};

}  // namespace

std::vector<Axis> calibration_axes(const SpaceFacts& facts) { return Space(facts).axes(); }

std::vector<std::string> pinned_settings(const SpaceFacts& facts) {
  std::vector<std::string> out;
  for (const auto& setting : facts.defaults) {
    const bool pinned = std::ranges::contains(kPinned, setting.name);
    // Several GPUs at once, and what only the engine knows, cannot be asked for by name.
    const bool askable = !setting.value.contains(',') && setting.value != "auto";
    if (pinned && (askable || setting.name == "flash_attention"))
      out.push_back(setting.name + "=" + setting.value);
  }
  return with_changes(std::move(out), facts.fixed);
}

std::vector<std::string> with_changes(std::vector<std::string> settings,
                                      const std::vector<std::string>& changes) {
  std::erase_if(settings, [&](const std::string& entry) {
    return std::ranges::contains(changes, name_of(entry), name_of);
  });
  settings.insert(settings.end(), changes.begin(), changes.end());
  return settings;
}

std::optional<Point> point_of(const std::vector<Axis>& axes,
                              const std::vector<std::string>& settings) {
  Point out;
  std::size_t covered = 0;
  for (const auto& axis : axes) {
    auto at = axis.base;
    for (std::size_t step = 0; step < axis.steps.size(); ++step) {
      const bool all = std::ranges::all_of(axis.steps[step], [&](const std::string& entry) {
        return std::ranges::contains(settings, entry);
      });
      if (!all || step == axis.base) continue;
      at = step;
      covered += axis.steps[step].size();
    }
    out.push_back(at);
  }
  if (covered != settings.size()) return std::nullopt;
  return out;
}

}  // namespace ingle::jobs
