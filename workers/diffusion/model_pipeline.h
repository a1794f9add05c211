// ModelPipeline: the pipeline over a model's files: prompts, denoiser, VAE and scheduler of one
// family, and what is kept between pictures. One thread.
//
// Kept: packed weights, as part_store.h says; programs of the sizes lately used; the last prompts,
// encoded; the map of previews, once one was asked for; the adapters in use. Nothing of a picture
// outlives its request.
#pragma once

#include <list>
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
  static constexpr std::size_t kPromptsMax = 4;  // kept encoded; the one not used for longest goes

  static base::Result<std::unique_ptr<ModelPipeline>> create(weights::ModelFiles files,
                                                             PartDevices devices,
                                                             PipelineOptions options);
  const ModelInfo& info() const override { return info_; }
  base::Status generate(const Request& request, const Observer& observer,
                        const std::atomic<bool>& stop) override;
  PipelineMemory memory() const override { return store_.memory(); }

 private:
  // What a request means here, the same for all of its pictures.
  struct Job;
  // Of one picture, before it is decoded.
  struct Latents {
    MapSize size{};
    std::vector<float> values{};
    std::int64_t steps = 0;
  };

  ModelPipeline(weights::ModelFiles files, PartDevices devices, Residency residency)
      : files_(std::make_unique<weights::ModelFiles>(std::move(files))),
        store_(std::move(devices), residency) {}
  base::Status open();
  base::Status warm(const PipelineOptions& options);

  base::Status use_adapters(const std::vector<AdapterUse>& adapters);
  base::Status replace_weights(const ReplacedWeights& replaced);
  base::Status encode_prompt(const Request& request, Job& job, const std::atomic<bool>& stop);
  base::Status prepare_images(const Request& request, Job& job, const std::atomic<bool>& stop);
  void prepare_previews(const std::atomic<bool>& stop);
  base::Status choose(const Request& request, Job& job) const;
  SchedulePlan plan(const Job& job, const MapSize& size, std::int64_t steps) const;
  Drawing drawing_of(const Job& job) const;
  base::Status draw_all(const Job& job, const Observer& observer, const std::atomic<bool>& stop);
  base::Result<Latents> draw_latents(const Job& job, std::int64_t index, const Observer& observer,
                                     const std::atomic<bool>& stop);
  base::Result<Picture> decode(const Job& job, const Latents& latents,
                               const std::atomic<bool>& stop);
  base::Result<std::vector<float>> second_pass(const Job& job, Drawing& drawing,
                                               std::vector<float> latents, NoiseSource& noise,
                                               const std::atomic<bool>& stop);
  std::optional<Picture> preview(std::span<const float> latents, const MapSize& size) const;
  void count_caches();

  std::unique_ptr<weights::ModelFiles> files_;  // parts refer to it
  // Weights with adapters. The last are in use; earlier ones are there only while parts may still
  // refer to them.
  std::list<ReplacedWeights> replaced_{};
  PartStore store_;
  Family family_{};
  ModelInfo info_{};
  SchedulerConfig scheduler_{};
  // In use; nothing: it is not known which, since they could not be replaced.
  std::optional<std::vector<AdapterUse>> adapters_ = std::vector<AdapterUse>{};
  std::unique_ptr<PromptEncoder> prompts_{};
  std::unique_ptr<Denoiser> denoiser_{};
  std::unique_ptr<VaeStage> vae_{};

  struct KnownPrompt {
    std::string prompt{};
    std::optional<std::string> negative{};
    PromptUse use{};
    Prompted prompted{};
  };
  std::list<KnownPrompt> known_{};  // the latest first
  std::optional<models::PreviewMap> preview_map_{};
};

}  // namespace ingle::diffusion
