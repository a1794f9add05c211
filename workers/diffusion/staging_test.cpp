// Goal: parts that take turns draw the same bits as parts that stay, what goes is really given
// back, parts run where they are told to, and a load that fails or is stopped leaves a pipeline
// that draws as before. Method: golden tiny models, and weights of many MiB whose memory the system
// is asked for; on the executors for the processor.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "diffusion/drawing.h"
#include "diffusion/family.h"
#include "diffusion/model_loading.h"
#include "diffusion/pipeline.h"
#include "platform/system.h"
#include "tensor/ggml_executor.h"
#include "tensor/onednn.h"
#include "tensor/random_weights.h"
#include "testing/temp_folder.h"

namespace ingle::diffusion {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using OwnedExecutor = std::unique_ptr<tensor::Executor>;

constexpr std::uint64_t kMib = 1 << 20;

OwnedExecutor onednn() {
  return *tensor::make_onednn_executor({.precision = tensor::Precision::f32, .threads = 1});
}
OwnedExecutor ggml() {
  return *tensor::make_ggml_executor(
      {.device = "CPU", .threads = 1, .weights = tensor::GgmlWeights::f32});
}

std::unique_ptr<Pipeline> open(const fs::path& folder, const PartDevices& devices,
                               Residency residency) {
  auto files = weights::open_model({.model = folder});
  EXPECT_TRUE(files) << files.error().text();
  if (!files) return nullptr;
  auto made = Pipeline::create(*std::move(files), devices,
                               {.precision = tensor::Precision::f32, .residency = residency});
  EXPECT_TRUE(made) << made.error().text();
  return made ? *std::move(made) : nullptr;
}

fs::path golden(std::string_view name) { return fs::path(INGLE_GOLDEN) / name; }

Request small(std::uint64_t seed = 1) {
  return {.prompt = "a photo of a cat", .width = 48, .height = 64, .steps = 2, .seed = seed};
}

struct Drawn {
  std::vector<Picture> pictures{};
  std::vector<std::string> loads{};  // roles, in order
  base::Status status{};
};

Drawn draw(Pipeline& pipeline, const Request& request, std::string_view stop_at = {}) {
  Drawn out;
  std::atomic<bool> stop = false;
  const Observer observer{
      .progress =
          [&](const Progress& progress) {
            if (progress.loading.empty()) return;
            if (out.loads.empty() || out.loads.back() != progress.loading)
              out.loads.emplace_back(progress.loading);
            if (progress.loading == stop_at) stop = true;
          },
      .picture = [&](std::int64_t, std::uint64_t,
                     Picture made) { out.pictures.push_back(std::move(made)); }};
  out.status = pipeline.generate(request, observer, stop);
  return out;
}

using Words = std::vector<std::string>;

std::vector<std::string> in_memory(const Pipeline& pipeline) {
  std::vector<std::string> out;
  for (const auto& part : pipeline.memory().parts)
    if (part.weights_bytes > 0) out.push_back(part.role);
  return out;
}

Picture gradient(std::int64_t width, std::int64_t height) {
  Picture out{.width = width, .height = height};
  for (std::int64_t i = 0; i < width * height * 3; ++i)
    out.data.push_back(static_cast<std::uint8_t>(i % 251));
  return out;
}

class StagedFamily : public ::testing::TestWithParam<const char*> {};

TEST_P(StagedFamily, DrawsTheSameBits) {
  const auto executor = onednn(), other = onednn();
  const auto resident = open(golden(GetParam()), *executor, Residency::resident);
  const auto staged = open(golden(GetParam()), *other, Residency::staged);
  ASSERT_TRUE(resident && staged);
  EXPECT_EQ(staged->memory().weights_bytes(), 0u);
  std::vector<Request> requests(4, small());
  requests[1].count = 2;
  requests[1].preview_every = 1;
  requests[2].image = gradient(48, 64);
  requests[2].strength = 0.6;
  requests[3].hires = {.scale = 1.5, .pixels = true};
  for (const auto& request : requests) {
    const auto expected = draw(*resident, request), got = draw(*staged, request);
    ASSERT_TRUE(got.status) << got.status.error().text();
    EXPECT_EQ(got.pictures, expected.pictures);
    EXPECT_EQ(std::ssize(got.pictures), request.count);
    if (!request.image) {
      EXPECT_TRUE(expected.loads.empty());
    }
    EXPECT_EQ(in_memory(*staged), Words{"vae"});
    EXPECT_LT(staged->memory().peak_bytes, resident->memory().total_bytes());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, StagedFamily,
                         ::testing::Values("full_sd15", "full_sdxl", "full_flux_schnell"));

TEST(Staging, PartsComeInTheOrderOfTheirStages) {
  const auto executor = onednn();
  const auto staged = open(golden("full_sd15"), *executor, Residency::staged);
  ASSERT_TRUE(staged);
  EXPECT_EQ(draw(*staged, small()).loads, (Words{"text_encoder", "unet", "vae"}));
  // Known words need no encoder; several pictures are drawn before any is decoded.
  auto request = small(5);
  request.count = 3;
  EXPECT_EQ(draw(*staged, request).loads, (Words{"unet", "vae"}));
  // The VAE is there, and looks at the picture first, for which it needs its other half.
  request.image = gradient(48, 64);
  request.prompt = "a dog";
  EXPECT_EQ(draw(*staged, request).loads, (Words{"vae", "text_encoder", "unet", "vae"}));
}

// Pipelines without text encoders: numbers for a prompt.
class StagedDrawing : public ::testing::TestWithParam<const char*> {};

TEST_P(StagedDrawing, GivesTheSameLatentsAndPixels) {
  const auto files = *weights::open_model({.model = golden(GetParam())});
  const auto family = *recognise(files);
  const auto executor = onednn();
  const auto run = [&](Residency residency) {
    PartStore store(*executor, residency);
    const auto role = denoiser_role(family);
    const auto denoiser = *make_denoiser(**files.part(role), store.executor(role));
    const auto vae = *VaeStage::create(**files.part("vae"), store.executor("vae"));
    auto condition = blank_condition(family, files, denoiser->traits());
    fill_normal(3, 1, 0, condition.context);
    const auto map = vae->map_of(64, 64);
    const auto config = *scheduler_config((*files.part("scheduler"))->config);
    const auto side = denoiser->traits().tokens_per_side;
    const Drawing drawing{
        .size = map,
        .scheduler = config,
        .plan = schedule_plan(family, config, map.height / side * (map.width / side), 2),
        .positive = &condition};
    SeededNoise noise(9);
    const std::atomic<bool> stop = false;
    const auto latents = diffusion::draw(*denoiser, *vae, drawing, noise, stop);
    EXPECT_TRUE(latents) << latents.error().text();
    return vae->decode(*latents, map, Tiling::whole, stop)->data;
  };
  EXPECT_EQ(run(Residency::staged), run(Residency::resident));
}

INSTANTIATE_TEST_SUITE_P(Models, StagedDrawing,
                         ::testing::Values("pipe_sd15", "pipe_sdxl", "pipe_flux_dev",
                                           "pipe_flux_schnell", "pipe_flux2_klein",
                                           "pipe_z_image"));

std::uint64_t resident_bytes() { return platform::read_process_memory(::getpid())->resident_bytes; }

class GivenBack : public ::testing::TestWithParam<OwnedExecutor (*)()> {};

TEST_P(GivenBack, WhatGoesIsTheSystemsAgain) {
  constexpr std::int64_t kSide = 4096;  // 64 MiB of f32
  const auto executor = GetParam()();
  PartStore store(*executor, Residency::staged);
  tensor::RandomWeights weights;
  weights.add("a.weight", {kSide, kSide});
  const std::vector<std::string> outputs{"out"};
  struct Part {
    std::unique_ptr<tensor::Module> module{};
    std::unique_ptr<tensor::Program> program{};
  };
  const auto open_part = [&](std::string_view role) {
    Part out{.module = *store.executor(role).open(weights)};
    tensor::Graph graph(weights);
    const auto input = graph.input("in", {64, kSide});
    graph.output("out", graph.linear(input, graph.weight("a.weight", {kSide, kSide})));
    out.program = *out.module->compile(graph, outputs);
    return out;
  };
  const auto text = open_part("text_encoder"), unet = open_part("unet"), vae = open_part("vae");
  const std::vector<float> in(64 * kSide, 0.5f);
  std::vector<float> out(64 * kSide);
  const auto run = [&](const Part& part) {
    const tensor::Feed feeds[]{{"in", std::span<const float>(in)}};
    const tensor::Fetch fetches[]{{"out", out}};
    const std::atomic<bool> stop = false;
    const auto done = part.program->run(feeds, fetches, stop);
    ASSERT_TRUE(done) << done.error().text();
  };
  run(text);  // libraries take what they keep with the first run
  run(vae);
  const auto before = resident_bytes();
  EXPECT_EQ(text.module->memory().weights_bytes, 0u);
  EXPECT_EQ(vae.module->memory().weights_bytes, 64 * kMib);
  for (int round = 0; round < 3; ++round)
    for (const auto* part : {&text, &unet, &vae}) {
      run(*part);
      EXPECT_EQ(store.memory().weights_bytes(), 64 * kMib);
      EXPECT_LT(resident_bytes(), before + 16 * kMib);
    }
  EXPECT_GT(store.memory().peak_bytes, 64 * kMib);
  EXPECT_LT(store.memory().peak_bytes, 72 * kMib);
  EXPECT_NE(out[0], 0);
}

INSTANTIATE_TEST_SUITE_P(Executors, GivenBack, ::testing::Values(&onednn, &ggml));

int largest_difference(const Picture& a, const Picture& b) {
  int out = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i)
    out = std::max(out, std::abs(int{a.data[i]} - int{b.data[i]}));
  return out;
}

TEST(Staging, PartsRunWhereTheyAreToldTo) {
  const auto processor = onednn(), second = ggml(), alone = onednn();
  const PartDevices::Device here{processor.get(), "host"}, there{second.get(), "card"};
  const auto expected = draw(*open(golden("full_sd15"), *alone, Residency::resident), small());
  const auto mixed = open(golden("full_sd15"), {there, here, there}, Residency::resident);
  const auto got = draw(*mixed, small());
  ASSERT_TRUE(got.status) << got.status.error().text();
  EXPECT_LE(largest_difference(got.pictures.at(0), expected.pictures.at(0)), 1);
  EXPECT_GT(second->memory().activations_bytes, 0u);
  EXPECT_GT(processor->memory().activations_bytes, 0u);
  EXPECT_EQ(mixed->memory().activations_bytes,
            second->memory().activations_bytes + processor->memory().activations_bytes);
  // Only what shares a memory takes turns: the UNet has its own here.
  const auto staged = open(golden("full_sd15"), {there, here, there}, Residency::staged);
  EXPECT_EQ(draw(*staged, small()).pictures, got.pictures);
  EXPECT_EQ(in_memory(*staged), (Words{"unet", "vae"}));
  EXPECT_EQ(draw(*staged, small(4)).loads, Words{});
}

TEST(Staging, AStopIsTakenWhileAPartIsLoaded) {
  const auto executor = onednn();
  const auto staged = open(golden("full_flux_schnell"), *executor, Residency::staged);
  const auto expected = draw(*staged, small());
  ASSERT_TRUE(expected.status);
  for (const auto* role : {"text_encoder_2", "transformer", "vae"}) {
    auto other = small();
    other.prompt = std::string("something else for ") + role;
    const auto stopped = draw(*staged, other, role);
    ASSERT_FALSE(stopped.status);
    EXPECT_EQ(stopped.status.error().code, ErrorCode::cancelled);
    EXPECT_EQ(stopped.loads.back(), role);
    EXPECT_TRUE(stopped.pictures.empty());
  }
  EXPECT_EQ(draw(*staged, small()).pictures, expected.pictures);
}

// What a part was before its file became shorter is not what it is after.
TEST(Staging, APartWhoseFileIsCutFailsAndComesBack) {
  const testing::TempFolder dir;
  const auto folder = dir / "model";
  fs::copy(golden("full_sd15"), folder, fs::copy_options::recursive);
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    fs::permissions(entry, fs::perms::owner_write, fs::perm_options::add);
  const auto executor = onednn();
  const auto staged = open(folder, *executor, Residency::staged);
  const auto expected = draw(*staged, small());
  ASSERT_TRUE(expected.status) << expected.status.error().text();
  const auto file = folder / "unet" / "diffusion_pytorch_model.safetensors";
  std::string content;
  {
    std::ifstream in(file, std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  fs::resize_file(file, content.size() / 2);
  const auto failed = draw(*staged, small());
  ASSERT_FALSE(failed.status);
  EXPECT_EQ(failed.status.error().code, ErrorCode::io_error) << failed.status.error().text();
  EXPECT_NE(failed.status.error().text().find("unet"), std::string::npos);
  EXPECT_EQ(in_memory(*staged), Words{});
  std::ofstream(file, std::ios::binary | std::ios::in | std::ios::out) << content;
  EXPECT_EQ(draw(*staged, small()).pictures, expected.pictures);
  // A file that was deleted is still there for who has it open.
  fs::remove(file);
  EXPECT_EQ(draw(*staged, small()).pictures, expected.pictures);
}

// An executor whose memory ends when it is told so.
class Scarce final : public tensor::Executor {
 public:
  bool full = false;
  base::Result<std::unique_ptr<tensor::Module>> open(const tensor::WeightSource& source) override {
    TRY_ASSIGN(auto inner, inner_->open(source));
    return std::make_unique<Module>(*this, std::move(inner));
  }
  std::string name() const override { return inner_->name(); }
  tensor::MemoryUse memory() const override { return inner_->memory(); }
  void trim() override { inner_->trim(); }

 private:
  struct Module final : public tensor::Module {
    Module(const Scarce& of, std::unique_ptr<tensor::Module> made)
        : owner(of), inner(std::move(made)) {}
    base::Result<std::unique_ptr<tensor::Program>> compile(
        const tensor::Graph& graph, std::span<const std::string> outputs,
        const tensor::PackProgress& progress) override {
      if (owner.full) return base::fail(ErrorCode::out_of_memory, "there is no room");
      return inner->compile(graph, outputs, progress);
    }
    tensor::MemoryUse memory() const override { return inner->memory(); }
    const Scarce& owner;
    std::unique_ptr<tensor::Module> inner;
  };
  OwnedExecutor inner_ = onednn();
};

TEST(Staging, APartThatFindsNoRoomFailsAndComesBack) {
  Scarce executor;
  const auto staged = open(golden("full_sd15"), executor, Residency::staged);
  const auto expected = draw(*staged, small());
  ASSERT_TRUE(expected.status);
  executor.full = true;
  const auto failed = draw(*staged, small(2));
  ASSERT_FALSE(failed.status);
  EXPECT_EQ(failed.status.error().code, ErrorCode::out_of_memory);
  EXPECT_EQ(in_memory(*staged), Words{});
  executor.full = false;
  EXPECT_EQ(draw(*staged, small()).pictures, expected.pictures);
}

}  // namespace
}  // namespace ingle::diffusion
