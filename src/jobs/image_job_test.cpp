// Goal: a drawing's pictures are kept as they come, its progress counts steps, and every way in
// which a worker can fail is told. Method: the runner on virtual time, with a host that always has
// the model and a worker that answers with given frames.
#include <gtest/gtest.h>

#include <format>

#include "jobs/job_kinds.h"
#include "protocol/codec.h"
#include "protocol/frames.h"
#include "testing/fake_worker.h"

namespace ingle::jobs {
namespace {

using base::ErrorCode;
using base::Result;
using protocol::FrameKind;

struct FakeRun final : JobRun {
  const protocol::JobRequest& request() const override { return asked; }
  const protocol::ModelInfo& model() const override { return info; }
  base::CancelToken cancel() const override { return stop.token(); }
  void report(Report report) override { reports.push_back(std::move(report)); }
  const std::string& id() const override { return name; }
  const JobFiles& files() const override { return sent; }
  void show(protocol::ImageResult so_far) override { shown.push_back(std::move(so_far)); }

  protocol::JobRequest asked{.kind = protocol::JobKind::image, .image = protocol::ImageRequest{}};
  protocol::ModelInfo info{.id = "sd", .kind = protocol::ModelKind::image};
  base::CancelSource stop;
  std::vector<Report> reports;
  std::vector<protocol::ImageResult> shown;
  std::string name{"job-7"};
  JobFiles sent{};
};

// Always has the model.
struct FakeHost final : engines::ModelHost {
  base::Task<Result<std::unique_ptr<engines::Lease>>> acquire(
      std::string, engines::AcquireOptions options) override {
    set = options.set;
    auto lease = std::make_unique<ingle::testing::FakeLease>();
    if (worker_dies) lease->gone.cancel();
    co_return lease;
  }
  base::Task<Result<protocol::LoadPlan>> explain(std::string, std::vector<std::string>) override {
    co_return protocol::LoadPlan{};
  }
  base::Task<Result<protocol::LoadPlan>> can_run(catalog::ModelRecord) override {
    co_return protocol::LoadPlan{};
  }
  base::Task<Result<protocol::UnloadResult>> unload(std::optional<std::string>) override {
    co_return protocol::UnloadResult{};
  }
  protocol::ResidentList residents() const override { return {}; }
  base::Task<Result<protocol::SystemInfo>> describe_system() override {
    co_return protocol::SystemInfo{};
  }
  void preload(std::vector<std::string>) override {}
  base::Task<void> shut_down() override { co_return; }

  std::vector<std::string> set;
  bool worker_dies = false;
};

// A worker that answers with these frames, a byte at a time where `trickles`.
struct FakeDrawer final : http::Client {
  explicit FakeDrawer(ingle::testing::FakeLoop& on) : loop(on) {}

  struct Stream final : http::ResponseStream {
    explicit Stream(FakeDrawer& drawer) : owner(drawer) { answer.status = owner.status; }
    const http::Response& head() const override { return answer; }
    base::Task<Result<std::string_view>> read() override {
      CO_TRY(co_await base::sleep_for(owner.loop, base::Millis(1)));
      const auto count = owner.trickles ? 1 : std::string::npos;
      const auto piece = std::string_view(owner.body).substr(at, count);
      at += piece.size();
      co_return piece;
    }
    FakeDrawer& owner;
    http::Response answer;
    std::size_t at = 0;
  };

  base::Task<Result<http::Response>> fetch(http::Endpoint, http::Request,
                                           base::CancelToken) override {
    co_return http::Response{.body = protocol::encode(info)};
  }
  base::Task<Result<std::unique_ptr<http::ResponseStream>>> open(http::Endpoint,
                                                                 http::Request request,
                                                                 base::CancelToken) override {
    asked = std::move(request.body);
    co_return std::make_unique<Stream>(*this);
  }
  base::Task<Result<std::unique_ptr<http::WebSocket>>> open_websocket(http::Endpoint, std::string,
                                                                      http::Headers,
                                                                      base::CancelToken) override {
    co_return base::fail(ErrorCode::internal, "no sockets here");
  }
  void add(FrameKind kind, std::string_view payload) {
    protocol::append_frame(body, kind, payload);
  }
  void add_picture(std::uint32_t index, std::uint64_t seed) {
    const std::string pixels(12, 'p');
    add(FrameKind::picture,
        protocol::encode_picture(
            {.width = 2, .height = 2, .index = index, .seed = seed, .pixels = pixels}));
  }

