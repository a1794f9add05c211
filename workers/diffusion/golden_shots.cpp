#include "diffusion/golden_shots.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <format>
#include <fstream>
#include <sstream>

#include "models/positions.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using models::GoldenCase;
using models::GoldenTensor;

// Everything that a shot gives, item by item.
struct Taken {
  std::vector<std::vector<float>> latents{};             // [h, w, c]
  std::vector<std::vector<std::vector<float>>> steps{};  // of each item
  std::vector<Pixels> pixels{};
};

std::vector<float> packed(std::span<const float> map, const MapSize& size, Family family) {
  if (family == Family::flux2) return {map.begin(), map.end()};
  return models::pack_latents(channels_first(map, size), size.channels, size.height, size.width,
                              models::PatchOrder::channel_row_column);
}

std::vector<float> joined(const std::vector<std::vector<float>>& parts) {
  std::vector<float> out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

class Comparer {
 public:
  Comparer(const GoldenCase& golden, GoldenModel& model, const Shot& shot, Comparisons& out)
      : golden_(golden), model_(model), shot_(shot), out_(out) {}

  base::Status compare(const Taken& taken) {
    const auto& size = shot_.drawing.size;
    const auto planes = [&](std::span<const float> map) { return channels_first(map, size); };
    const auto tokens = [&](std::span<const float> map) {
      return packed(map, size, model_.family);
    };
    const auto of_vae = [&](std::span<const float> map) {
      const std::int64_t patch = model_.family == Family::flux2 ? 2 : 1;
      return channels_first(
          model_.vae->vae_latents(map, size),
          {size.height * patch, size.width * patch, size.channels / (patch * patch)});
    };
    TRY(each("latents", "latents", taken.latents, planes));
    TRY(each("latents_unpacked", "latents", taken.latents, planes));
    TRY(each("latents_packed", "latents", taken.latents, tokens));
    TRY(each("vae_latents", "latents", taken.latents, of_vae));
    // Steps are kept of the main run alone.
    if (shot_.outputs == "out.") {
      TRY(step_latents("act.step_latents", taken, planes));
      TRY(step_latents("act.step_latents_packed", taken, tokens));
    }
    return pictures(taken);
  }

 private:
  template <class Turn>
  base::Status each(std::string_view what, std::string_view tolerance,
                    const std::vector<std::vector<float>>& all, Turn&& turn) {
    const auto name = shot_.tag + shot_.outputs + std::string(what);
    if (!golden_.tensors.contains(name)) return {};
    std::vector<std::vector<float>> turned;
    for (const auto& one : all) turned.push_back(turn(one));
    return compare_if_there(golden_, name, joined(turned), golden_.allowed(tolerance), out_);
  }
  template <class Turn>
  base::Status step_latents(std::string_view what, const Taken& taken, Turn&& turn) {
    const auto name = shot_.tag + std::string(what);
    if (!golden_.tensors.contains(name)) return {};
    std::vector<std::vector<float>> turned;
    for (std::size_t step = 0; step < taken.steps[0].size(); ++step)
      for (const auto& item : taken.steps) turned.push_back(turn(item[step]));
    return compare_if_there(golden_, name, joined(turned), golden_.allowed("latents"), out_);
  }
  base::Status pictures(const Taken& taken) {
    std::vector<float> planes, bytes;
    for (const auto& pixels : taken.pixels) {
      std::vector<float> shares;
      for (const float value : pixels.data)
        shares.push_back(std::clamp(value / 2 + 0.5f, 0.0f, 1.0f));
      for (const float share : shares) bytes.push_back(std::nearbyint(share * 255));
      const auto turned = channels_first(shares, {pixels.height, pixels.width, 3});
      planes.insert(planes.end(), turned.begin(), turned.end());
    }
    const auto name = shot_.tag + shot_.outputs;
    TRY(compare_if_there(golden_, name + "image", planes, golden_.allowed("image"), out_));
    const double u8 = golden_.about.object("max_abs_error").number("u8", 1);
    return compare_if_there(golden_, name + "image_u8_hwc", bytes, u8, out_);
  }

  const GoldenCase& golden_;
  GoldenModel& model_;
  const Shot& shot_;
  Comparisons& out_;
};

// The schedule's tables, where the case has them.
base::Status compare_schedule(const GoldenCase& golden, const Shot& shot, Comparisons& out) {
  TRY_ASSIGN(const auto schedule, make_schedule(shot.drawing.scheduler, shot.drawing.plan));
  const std::array<std::pair<std::string, const std::vector<float>*>, 2> tables = {
      std::pair{shot.tag + "act.timesteps", &schedule.timesteps},
      std::pair{shot.tag + "act.sigmas", &schedule.sigmas}};
  for (const auto& [name, table] : tables) {
    if (!golden.tensors.contains(name) || table->empty()) continue;
    TRY_ASSIGN(auto comparison,
               compare_relative(name, *table, golden.tensors.find(name)->second, 1e-5));
    out.push_back(std::move(comparison));
  }
  return {};
}

}  // namespace

