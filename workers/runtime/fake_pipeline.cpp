#include "runtime/fake_pipeline.h"

#include <condition_variable>
#include <cstdlib>
#include <format>
#include <mutex>

#include "base/clock.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using base::fail;
using diffusion::Picture;
using diffusion::Progress;
using diffusion::Stage;

constexpr base::Millis kSlowStep{50};

// A little of everything that was asked for, spread over the pixels.
Picture paint(const diffusion::Request& request, std::int64_t width, std::int64_t height,
              std::uint64_t seed) {
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (const char letter : request.prompt + "\n" + request.negative_prompt)
    state = (state ^ static_cast<unsigned char>(letter)) * 0x100000001b3ull;
  if (request.image)
    for (const auto byte : request.image->data) state = (state ^ byte) * 0x100000001b3ull;
  Picture out{.width = width, .height = height};
  out.data.resize(static_cast<std::size_t>(width * height * 3));
  for (auto& byte : out.data) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::uint8_t>(state);
  }
  return out;
}

class FakePipeline final : public diffusion::Pipeline {
 public:
  FakePipeline() {
    info_ = {.family = "fake",
             .width = 64,
             .height = 64,
             .multiple = 8,
             .steps = 4,
             .guidance = 7,
             .sampler = "euler"};
  }
  const diffusion::ModelInfo& info() const override { return info_; }
  diffusion::PipelineMemory memory() const override {
    return {.parts = {{"transformer", 1 << 19}, {"vae", 1 << 19}},
            .activations_bytes = 2 << 20,
            .scratch_bytes = 3 << 10,
            .peak_bytes = 4 << 20};
  }
  base::Status generate(const diffusion::Request& request, const diffusion::Observer& observer,
                        const std::atomic<bool>& stop) override {
    if (request.prompt.contains("crashes")) std::abort();
    if (!request.sampler.empty() && request.sampler != "euler")
      return fail(ErrorCode::invalid_argument,
                  std::format("sampler '{}' is unknown; there is euler", request.sampler));
    const auto steps = request.steps > 0 ? request.steps : info_.steps;
    const auto width = request.width > 0 ? request.width : info_.width;
    const auto height = request.height > 0 ? request.height : info_.height;
    observer.progress({.stage = Stage::encode_prompt});
    for (std::int64_t i = 0; i < request.count; ++i) {
      const auto result =
          paint(request, width, height, request.seed + static_cast<std::uint64_t>(i));
      const auto preview = paint(request, std::max<std::int64_t>(width / 8, 1),
                                 std::max<std::int64_t>(height / 8, 1), request.seed);
      for (std::int64_t step = 1; step <= steps; ++step) {
        if (request.prompt.contains("slow")) rest();
        if (stop.load()) return fail(ErrorCode::cancelled, "the drawing was stopped");
        if (request.prompt.contains("fails"))
          return fail(ErrorCode::out_of_memory, "the fake has no memory left, as it was told");
        const bool shows = request.preview_every > 0 && step % request.preview_every == 0;
        observer.progress({.stage = Stage::denoise,
                           .picture = i,
                           .step = step,
                           .steps = steps,
                           .preview = shows ? &preview : nullptr});
      }
      observer.progress({.stage = Stage::decode, .picture = i, .step = steps, .steps = steps});
      observer.picture(i, request.seed + static_cast<std::uint64_t>(i), result);
    }
    return {};
  }

 private:
  // Time that a real step would take; nothing ends it sooner.
  static void rest() {
    std::mutex nobody;
    std::condition_variable never;
    std::unique_lock lock(nobody);
    never.wait_for(lock, kSlowStep, [] { return false; });
  }

  diffusion::ModelInfo info_;
};

}  // namespace

std::unique_ptr<diffusion::Pipeline> make_fake_pipeline() {
  return std::make_unique<FakePipeline>();
}

Loader make_fake_loader(std::filesystem::path model) {
  return [model = std::move(model)](const LoadProgress& progress) -> base::Result<Loaded> {
    std::error_code ignored;
    if (!std::filesystem::exists(model, ignored))
      return fail(ErrorCode::model_broken, "there is no " + model.native());
    progress(1, 1);
    return Loaded{.pipeline = make_fake_pipeline(), .executor_name = "fake", .samplers = {"euler"}};
  };
}

}  // namespace ingle::runtime
