#include "text/text_cases.h"

#include <algorithm>
#include <format>

#include "text/clip_text.h"
#include "text/qwen3_text.h"
#include "text/t5_text.h"
#include "text/text_inputs.h"

namespace ingle::text {
namespace {

using base::Result;
using models::Comparison;
using models::GoldenCase;
using models::GoldenTensor;
using Comparisons = std::vector<Comparison>;
using Values = std::map<std::string, std::vector<float>>;

// What is computed, beside the case.
class Judge {
 public:
  explicit Judge(const GoldenCase& golden) : golden_(golden) {}

  // Nothing when the case has no such tensor.
  base::Status compare(std::string_view name, std::span<const float> computed) {
    const auto found = golden_.tensors.find(name);
    if (found == golden_.tensors.end()) return {};
    TRY_ASSIGN(auto comparison, models::compare(name, computed, found->second, golden_.allowed()));
    out_.push_back(std::move(comparison));
    return {};
  }
  Comparisons take() { return std::move(out_); }

 private:
  const GoldenCase& golden_;
  Comparisons out_;
};

struct Texts {
  std::vector<std::int32_t> ids{}, mask{};
  std::int64_t items = 0, tokens = 0;
};

Result<Texts> read_texts(const GoldenCase& golden) {
  TRY_ASSIGN(const auto ids, golden.read("in.input_ids"));
  if (ids.shape.rank() != 2)
    return base::fail(base::ErrorCode::malformed,
                      std::format("'in.input_ids' of case {} has no rows", golden.name));
  Texts out{.ids = ids.ids(), .items = ids.shape[0], .tokens = ids.shape[1]};
  if (const auto mask = golden.read("in.attention_mask")) out.mask = mask->ids();
  return out;
}

const std::atomic<bool> kNeverStop = false;

// [items, width] of [items, tokens, width]: one row of each item.
std::vector<float> rows(std::span<const float> all, const Texts& texts,
                        std::span<const std::size_t> places) {
  const auto tokens = static_cast<std::size_t>(texts.tokens);
  const auto width = all.size() / (static_cast<std::size_t>(texts.items) * tokens);
  std::vector<float> out;
  for (std::size_t item = 0; item < places.size(); ++item) {
    const auto row = all.subspan((item * tokens + places[item]) * width, width);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

Result<Comparisons> run_clip(const GoldenCase& golden, tensor::Executor& executor) {
  TRY_ASSIGN(const auto config, clip_text_config(golden.config));
  TRY_ASSIGN(const auto texts, read_texts(golden));
  const ClipTextSizes sizes{.items = texts.items, .tokens = texts.tokens};
  tensor::Graph graph(golden.weights);
  build_clip_text(graph, config, sizes);
  const tensor::Feed feed{"input_ids", std::span(texts.ids)};
  TRY_ASSIGN(const auto all, models::run_all(executor, golden.weights, graph, {&feed, 1}));
  Judge judge(golden);
  for (const auto& [name, values] : all) {
    TRY(judge.compare("act." + name, values));
    TRY(judge.compare("out." + name, values));
  }
  TRY_ASSIGN(const auto module, executor.open(golden.weights));
  TRY_ASSIGN(const auto encoder, ClipTextEncoder::create(golden.config, golden.weights, *module));
  const auto encode = [&](std::int64_t skip, bool final_norm) {
    return encoder->encode(texts.ids, sizes, {.skip = skip, .final_norm = final_norm}, kNeverStop);
  };
  TRY_ASSIGN(const auto last, encode(0, true));
  TRY(judge.compare("out.last_hidden_state", last.hidden));
  TRY(judge.compare("out.pooler_output", last.pooled));
  TRY(judge.compare("out.text_embeds", last.pooled));
  TRY_ASSIGN(const auto bare, encode(1, false));
  TRY(judge.compare("out.penultimate", bare.hidden));
  TRY_ASSIGN(const auto normed, encode(1, true));
  TRY(judge.compare("out.penultimate_final_ln", normed.hidden));
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < texts.ids.size(); at += static_cast<std::size_t>(texts.tokens))
    ends.push_back(clip_end(
        std::span(texts.ids).subspan(at, static_cast<std::size_t>(texts.tokens)), config.eos));
  TRY(judge.compare("out.pooled_before_projection",
                    rows(all.at("last_hidden_state"), texts, ends)));
  return judge.take();
}

Result<Values> run_t5_graph(const GoldenCase& golden, tensor::Executor& executor,
                            const T5Config& config, const Texts& texts) {
  tensor::Graph graph(golden.weights);
  build_t5(graph, config,
           {.items = texts.items, .tokens = texts.tokens, .masked = !texts.mask.empty()});
  const auto buckets = t5_buckets(config, texts.tokens);
  const auto mask = hiding_mask(texts.mask);
  std::vector<tensor::Feed> feeds = {{"input_ids", std::span(texts.ids)},
                                     {"buckets", std::span(buckets)}};
  if (!mask.empty()) feeds.push_back({"mask", std::span(mask)});
  return models::run_all(executor, golden.weights, graph, feeds);
}

Result<Comparisons> run_t5(const GoldenCase& golden, tensor::Executor& executor) {
  TRY_ASSIGN(const auto config, t5_config(golden.config));
  TRY_ASSIGN(const auto texts, read_texts(golden));
  Judge judge(golden);
  TRY_ASSIGN(const auto all, run_t5_graph(golden, executor, config, texts));
  for (const auto& [name, values] : all)
    TRY(judge.compare(std::format("act.{}.masked", name), values));
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const auto bias = all.find(std::format("position_bias.{}", i));
    if (bias == all.end()) continue;
    // The first and the last row of each head.
    for (const auto& [name, row] :
         {std::pair{"row0", std::int64_t{0}}, {"lastrow", texts.tokens - 1}}) {
      std::vector<float> picked;
      const auto tokens = static_cast<std::size_t>(texts.tokens);
      for (std::size_t head = 0; head < static_cast<std::size_t>(config.heads); ++head) {
        const auto from =
            std::span(bias->second)
                .subspan((head * tokens + static_cast<std::size_t>(row)) * tokens, tokens);
        picked.insert(picked.end(), from.begin(), from.end());
      }
      TRY(judge.compare(std::format("act.block{}.position_bias_{}", i, name), picked));
    }
  }
  TRY_ASSIGN(const auto module, executor.open(golden.weights));
  TRY_ASSIGN(const auto encoder, T5Encoder::create(golden.config, golden.weights, *module));
  TRY_ASSIGN(const auto masked,
             encoder->encode(texts.ids, texts.mask, texts.items, texts.tokens, kNeverStop));
  TRY(judge.compare("out.last_hidden_state.masked", masked.hidden));
  TRY_ASSIGN(const auto unmasked,
             encoder->encode(texts.ids, {}, texts.items, texts.tokens, kNeverStop));
  TRY(judge.compare("out.last_hidden_state.nomask", unmasked.hidden));
  return judge.take();
}

// Tokens of each text that are no filling.
std::vector<std::size_t> lengths(const Texts& texts) {
  std::vector<std::size_t> out;
  const auto tokens = static_cast<std::size_t>(texts.tokens);
  for (std::size_t at = 0; at < texts.ids.size(); at += tokens)
    out.push_back(texts.mask.empty() ? tokens
                                     : static_cast<std::size_t>(std::ranges::count(
                                           std::span(texts.mask).subspan(at, tokens), 1)));
  return out;
}

base::Status compare_qwen3_outputs(Judge& judge, Qwen3Encoder& encoder, const Texts& texts) {
  const auto encode = [&](const Qwen3Layers& layers) {
    return encoder.encode(texts.ids, texts.mask, texts.items, texts.tokens, layers, kNeverStop);
  };
  TRY_ASSIGN(const auto flux2, encode(flux2_layers(encoder.config())));
  TRY(judge.compare("out.flux2_prompt_embeds", flux2.hidden));
  TRY_ASSIGN(const auto z_image, encode(z_image_layers(encoder.config())));
  TRY(judge.compare("out.z_image_hidden", z_image.hidden));
  const auto used = lengths(texts);
  const auto width = static_cast<std::size_t>(z_image.width);
  for (std::size_t item = 0; item < used.size(); ++item)
    TRY(judge.compare(
        std::format("out.z_image_cap_feats.{}", item),
        std::span(z_image.hidden)
            .subspan(item * static_cast<std::size_t>(texts.tokens) * width, used[item] * width)));
  return {};
}

Result<Comparisons> run_qwen3(const GoldenCase& golden, tensor::Executor& executor) {
  TRY_ASSIGN(const auto config, qwen3_config(golden.config));
  TRY_ASSIGN(const auto texts, read_texts(golden));
  tensor::Graph graph(golden.weights);
  build_qwen3(graph, config,
              {.items = texts.items, .tokens = texts.tokens, .masked = !texts.mask.empty()});
  const auto mask = hiding_mask(texts.mask);
  std::vector<tensor::Feed> feeds = {{"input_ids", std::span(texts.ids)}};
  if (!mask.empty()) feeds.push_back({"mask", std::span(mask)});
  TRY_ASSIGN(const auto all, models::run_all(executor, golden.weights, graph, feeds));
  Judge judge(golden);
  for (std::int64_t i = 0; i < config.layers; ++i)
    TRY(judge.compare(std::format("act.layer.{}", i), all.at(std::format("hidden.{}", i + 1))));
  if (all.contains("final_norm")) {
    TRY(judge.compare("act.final_norm", all.at("final_norm")));
    auto ends = lengths(texts);
    for (auto& end : ends) end = std::max<std::size_t>(end, 1) - 1;
    TRY(judge.compare("out.logits_last", rows(all.at("logits"), texts, ends)));
  }
  TRY_ASSIGN(const auto module, executor.open(golden.weights));
  TRY_ASSIGN(const auto encoder, Qwen3Encoder::create(golden.config, golden.weights, *module));
  TRY(compare_qwen3_outputs(judge, *encoder, texts));
  return judge.take();
}

}  // namespace

Result<Comparisons> run_text_case(const GoldenCase& golden, tensor::Executor& executor) {
  if (golden.kind == "clip_text_encoder") return run_clip(golden, executor);
  if (golden.kind == "t5_encoder" || golden.kind == "umt5_encoder") return run_t5(golden, executor);
  if (golden.kind == "qwen3_text_encoder") return run_qwen3(golden, executor);
  return base::fail(
      base::ErrorCode::unsupported,
      std::format("case {} is of kind '{}', which is no text encoder's", golden.name, golden.kind));
}

}  // namespace ingle::text
