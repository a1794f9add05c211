// ModelPipeline: the pipeline over a model's files: prompts, denoiser, VAE and scheduler of one
// family, and what is kept between pictures. One thread.
//
// Kept: all packed weights; programs of the sizes lately used; the last prompt, encoded; the map of
// previews, once one was asked for; the adapters in use. Nothing of a picture outlives its request.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/drawing.h"
#include "diffusion/pipeline.h"
#include "diffusion/prompts.h"
#include "diffusion/request_check.h"
#include "models/preview.h"

namespace ingle::diffusion {

class ModelPipeline : public Pipeline {
 public:
  static base::Result<std::unique_ptr<ModelPipeline>> create(weights::ModelFiles files,
                                                             tensor::Executor& executor,
                                                             PipelineOptions options);
  const ModelInfo& info() const override { return info_; }
  base::Status generate(const Request& request, const Observer& observer,
                        const std::atomic<bool>& stop) override;
  tensor::MemoryUse memory() const override;

 private:
  // What a request means here, the same for all of its pictures.
  struct Job;

  ModelPipeline(weights::ModelFiles files, tensor::Executor& executor)
      : files_(std::make_unique<weights::ModelFiles>(std::move(files))), executor_(executor) {}
  base::Status open();
  base::Status warm(const PipelineOptions& options);

  base::Status use_adapters(const std::vector<AdapterUse>& adapters);
  base::Status replace_weights(const ReplacedWeights& replaced);
  base::Status encode_prompt(const Request& request, Job& job, const std::atomic<bool>& stop);
  base::Status prepare_images(const Request& request, Job& job, const std::atomic<bool>& stop);
  base::Status choose(const Request& request, Job& job) const;
  SchedulePlan plan(const Job& job, const MapSize& size, std::int64_t steps) const;
  base::Result<Picture> draw_one(const Job& job, std::int64_t index, const Observer& observer,
                                 const std::atomic<bool>& stop);
  base::Result<std::vector<float>> second_pass(const Job& job, Drawing& drawing,
                                               std::vector<float> latents, NoiseSource& noise,
                                               const std::atomic<bool>& stop);
  std::optional<Picture> preview(std::span<const float> latents, const MapSize& size,
                                 const std::atomic<bool>& stop);

  std::unique_ptr<weights::ModelFiles> files_;  // parts refer to it
  tensor::Executor& executor_;
  Family family_{};
  ModelInfo info_{};
  SchedulerConfig scheduler_{};
  ReplacedWeights replaced_{};  // before what refers to them
  std::vector<AdapterUse> adapters_{};
  std::unique_ptr<PromptEncoder> prompts_{};
  std::unique_ptr<Denoiser> denoiser_{};
  std::unique_ptr<VaeStage> vae_{};

  struct KnownPrompt {
    std::string prompt{};
    std::optional<std::string> negative{};
    PromptUse use{};
    Prompted prompted{};
  };
  std::optional<KnownPrompt> known_{};
  std::optional<models::PreviewMap> preview_map_{};
};

}  // namespace ingle::diffusion
