#include "weights/adapters.h"

#include <algorithm>
#include <format>
#include <utility>
#include <vector>

#include "base/check.h"
#include "gguf/reader.h"
#include "weights/adapter_keys.h"
#include "weights/joined_weights.h"
#include "weights/safetensors.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;

constexpr std::int64_t kRankMax = 16384;

struct Delta {
  SharedWeights source{};
  std::string down{}, up{};
  std::int64_t rank = 0;
  AdapterTarget target{};
  float scale = 1;
};

// The weights of one part with everything added.
class AdaptedWeights : public tensor::WeightSource {
 public:
  explicit AdaptedWeights(const tensor::WeightSource& base) : base_(base) {}

  void add(Delta delta) { deltas_[delta.target.weight].push_back(std::move(delta)); }

  std::optional<tensor::WeightInfo> find(std::string_view name) const override {
    return base_.find(name);
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    TRY(base_.read(name, begin, end, out));
    const auto found = deltas_.find(name);
    if (found == deltas_.end() || begin == end) return {};
    for (const auto& delta : found->second) TRY(apply(delta, begin, end, out));
    return {};
  }
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    return deltas_.contains(name) ? std::nullopt : base_.stored(name);
  }

 private:
  static base::Status apply(const Delta& delta, std::int64_t begin, std::int64_t end,
                            std::span<float> out) {
    const auto& target = delta.target;
    const auto from = std::max(begin, target.first_row);
    const auto to = std::min(end, target.first_row + target.rows);
    if (from >= to) return {};
    const auto width = out.size() / static_cast<std::size_t>(end - begin);
    const auto rank = static_cast<std::size_t>(delta.rank);
    std::vector<float> down(rank * width);
    std::vector<float> up(static_cast<std::size_t>(to - from) * rank);
    TRY(delta.source->read(delta.down, 0, delta.rank, down));
    const auto shift = target.up_row - target.first_row;
    TRY(delta.source->read(delta.up, from + shift, to + shift, up));
    for (std::size_t row = 0; row < up.size() / rank; ++row) {
      float* to_row = out.data() + (static_cast<std::size_t>(from - begin) + row) * width;
      for (std::size_t r = 0; r < rank; ++r) {
        const float factor = delta.scale * up[row * rank + r];
        const float* from_row = down.data() + r * width;
        for (std::size_t i = 0; i < width; ++i) to_row[i] += factor * from_row[i];
      }
    }
    return {};
  }

  const tensor::WeightSource& base_;
  std::map<std::string, std::vector<Delta>, std::less<>> deltas_;
};

struct Pair {
  std::string down{}, up{}, alpha{};
  std::string first_key{};
};
using Modules = std::map<std::pair<std::string, std::string>, Pair>;  // part and module

Modules modules_of(const NamedWeights& source, std::vector<std::string>& unknown) {
  Modules out;
  for (const auto& name : source.names()) {
    const auto key = read_adapter_key(name);
    if (!key) {
      unknown.push_back(name);
      continue;
    }
    auto& pair = out[{key->part, key->module}];
    if (pair.first_key.empty()) pair.first_key = name;
    (key->matrix == Matrix::down ? pair.down
     : key->matrix == Matrix::up ? pair.up
                                 : pair.alpha) = name;
  }
  return out;
}

std::int64_t rows_of(const tensor::Shape& shape) { return shape.rank() == 0 ? 1 : shape[0]; }

std::unexpected<base::Error> misfit(const std::filesystem::path& file, std::string_view key,
                                    std::string what) {
  return base::fail(ErrorCode::model_broken,
                    std::format("adapter {}: '{}' {}", file.native(), gguf::escaped(key), what));
}

// diffusers keeps the settings of the training in the header's texts, as JSON: "unet.lora_alpha".
base::Result<Config> settings_of(const AdapterChoice& choice, const WeightsFile& file) {
  const auto text = file.metadata.find("lora_adapter_metadata");
  if (text == file.metadata.end()) return Config();
  auto out = Config::parse(text->second);
  if (!out)
    return base::fail(std::move(out).error().with_context(
        std::format("reading lora_adapter_metadata of {}", choice.file.native())));
  return out;
}

