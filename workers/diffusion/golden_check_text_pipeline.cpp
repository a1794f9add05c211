#include <algorithm>
#include <array>
#include <format>

#include "diffusion/golden_shots.h"
#include "diffusion/prompts.h"

namespace ingle::diffusion {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using models::GoldenCase;

// The names that cases have for the ids of each tokenizer, prompt and negative by turns.
base::Status compare_ids(const GoldenCase& golden, const Prompted& prompted, Comparisons& out) {
  const auto compare = [&](const std::string& name, std::initializer_list<std::size_t> places) {
    std::vector<float> ids;
    for (const auto place : places)
      if (place < prompted.ids.size())
        ids.insert(ids.end(), prompted.ids[place].begin(), prompted.ids[place].end());
    return compare_if_there(golden, name, ids, 0, out);
  };
  TRY(compare("out.input_ids", {0, 1}));
  TRY(compare("out.ids_1", {0, 1}));
  TRY(compare("out.ids_2", {2, 3}));
  TRY(compare("out.clip_ids", {0}));
  return compare("out.t5_ids", {1});
}

base::Status compare_condition(const GoldenCase& golden, const std::string& prefix,
                               const Condition& condition, Comparisons& out) {
  const double allowed = golden.allowed("embeddings");
  TRY(compare_if_there(golden, prefix + "prompt_embeds", condition.context, allowed, out));
  return compare_if_there(golden, prefix + "pooled_prompt_embeds", condition.pooled, allowed, out);
}

struct Case {
  const GoldenCase& golden;
  GoldenModel& model;
  PromptEncoder& prompts;
  weights::Config request;  // prompts.json
  Shot shot{};
};

Result<Prompted> encode(Case& of, bool negative_text, std::int64_t clip_skip) {
  PromptUse use{.clip_skip = clip_skip,
                .options = {.syntax = false, .long_prompts = false},
                .tokens_max = of.request.integer("max_sequence_length", 0)};
  std::optional<std::string> negative;
  const auto guidance = of.request.number("guidance_scale", 1);
  const bool distilled = of.model.family == Family::flux1 || of.model.denoiser->traits().guidance;
  if (!distilled && classifier_free_guidance(of.model.family, guidance) > 1)
    negative = negative_text ? of.request.text("negative_prompt") : "";
  const std::atomic<bool> stop = false;
  TRY_ASSIGN(auto out, of.prompts.encode(of.request.text("prompt"), negative, use, stop));
  if (of.model.family != Family::sdxl) return out;
  // Sizes as the picture's own, nothing cropped.
  const auto pixels = of.model.vae->pixels_per_cell();
  const auto height = static_cast<float>(of.shot.drawing.size.height * pixels);
  const auto width = static_cast<float>(of.shot.drawing.size.width * pixels);
  out.positive.time_ids = {height, width, 0, 0, height, width};
  if (out.negative) out.negative->time_ids = out.positive.time_ids;
  return out;
}

base::Status run(Case& of, const std::string& outputs, const Prompted& prompted, Comparisons& out) {
  auto shot = of.shot;
  shot.outputs = outputs;
  std::vector<Condition> negative;
  if (prompted.negative) negative.push_back(*prompted.negative);
  return run_shot(of.golden, of.model, shot, {prompted.positive}, negative, out);
}

base::Status prepare(Case& of) {
  auto& shot = of.shot;
  std::string start;
  for (const std::string name : {"in.latents", "in.latents_unpacked", "in.latents_patchified"})
    if (of.golden.tensors.contains(name)) start = name;
  TRY_ASSIGN(const auto latents, of.golden.read(start.empty() ? "in.latents" : start));
  if (latents.shape.rank() != 4)
    return fail(ErrorCode::malformed, std::format("'{}' is no map of latents", start));
  shot.noise[NoiseUse::start] = start;
  shot.noise[NoiseUse::step] = "in.step_noise";
  auto& drawing = shot.drawing;
  drawing.size = {latents.shape[2], latents.shape[3], latents.shape[1]};
  drawing.scheduler = of.model.scheduler;
  const auto side = of.model.denoiser->traits().tokens_per_side;
  drawing.plan = schedule_plan(of.model.family, drawing.scheduler,
                               drawing.size.height / side * (drawing.size.width / side),
                               of.request.integer("steps", 4));
  const double guidance = of.request.number("guidance_scale", 1);
  drawing.guidance_embedded = guidance;
  drawing.guidance = classifier_free_guidance(of.model.family, guidance);
  return {};
}

}  // namespace

Result<Comparisons> check_text_pipeline(const GoldenCase& golden, tensor::Executor& executor) {
  Comparisons out;
  TRY_ASSIGN(auto request, weights::Config::load(golden.folder / "prompts.json"));
  TRY_ASSIGN(const auto model, open_golden(golden, executor));
  TRY_ASSIGN(const auto prompts,
             make_prompt_encoder(model->family, model->files,
                                 [&](std::string_view) -> tensor::Executor& { return executor; }));
  Case of{golden, *model, *prompts, std::move(request)};
  TRY(prepare(of));

  TRY_ASSIGN(const auto prompted, encode(of, true, 0));
  TRY(compare_ids(golden, prompted, out));
  TRY(compare_condition(golden, "out.", prompted.positive, out));
  if (prompted.negative) TRY(compare_condition(golden, "out.negative_", *prompted.negative, out));
  TRY(run(of, "out.", prompted, out));

  if (golden.tensors.contains("out.clip_skip.latents")) {
    const auto skip = of.request.integer("clip_skip", 1);
    TRY_ASSIGN(const auto skipped, encode(of, true, skip));
    TRY(compare_condition(golden, "out.clip_skip.", skipped.positive, out));
    TRY(run(of, "out.clip_skip.", skipped, out));
  }
  if (golden.tensors.contains("out.no_negative.latents")) {
    TRY_ASSIGN(const auto without, encode(of, false, 0));
    TRY(run(of, "out.no_negative.", without, out));
  }
  return out;
}

}  // namespace ingle::diffusion
