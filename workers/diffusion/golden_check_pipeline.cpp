#include <algorithm>
#include <array>
#include <cmath>
#include <format>
#include <set>

#include "diffusion/golden_shots.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using models::GoldenCase;

// Settings of a run: as case.json has them, else in the words of the README, else what the
// reference pipeline takes when it is not told.
struct Settings {
  double guidance = 0;
  double strength = 0;           // of image to image
  std::int64_t image_steps = 0;  // of image to image
  std::string assumed{};         // those that the case does not say
};

struct PipelineDefaults {
  double guidance, strength;
};
PipelineDefaults defaults_of(Family family) {
  switch (family) {
    case Family::sdxl:
      return {5, 0.3};
    case Family::flux1:
      return {3.5, 0.6};
    case Family::flux2:
      return {4, 0.6};
    case Family::z_image:
      return {5, 0.6};
    case Family::sd1:
    case Family::sd2:
      break;
  }
  return {7.5, 0.8};
}

// The whole number that stands before `words`.
std::optional<double> stated_before(std::string_view text, std::string_view words) {
  const auto at = text.find(words);
  auto begin = at;
  while (at != text.npos && begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  if (at == text.npos || begin == at) return std::nullopt;
  return stated(text.substr(begin, at - begin), {""});
}

Settings settings_of(const GoldenCase& golden, Family family) {
  const auto readme = readme_of(golden);
  const auto usual = defaults_of(family);
  Settings out;
  const auto value = [&](std::string_view key, std::optional<double> in_words, double otherwise) {
    if (golden.about.has(key)) return golden.about.number(key, otherwise);
    if (!in_words)
      out.assumed += std::format("{}{} {}", out.assumed.empty() ? "" : ", ", key, otherwise);
    return in_words.value_or(otherwise);
  };
  out.guidance = value("guidance_scale", stated(readme, {"CFG ", "guidance_scale ", "guidance "}),
                       usual.guidance);
  const bool images = std::ranges::any_of(
      golden.tensors, [](const auto& tensor) { return tensor.first.starts_with("i2i"); });
  if (!images) return out;
  out.strength = value("strength", stated(readme, {"strength "}), usual.strength);
  // Of the pipeline's steps the last ones run: those that the case has timesteps of.
  double run = 3;
  for (const auto& [name, tensor] : golden.tensors)
    if (name.starts_with("i2i") && name.ends_with(".act.timesteps"))
      run = static_cast<double>(tensor.data.size());
  const auto steps = value("num_inference_steps", stated_before(readme, " steps, strength"),
                           std::ceil(run / std::clamp(out.strength, 0.01, 1.0)));
  out.image_steps = static_cast<std::int64_t>(std::clamp(steps, 1.0, 1000.0));
  return out;
}

Result<MapSize> size_of(const GoldenCase& golden, const std::string& name) {
  TRY_ASSIGN(const auto tensor, golden.read(name, 4));
  return MapSize{tensor.shape[2], tensor.shape[3], tensor.shape[1]};
}

// Steps of a schedule whose timesteps or latents the case has.
std::optional<std::int64_t> steps_of(const GoldenCase& golden,
                                     std::initializer_list<std::string> names, SamplerKind kind) {
  for (const auto& name : names)
    if (const auto found = golden.tensors.find(name);
        found != golden.tensors.end() && found->second.shape.rank() > 0) {
      const auto count = found->second.shape[0];
      return kind == SamplerKind::heun ? (count + 1) / 2 : count;
    }
  return std::nullopt;
}

std::int64_t tokens_of(const GoldenModel& model, const MapSize& size) {
  const auto side = model.denoiser->traits().tokens_per_side;
  return size.height / side * (size.width / side);
}

void set_schedule(const GoldenModel& model, Shot& shot, std::int64_t steps) {
  shot.drawing.plan = schedule_plan(model.family, shot.drawing.scheduler,
                                    tokens_of(model, shot.drawing.size), steps);
}

struct Conditions {
  std::vector<Condition> positive{}, negative{};
};
Conditions given(const GoldenCase& golden) {
  return {conditions_of(golden, "in."), conditions_of(golden, "in.negative_")};
}

// SD: a run is called [i2i_|inpaint4_|inpaint9_]SCHEDULER[_nocfg|_rescaleNN].
struct SdTag {
  std::string tag{}, task{}, scheduler{};
  bool guided = true;
  double rescale = 0;
};

SdTag sd_tag(std::string tag) {
  SdTag out{.tag = tag};
  for (const std::string_view task : {"i2i_", "inpaint4_", "inpaint9_"})
    if (tag.starts_with(task)) {
      out.task = task.substr(0, task.size() - 1);
      tag = tag.substr(task.size());
    }
  if (tag.ends_with("_nocfg")) {
    out.guided = false;
    tag = tag.substr(0, tag.size() - 6);
  }
  if (const auto at = tag.find("_rescale"); at != tag.npos) {
    const auto digits = tag.substr(at + 8);
    out.rescale =
        std::strtod(("0." + digits.substr(std::min(digits.size(), 1uz))).c_str(), nullptr);
    if (digits.starts_with('1')) out.rescale = 1;
    tag = tag.substr(0, at);
  }
  out.scheduler = tag;
  return out;
}

void set_sd_noise(const GoldenCase& golden, const SdTag& tag, Shot& shot) {
  const auto own = shot.tag + "in.noise.";
  const auto shared = tag.task + ".in.noise.";
  const auto prefix = golden.tensors.contains(own + "0") ? own : shared;
  shot.noise[NoiseUse::start] = "in.latents";
  shot.noise[NoiseUse::step] = shot.tag + "in.step_noise";
  if (tag.task == "i2i" || tag.task == "inpaint4") {
    shot.noise[NoiseUse::posterior] = prefix + "0";
    shot.noise[NoiseUse::start] = prefix + "1";
  } else if (tag.task == "inpaint9") {
    shot.noise[NoiseUse::start] = prefix + "0";
    shot.noise[NoiseUse::masked] = prefix + "1";
  }
}

base::Status run_sd_tag(const GoldenCase& golden, GoldenModel& model, const SdTag& tag,
                        const Conditions& conditions, Comparisons& out) {
  const auto settings = settings_of(golden, model.family);
  Shot shot{.tag = tag.tag.empty() ? "" : tag.tag + "."};
  auto& drawing = shot.drawing;
  drawing.scheduler = model.scheduler;
  const auto file = golden.folder / "schedulers" / (tag.scheduler + ".json");
  std::error_code ignored;
  if (!tag.scheduler.empty() && std::filesystem::exists(file, ignored)) {
    TRY_ASSIGN(const auto config, weights::Config::load(file));
    TRY_ASSIGN(drawing.scheduler, scheduler_config(config));
  }
  TRY_ASSIGN(drawing.size, size_of(golden, "in.latents"));
  drawing.guidance = tag.guided ? settings.guidance : 1;
  drawing.guidance_rescale = tag.rescale;
  const auto steps = steps_of(
      golden,
      {shot.tag + "act.timesteps", tag.scheduler + ".act.timesteps", shot.tag + "act.step_latents"},
      drawing.scheduler.kind);
  const bool image = tag.task == "i2i";
  set_schedule(model, shot, image ? settings.image_steps : steps.value_or(4));
  set_sd_noise(golden, tag, shot);
  Pixels pixels;
  Mask mask;
  if (!tag.task.empty()) {
    TRY_ASSIGN(pixels, golden_pixels(golden, "in.image_01"));
    drawing.image = &pixels;
    drawing.strength = image ? settings.strength : 1;
  }
  if (tag.task.starts_with("inpaint")) {
    TRY_ASSIGN(auto tensor, golden.read("in.mask", 4));
    mask = {tensor.shape.last(1), tensor.shape.last(), std::move(tensor.data)};
    drawing.mask = &mask;
  }
  return run_shot(golden, model, shot, conditions.positive, conditions.negative, out);
}

Result<Comparisons> check_sd(const GoldenCase& golden, GoldenModel& model,
                             tensor::Executor& executor) {
  Comparisons out;
  const auto conditions = given(golden);
  std::set<std::string> tags;
  for (const auto& [name, tensor] : golden.tensors)
    if (const auto at = name.find("out.latents");
        at == 0 || (at != name.npos && name[at - 1] == '.'))
      tags.insert(name.substr(0, at == 0 ? 0 : at - 1));
  for (const auto& name : tags) {
    const auto tag = sd_tag(name);
    std::error_code ignored;
    const auto other = golden.folder / ("unet_" + tag.task);
    base::Status done;
    if (!tag.task.empty() && std::filesystem::exists(other, ignored)) {
      TRY_ASSIGN(const auto replaced, open_golden(golden, executor, {{"unet", other}}));
      done = run_sd_tag(golden, *replaced, tag, conditions, out);
    } else {
      done = run_sd_tag(golden, model, tag, conditions, out);
    }
    if (!done) return fail(std::move(done).error().with_context(std::format("run '{}'", name)));
  }
  return out;
}

Shot flow_shot(const GoldenModel& model, const Settings& settings, std::string tag) {
  Shot shot{.tag = std::move(tag)};
  shot.drawing.scheduler = model.scheduler;
  shot.drawing.guidance_embedded = settings.guidance;
  return shot;
}

// The main run, from the noise `start`.
Result<Shot> main_shot(const GoldenCase& golden, const GoldenModel& model, const Settings& settings,
                       const std::string& start) {
  auto shot = flow_shot(model, settings, "");
  TRY_ASSIGN(shot.drawing.size, size_of(golden, start));
  const auto steps =
      steps_of(golden, {"act.timesteps", "act.step_latents_packed", "act.step_latents"}, {});
  set_schedule(model, shot, steps.value_or(4));
  shot.noise[NoiseUse::start] = start;
  return shot;
}

Result<Comparisons> check_flux(const GoldenCase& golden, GoldenModel& model) {
  Comparisons out;
  const auto settings = settings_of(golden, model.family);
  const auto conditions = given(golden);
  TRY_ASSIGN(auto shot, main_shot(golden, model, settings, "in.latents_unpacked"));
  TRY(run_shot(golden, model, shot, conditions.positive, {}, out));

  constexpr std::string_view mark = "out.true_cfg";
  for (const auto& [name, tensor] : golden.tensors)
    if (name.starts_with(mark) && name.ends_with(".latents_packed")) {
      auto guided = shot;
      guided.outputs = name.substr(0, name.rfind('.') + 1);
      guided.drawing.guidance = std::strtod(name.c_str() + mark.size(), nullptr);
      TRY(run_shot(golden, model, guided, conditions.positive, conditions.negative, out));
    }

  if (golden.tensors.contains("i2i.out.latents_packed")) {
    auto again = flow_shot(model, settings, "i2i.");
    again.drawing.size = shot.drawing.size;
    const auto count = steps_of(golden, {"i2i.act.timesteps"}, {});
    set_schedule(model, again, count.value_or(settings.image_steps));
    TRY_ASSIGN(const auto pixels, golden_pixels(golden, "i2i.in.image_01"));
    again.drawing.image = &pixels;
    again.drawing.strength = settings.strength;
    again.noise = {{NoiseUse::posterior, "i2i.in.noise.0"}, {NoiseUse::start, "i2i.in.noise.1"}};
    TRY(run_shot(golden, model, again, conditions.positive, {}, out));
  }
  return out;
}

// Sides cut from the middle to whole cells.
Pixels cropped(const Pixels& from, std::int64_t multiple) {
  Pixels out{.height = from.height / multiple * multiple,
             .width = from.width / multiple * multiple};
  const auto top = (from.height - out.height) / 2, left = (from.width - out.width) / 2;
  for (std::int64_t y = 0; y < out.height; ++y) {
    const auto row = from.data.begin() + ((y + top) * from.width + left) * 3;
    out.data.insert(out.data.end(), row, row + out.width * 3);
  }
  return out;
}

Result<Comparisons> check_flux2(const GoldenCase& golden, GoldenModel& model) {
  Comparisons out;
  const auto settings = settings_of(golden, model.family);
  const auto conditions = given(golden);
  TRY_ASSIGN(auto shot, main_shot(golden, model, settings, "in.latents_patchified"));
  shot.drawing.guidance =
      model.denoiser->traits().guidance || model.files.index.flag("is_distilled", false)
          ? 1
          : settings.guidance;
  TRY(run_shot(golden, model, shot, conditions.positive, conditions.negative, out));

  if (golden.tensors.contains("ref.in.image_u8_hwc")) {
    TRY_ASSIGN(const auto pixels, golden_pixels(golden, "ref.in.image_u8_hwc"));
    const std::atomic<bool> stop = false;
    const auto whole = cropped(pixels, model.vae->pixels_per_cell());
    TRY_ASSIGN(const auto moments, model.vae->encode(whole, stop));
    const Reference reference{model.vae->map_of(whole.height, whole.width),
                              model.vae->draw(moments, {})};
    auto edit = shot;
    edit.tag = "ref.";
    edit.drawing.references = {&reference};
    TRY(run_shot(golden, model, edit, conditions.positive, conditions.negative, out));
  }
  return out;
}

Result<Comparisons> check_z_image(const GoldenCase& golden, GoldenModel& model) {
  Comparisons out;
  const auto settings = settings_of(golden, model.family);
  const auto conditions = given(golden);
  TRY_ASSIGN(auto shot, main_shot(golden, model, settings, "in.latents"));
  shot.drawing.guidance = classifier_free_guidance(model.family, settings.guidance);
  TRY(run_shot(golden, model, shot, conditions.positive, conditions.negative, out));
  return out;
}

}  // namespace

