// What a model of one file does not say, from its family: the pipeline, the scheduler, the scale of
// the latents. Pure. Any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "weights/model_files.h"
#include "weights/named_weights.h"

namespace ingle::weights {

// Sets the pipeline and the index, and adds a scheduler, when there is a UNet or a transformer.
// SD2 and SDXL models that predict v are told by the file's texts ("modelspec.prediction_type"), by
// a tensor "v_pred", and SD2 by its name: without "base", "turbo" or "512" it predicts v.
void add_family_defaults(const NamedWeights& source,
                         const std::map<std::string, std::string, std::less<>>& metadata,
                         std::string_view file_name, ModelFiles& model);

// A decoder of four channels without a configuration of its own has the scale of its pipeline.
void set_latent_scale(std::string_view pipeline, Part& vae);

}  // namespace ingle::weights
