// Goal: from a prompt to what a picture model is given, as the reference pipelines do it. Method:
// the prompts of the golden model folders, through tokenizer and encoder, in f32.
#include <gtest/gtest.h>

#include "models/golden_case.h"
#include "tensor/reference.h"
#include "text/clip_text.h"
#include "text/prompt_chunks.h"
#include "text/t5_text.h"

namespace ingle::text {
namespace {

using models::GoldenTensor;

const std::filesystem::path kGolden = INGLE_GOLDEN;
constexpr double kAllowed = 5e-5;
const std::atomic<bool> kNeverStop = false;

// A model folder's encoder with its tokenizer.
template <class Encoder>
struct Pair {
  Pair(const std::filesystem::path& folder, std::string_view number, TokenizerKind kind)
      : tokenizer(open_tokenizer(folder / std::format("tokenizer{}", number), kind).value()) {
    const auto path = folder / std::format("text_encoder{}", number);
    for (auto& [name, weight] : models::load_tensors(path / "model.safetensors").value())
      weights.add(name, weight.shape, weight.data);
    module = executor->open(weights).value();
    encoder = Encoder::create(weights::Config::load(path / "config.json").value(), weights, *module)
                  .value();
  }
  std::unique_ptr<Tokenizer> tokenizer;
  tensor::MemoryWeights weights;
  std::unique_ptr<tensor::Executor> executor = tensor::make_reference_executor();
  std::unique_ptr<tensor::Module> module;
  std::unique_ptr<Encoder> encoder;
};

struct Folder {
  explicit Folder(std::string_view name)
      : path(kGolden / name),
        tensors(models::load_tensors(path / "io.safetensors").value()),
        request(weights::Config::load(path / "prompts.json").value()) {}

  void expect(std::string_view name, std::span<const float> computed) const {
    const auto done = models::compare(name, computed, tensors.find(name)->second, kAllowed);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_TRUE(done->good()) << done->text();
  }
  std::filesystem::path path;
  models::GoldenTensors tensors;
  weights::Config request;
};

// Prompt and negative prompt, as one batch.
Ids both_ids(const Folder& folder, const Tokenizer& tokenizer) {
  Ids out;
  for (const auto* key : {"prompt", "negative_prompt"}) {
    const auto chunks = chunk_prompt(tokenizer, folder.request.text(key), {}).value();
    EXPECT_EQ(chunks.count(), 1u);
    out.insert(out.end(), chunks.ids.begin(), chunks.ids.end());
  }
  return out;
}

TEST(PipelineText, StableDiffusion) {
  const Folder folder("full_sd15");
  const Pair<ClipTextEncoder> clip(folder.path, "", TokenizerKind::clip);
  const auto ids = both_ids(folder, *clip.tokenizer);
  EXPECT_EQ(ids, folder.tensors.find("out.input_ids")->second.ids());
  const auto out = clip.encoder->encode(ids, {.items = 2}, {.pooled = false}, kNeverStop).value();
  EXPECT_TRUE(out.pooled.empty());
  const auto half = out.hidden.size() / 2;
  folder.expect("out.prompt_embeds", std::span(out.hidden).first(half));
  folder.expect("out.negative_prompt_embeds", std::span(out.hidden).subspan(half));
  const auto skipped = clip.encoder->encode(ids, {.items = 2}, {.skip = 1}, kNeverStop).value();
  folder.expect("out.clip_skip.prompt_embeds", std::span(skipped.hidden).first(half));
  EXPECT_FALSE(clip.encoder->encode(ids, {.items = 2}, {.skip = 99}, kNeverStop));
  EXPECT_FALSE(clip.encoder->encode(Ids(154, 5000), {.items = 2}, {}, kNeverStop));
}

TEST(PipelineText, StableDiffusionXl) {
  const Folder folder("full_sdxl");
  const Pair<ClipTextEncoder> large(folder.path, "", TokenizerKind::clip);
  const Pair<ClipTextEncoder> giant(folder.path, "_2", TokenizerKind::clip);
  const auto large_ids = both_ids(folder, *large.tokenizer);
  const auto giant_ids = both_ids(folder, *giant.tokenizer);
  EXPECT_EQ(large_ids, folder.tensors.find("out.ids_1")->second.ids());
  EXPECT_EQ(giant_ids, folder.tensors.find("out.ids_2")->second.ids());
  const ClipHidden penultimate{.skip = 1, .final_norm = false};
  const auto a = large.encoder->encode(large_ids, {.items = 2}, penultimate, kNeverStop).value();
  const auto b = giant.encoder->encode(giant_ids, {.items = 2}, penultimate, kNeverStop).value();
  std::vector<float> rows;
  for (std::size_t row = 0; row < large_ids.size(); ++row)
    for (const auto* from : {&a, &b}) {
      const auto width = static_cast<std::size_t>(from->width);
      const auto part = std::span(from->hidden).subspan(row * width, width);
      rows.insert(rows.end(), part.begin(), part.end());
    }
  folder.expect("out.prompt_embeds", std::span(rows).first(rows.size() / 2));
  folder.expect("out.negative_prompt_embeds", std::span(rows).subspan(rows.size() / 2));
  const auto pooled = static_cast<std::size_t>(b.pooled_width);
  folder.expect("out.pooled_prompt_embeds", std::span(b.pooled).first(pooled));
  folder.expect("out.negative_pooled_prompt_embeds", std::span(b.pooled).subspan(pooled));
}

TEST(PipelineText, FluxSchnell) {
  const Folder folder("full_flux_schnell");
  const Pair<ClipTextEncoder> clip(folder.path, "", TokenizerKind::clip);
  const Pair<T5Encoder> t5(folder.path, "_2", TokenizerKind::unigram);
  const auto prompt = folder.request.text("prompt");
  const auto length = folder.request.integer("max_sequence_length", 0);
  const auto clip_ids =
      chunk_prompt(*clip.tokenizer, prompt, {.syntax = false, .long_prompts = false}).value().ids;
  const auto t5_ids = fitted(t5.tokenizer->specials(), t5.tokenizer->encode(prompt).value(),
                             static_cast<std::size_t>(length));
  EXPECT_EQ(clip_ids, folder.tensors.find("out.clip_ids")->second.ids());
  EXPECT_EQ(t5_ids, folder.tensors.find("out.t5_ids")->second.ids());
  folder.expect("out.pooled_prompt_embeds",
                clip.encoder->encode(clip_ids, {}, {}, kNeverStop).value().pooled);
  folder.expect("out.prompt_embeds",
                t5.encoder->encode(t5_ids, {}, 1, length, kNeverStop).value().hidden);
}

}  // namespace
}  // namespace ingle::text