namespace {

Result<Comparisons> check_family(const GoldenCase& golden, GoldenModel& model,
                                 tensor::Executor& executor) {
  switch (model.family) {
    case Family::sd1:
    case Family::sd2:
    case Family::sdxl:
      return check_sd(golden, model, executor);
    case Family::flux1:
      return check_flux(golden, model);
    case Family::flux2:
      return check_flux2(golden, model);
    case Family::z_image:
      return check_z_image(golden, model);
  }
  return fail(ErrorCode::internal, "a family without a check");
}

}  // namespace

Result<Comparisons> check_pipeline(const GoldenCase& golden, tensor::Executor& executor) {
  TRY_ASSIGN(const auto model, open_golden(golden, executor));
  auto out = check_family(golden, *model, executor);
  if (out && std::ranges::all_of(*out, &models::Comparison::good)) return out;
  const auto settings = settings_of(golden, model->family);
  if (settings.assumed.empty() || (out && out->empty())) return out;
  // A wrong guess is not to be told from a wrong result.
  return fail(ErrorCode::invalid_argument,
              std::format("{}; neither case.json nor README.md says a setting that may matter, and "
                          "it was taken as the pipeline's own: {}",
                          out ? models::worst(*out).text() : out.error().text(), settings.assumed));
}

bool pipeline_is_known(const std::filesystem::path& folder) {
  const auto index = weights::Config::load(folder / "model_index.json");
  if (!index) return true;  // the check says what is wrong
  const auto name = index->text("_class_name");
  constexpr std::array known = {"StableDiffusion", "Flux", "ZImage"};
  return std::ranges::any_of(known,
                             [&](std::string_view begin) { return name.starts_with(begin); });
}

}  // namespace ingle::diffusion