std::optional<double> stated(std::string_view text, std::initializer_list<std::string_view> words) {
  const std::string all(text);
  for (const auto word : words)
    for (auto at = all.find(word); at != all.npos; at = all.find(word, at + 1)) {
      const char* begin = all.c_str() + at + word.size();
      char* end = nullptr;
      const double number = std::strtod(begin, &end);
      if (end != begin) return number;
    }
  return std::nullopt;
}

std::string readme_of(const GoldenCase& golden) {
  std::ifstream in(golden.folder / "README.md");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::span<const float> item_of(const GoldenTensor& tensor, std::size_t i) {
  const auto items = tensor.shape.rank() == 0 ? 1uz : static_cast<std::size_t>(tensor.shape[0]);
  const auto each = tensor.data.size() / std::max(items, 1uz);
  return std::span(tensor.data).subspan(std::min(i, items - 1) * each, each);
}

base::Status GoldenNoise::fill(NoiseUse use, std::size_t evaluation, std::span<float> planes) {
  const auto named = names_.find(use);
  if (named == names_.end())
    return fail(ErrorCode::not_found, "the case has no noise of the kind that is needed");
  TRY_ASSIGN(const auto tensor, golden_.read(named->second));
  auto values = std::span<const float>(tensor.data);
  if (use == NoiseUse::step) values = item_of(tensor, evaluation);
  if (values.size() < planes.size() || values.size() % planes.size() != 0)
    return fail(ErrorCode::malformed, std::format("'{}' has {} values, {} are needed",
                                                  named->second, values.size(), planes.size()));
  const auto last = values.size() / planes.size() - 1;
  std::ranges::copy(values.subspan(std::min(item, last) * planes.size(), planes.size()),
                    planes.begin());
  return {};
}

Result<std::unique_ptr<GoldenModel>> open_golden(
    const GoldenCase& golden, tensor::Executor& executor,
    std::map<std::string, std::filesystem::path> replaced) {
  auto out = std::make_unique<GoldenModel>();
  TRY_ASSIGN(out->files,
             weights::open_model({.model = golden.folder, .parts = std::move(replaced)}));
  TRY_ASSIGN(out->family, recognise(out->files));
  TRY_ASSIGN(const auto* const denoiser, out->files.part(denoiser_role(out->family)));
  TRY_ASSIGN(out->denoiser, make_denoiser(*denoiser, executor));
  TRY_ASSIGN(const auto* const vae, out->files.part("vae"));
  TRY_ASSIGN(out->vae, VaeStage::create(*vae, executor));
  TRY_ASSIGN(const auto* const scheduler, out->files.part("scheduler"));
  TRY_ASSIGN(out->scheduler, scheduler_config(scheduler->config));
  return out;
}

std::vector<Condition> conditions_of(const GoldenCase& golden, std::string_view prefix) {
  std::vector<Condition> out;
  const auto found = golden.tensors.find(std::format("{}prompt_embeds", prefix));
  if (found == golden.tensors.end() || found->second.shape.rank() < 2) return out;
  const auto& embeds = found->second;
  // [items, tokens, channels], or [tokens, channels] of one item.
  const auto items = embeds.shape.rank() == 2 ? 1 : embeds.shape[0];
  const auto pooled = golden.tensors.find(std::format("{}pooled_prompt_embeds", prefix));
  const auto ids = golden.tensors.find("in.time_ids");
  for (std::int64_t item = 0; item < items; ++item) {
    const auto i = static_cast<std::size_t>(item);
    Condition condition{.tokens = embeds.shape.last(1)};
    const auto context = items == 1 ? std::span<const float>(embeds.data) : item_of(embeds, i);
    condition.context.assign(context.begin(), context.end());
    if (pooled != golden.tensors.end()) {
      const auto values = item_of(pooled->second, i);
      condition.pooled.assign(values.begin(), values.end());
    }
    if (ids != golden.tensors.end()) {
      const auto values = item_of(ids->second, i);
      condition.time_ids.assign(values.begin(), values.end());
    }
    out.push_back(std::move(condition));
  }
  return out;
}

Result<Pixels> golden_pixels(const GoldenCase& golden, std::string_view name) {
  TRY_ASSIGN(const auto tensor, golden.read(name));
  const auto& shape = tensor.shape;
  Pixels out;
  if (shape.rank() == 3 && shape[2] == 3) {
    out.height = shape[0];
    out.width = shape[1];
    for (const float value : tensor.data) out.data.push_back(value / 255 * 2 - 1);
  } else if (shape.rank() == 4 && shape[1] == 3) {
    out.height = shape[2];
    out.width = shape[3];
    out.data = channels_last(item_of(tensor, 0), {out.height, out.width, 3});
    for (float& value : out.data) value = value * 2 - 1;
  } else {
    return fail(ErrorCode::malformed, std::format("'{}' is no picture: {}", name, shape.text()));
  }
  return out;
}

base::Status run_shot(const GoldenCase& golden, GoldenModel& model, const Shot& shot,
                      const std::vector<Condition>& positive,
                      const std::vector<Condition>& negative, Comparisons& out) {
  TRY(compare_schedule(golden, shot, out));
  const auto start = shot.noise.find(NoiseUse::start);
  if (start == shot.noise.end() || positive.empty())
    return fail(ErrorCode::not_found, "the case has no start noise or no prompt");
  TRY_ASSIGN(const auto noise_tensor, golden.read(start->second));
  const auto items = noise_tensor.data.size() / std::max(shot.drawing.size.elements(), 1uz);
  GoldenNoise noise(golden, shot.noise);
  Taken taken;
  const std::atomic<bool> stop = false;
  for (std::size_t i = 0; i < items; ++i) {
    noise.item = i;
    auto drawing = shot.drawing;
    drawing.positive = &positive[std::min(i, positive.size() - 1)];
    if (!negative.empty()) drawing.negative = &negative[std::min(i, negative.size() - 1)];
    auto& steps = taken.steps.emplace_back();
    drawing.on_step = [&](const DrawStep& step) {
      steps.emplace_back(step.latents.begin(), step.latents.end());
    };
    TRY_ASSIGN(auto latents, draw(*model.denoiser, *model.vae, drawing, noise, stop));
    const auto name = shot.tag + shot.outputs;
    if (golden.tensors.contains(name + "image") || golden.tensors.contains(name + "image_u8_hwc")) {
      TRY_ASSIGN(auto pixels, model.vae->decode(latents, drawing.size, Tiling::whole, stop));
      taken.pixels.push_back(std::move(pixels));
    }
    taken.latents.push_back(std::move(latents));
  }
  if (taken.latents.empty()) return fail(ErrorCode::malformed, "the case has no latents");
  return Comparer(golden, model, shot, out).compare(taken);
}

}  // namespace ingle::diffusion