  ingle::testing::FakeLoop& loop;
  protocol::DrawerInfo info{.steps = 20, .guidance = 7, .sampler = "euler", .image_to_image = true};
  int status = 200;
  bool trickles = false;
  std::string body;
  std::string asked;
};

class ImageJobTest : public ::testing::Test {
 protected:
  Result<Outcome> draw() {
    const auto setup = image_job(
        {.loop = loop_,
         .client = drawer_,
         .host = host_,
         .find = [this](std::string_view) { return record_; },
         .keep = [this](protocol::GalleryPicture facts,
                        std::string) -> base::Task<Result<protocol::GalleryPicture>> {
           facts.id = std::format("p-{}", kept_.size() + 1);
           kept_.push_back(facts);
           co_return facts;
         },
         .read = [](std::string) -> base::Task<Result<std::string>> { co_return "png"; },
         .preview = [this](const std::string& job, std::string) { previews_.push_back(job); },
         .forget_previews = [](const std::string&) {}});
    if (auto checked = setup.check(run_.asked, run_.info); !checked)
      return base::fail(checked.error());
    return loop_.run(setup.run(run_));
  }
  protocol::ImageRequest& asked() { return *run_.asked.image; }

  ingle::testing::FakeLoop loop_;
  FakeDrawer drawer_{loop_};
  FakeHost host_;
  FakeRun run_;
  Result<catalog::ModelRecord> record_{catalog::ModelRecord{.picture = {.side = 512}}};
  std::vector<protocol::GalleryPicture> kept_;
  std::vector<std::string> previews_;
};

TEST_F(ImageJobTest, KeepsPicturesAndCountsSteps) {
  asked() = {.prompt = "a hearth", .seed = 5, .count = 2};
  drawer_.trickles = true;
  drawer_.add(FrameKind::event, protocol::encode(protocol::DrawEvent{}));
  drawer_.add(FrameKind::event,
              protocol::encode(protocol::DrawEvent{
                  .stage = protocol::DrawStage::denoise, .picture = 1, .step = 3, .steps = 10}));
  drawer_.add(FrameKind::preview, "v");
  drawer_.add_picture(0, 5);
  drawer_.add_picture(1, 6);
  drawer_.add(FrameKind::end, protocol::encode(protocol::DrawEnd{.pictures = 2}));
  const auto outcome = draw();
  ASSERT_TRUE(outcome) << outcome.error().text();
  const auto& result = std::get<protocol::ImageResult>(*outcome);
  EXPECT_EQ(result.images, (std::vector<std::string>{"p-1", "p-2"}));
  EXPECT_EQ(result.seed, 5);
  EXPECT_EQ(kept_[1].seed, 6);
  EXPECT_EQ(kept_[1].steps, 20);
  EXPECT_EQ(kept_[1].sampler, "euler");
  EXPECT_EQ(kept_[1].job, "job-7");
  const auto& again = kept_[1].request.value();
  EXPECT_EQ(again.seed, 6);
  EXPECT_EQ(again.count, 1);
  EXPECT_EQ(again.steps, 20);
  EXPECT_EQ(again.width, 2);
  EXPECT_EQ(run_.shown.front().images.size(), 1u);
  EXPECT_EQ(previews_, std::vector<std::string>{"job-7"});
  const auto& report = run_.reports.back();
  EXPECT_EQ(report.stage, "drawing");
  EXPECT_EQ(report.done, 13);
  EXPECT_EQ(report.total, 20);
  EXPECT_EQ(report.unit, "steps");
  EXPECT_TRUE(host_.set.empty());
}

TEST_F(ImageJobTest, LargePicturesAskForTheirRoom) {
  asked() = {.width = 1024, .height = 768};
  EXPECT_FALSE(draw());
  EXPECT_EQ(host_.set, std::vector<std::string>{"picture_side=1024"});
}

TEST_F(ImageJobTest, WhatTheWorkerSaysIsTold) {
  drawer_.add(FrameKind::error, protocol::encode(protocol::ErrorInfo{
                                    .code = "invalid_argument", .message = "no such sampler"}));
  EXPECT_EQ(draw().error(), (base::Error{ErrorCode::invalid_argument, "no such sampler"}));
  drawer_.body.clear();
  EXPECT_EQ(draw().error().code, ErrorCode::upstream_error);  // cut
  drawer_.body = "nonsense";
  EXPECT_EQ(draw().error().code, ErrorCode::malformed);
  drawer_.body.clear();
  drawer_.add(FrameKind::end, protocol::encode(protocol::DrawEnd{.pictures = 3}));
  EXPECT_EQ(draw().error().code, ErrorCode::upstream_error);  // they did not come
  drawer_.status = 400;
  drawer_.body = protocol::encode(protocol::ErrorBody{.error = {.code = "limit_exceeded"}});
  EXPECT_EQ(draw().error().code, ErrorCode::limit_exceeded);
}

TEST_F(ImageJobTest, ABusyWorkerIsWaitedFor) {
  drawer_.status = 409;
  drawer_.body = protocol::encode(protocol::ErrorBody{.error = {.code = "conflict"}});
  const auto before = loop_.clock().mono_now();
  EXPECT_EQ(draw().error().code, ErrorCode::conflict);
  EXPECT_GE(loop_.clock().mono_now() - before, base::Seconds(10));
}

TEST_F(ImageJobTest, ADeadWorkerIsACrash) {
  host_.worker_dies = true;
  EXPECT_EQ(draw().error().code, ErrorCode::worker_crashed);
}

TEST_F(ImageJobTest, RoomIsKeptForTheSizeThatIsDrawn) {
  using namespace std::string_literals;
  const auto room = [&] {
    std::ignore = draw();
    return host_.set;
  };
  const std::vector<std::string> large{"picture_side=1024"};
  run_.sent.image = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\xe8\0\0\x02\xbc\x08\x02\0\0\0"s;
  asked() = {.prompt = "a hearth"};
  EXPECT_TRUE(room().empty());  // drawn at the model's own size
  run_.sent.mask = "mask";
  EXPECT_EQ(room(), large);
  asked().width = asked().height = 512;
  EXPECT_TRUE(room().empty());
  run_.sent.mask.clear();
  asked() = {.prompt = "a hearth", .extras = {.extend = protocol::ImageExtension{.left = 24}}};
  EXPECT_EQ(room(), large);
  run_.sent = {};
  asked() = {.prompt = "a hearth", .extras = {.hires = protocol::HiresPass{.scale = 2}}};
  EXPECT_EQ(room(), large);
}

TEST_F(ImageJobTest, TellsWhichPartIsLoaded) {
  asked() = {.prompt = "a hearth"};
  drawer_.add(FrameKind::event,
              protocol::encode(protocol::DrawEvent{.stage = protocol::DrawStage::denoise,
                                                   .steps = 4,
                                                   .loading = "transformer",
                                                   .loaded = 0.5}));
  std::ignore = draw();
  ASSERT_FALSE(run_.reports.empty());
  EXPECT_EQ(run_.reports.back().message, "loading the transformer, 50 %");
}

TEST_F(ImageJobTest, RequestsAreChecked) {
  for (const auto& bad :
       {protocol::ImageRequest{.width = 8}, protocol::ImageRequest{.height = 5000},
        protocol::ImageRequest{.steps = 0}, protocol::ImageRequest{.guidance = -1},
        protocol::ImageRequest{.seed = -1}, protocol::ImageRequest{.count = 0},
        protocol::ImageRequest{.strength = 1.5}, protocol::ImageRequest{.quality = 101}}) {
    asked() = bad;
    EXPECT_EQ(draw().error().code, ErrorCode::invalid_argument);
  }
  asked() = {};
  run_.info.kind = protocol::ModelKind::text;
  EXPECT_EQ(draw().error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace ingle::jobs