std::optional<double> alpha_of(const Config& settings, const std::string& role) {
  const auto key = role + ".lora_alpha";
  return settings.has(key) ? std::optional(settings.number(key, 0)) : std::nullopt;
}

// Adds the adapters of one file to the parts of a model.
class Adding {
 public:
  Adding(const ModelFiles& model, std::map<std::string, std::unique_ptr<AdaptedWeights>>& out)
      : model_(model), out_(out) {
    for (const auto& [role, part] : model.parts)
      if (part.weights) targets_.try_emplace(role, part);
  }

  base::Status add(const AdapterChoice& choice) {
    TRY_ASSIGN(auto file, open_safetensors_file(choice.file));
    const SharedWeights source = std::move(file.weights);
    TRY_ASSIGN(const auto settings, settings_of(choice, file));
    std::vector<std::string> unknown;
    for (const auto& [place, pair] : modules_of(*source, unknown)) {
      const auto role = role_of(place.first);
      const auto targets = targets_.find(role);
      auto weights = targets != targets_.end() ? targets->second.find(place.second)
                                               : std::vector<AdapterTarget>{};
      if (weights.empty()) {
        unknown.push_back(pair.first_key);
        continue;
      }
      TRY(add_pair(choice, source, pair, role, alpha_of(settings, role), std::move(weights)));
    }
    if (unknown.empty()) return {};
    return base::fail(
        ErrorCode::model_broken,
        std::format("adapter {} does not fit the model: '{}'{} is nothing that it has; is it made "
                    "for another family, or of another kind than LoRA?",
                    choice.file.native(), gguf::escaped(unknown.front()),
                    unknown.size() > 1 ? std::format(" (and {} more)", unknown.size() - 1) : ""));
  }

 private:
  std::string role_of(const std::string& part) const {
    if (part != "net") return part;
    return model_.parts.contains("unet") ? "unet" : "transformer";
  }

  base::Status add_pair(const AdapterChoice& choice, const SharedWeights& source, const Pair& pair,
                        const std::string& role, std::optional<double> alpha_told,
                        std::vector<AdapterTarget> targets) {
    if (pair.down.empty() || pair.up.empty())
      return misfit(choice.file, pair.first_key, "has no second matrix");
    const auto down = source->find(pair.down)->shape;
    const auto up = source->find(pair.up)->shape;
    const auto& base = *model_.parts.at(role).weights;
    const auto weight = base.find(targets.front().weight)->shape;
    const auto rank = rows_of(down);
    std::int64_t rows = 0;
    for (const auto& target : targets) rows += target.rows;
    if (rank > kRankMax || up.elements() != rows * rank || rows_of(up) != rows ||
        down.elements() / rank != weight.elements() / rows_of(weight))
      return misfit(choice.file, pair.down,
                    std::format("of shape {} with {} does not fit {} of shape {}", down.text(),
                                up.text(), targets.front().weight, weight.text()));
    float alpha = static_cast<float>(alpha_told.value_or(static_cast<double>(rank)));
    if (!pair.alpha.empty()) {
      if (source->find(pair.alpha)->shape.elements() != 1)
        return misfit(choice.file, pair.alpha, "is no single number");
      TRY(source->read(pair.alpha, 0, 1, {&alpha, 1}));
    }
    auto& adapted = out_[role];
    if (!adapted) adapted = std::make_unique<AdaptedWeights>(base);
    const auto scale = static_cast<float>(choice.weight) * alpha / static_cast<float>(rank);
    for (auto& target : targets)
      adapted->add({source, pair.down, pair.up, rank, std::move(target), scale});
    return {};
  }

  const ModelFiles& model_;
  std::map<std::string, std::unique_ptr<AdaptedWeights>>& out_;
  std::map<std::string, AdapterTargets> targets_;
};

}  // namespace

base::Result<std::map<std::string, std::unique_ptr<tensor::WeightSource>>> with_adapters(
    const ModelFiles& model, std::span<const AdapterChoice> adapters) {
  std::map<std::string, std::unique_ptr<AdaptedWeights>> adapted;
  Adding adding(model, adapted);
  for (const auto& choice : adapters) TRY(adding.add(choice));
  std::map<std::string, std::unique_ptr<tensor::WeightSource>> out;
  for (auto& [role, weights] : adapted) out.emplace(role, std::move(weights));
  return out;
}

}  // namespace ingle::weights
