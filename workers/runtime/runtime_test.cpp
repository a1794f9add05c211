// Goal: the worker answers while it loads and draws, draws one thing at a time, stops soon, and
// every end of a drawing is told. Method: the real server and client over a unix socket, with a
// pipeline that has no model.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "http/client.h"
#include "platform/asio_loop.h"
#include "protocol/codec.h"
#include "protocol/frames.h"
#include "runtime/fake_pipeline.h"
#include "runtime/server.h"
#include "runtime/worker.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::runtime {
namespace {

using base::ErrorCode;
using protocol::FrameKind;

struct Answer {
  std::vector<std::pair<FrameKind, std::string>> frames{};
  int status = 0;
  std::string body{};

  std::vector<std::string> of(FrameKind kind) const {
    std::vector<std::string> out;
    for (const auto& [k, payload] : frames)
      if (k == kind) out.push_back(payload);
    return out;
  }
};

class RuntimeTest : public ::testing::Test {
 protected:
  RuntimeTest() {
    server_ = http::Server::create(real_.loop, handler_, {});
    EXPECT_TRUE(server_->listen_unix(socket()));
  }
  ~RuntimeTest() override { real_.run(close()); }

  std::filesystem::path socket() const { return folder_ / "w.sock"; }
  base::Task<bool> close() {
    drawer_.stop();
    co_await server_->drain(base::Seconds(5));
    co_return true;
  }

  void load() { ASSERT_TRUE(real_.run(drawer_.load())); }

  http::Request request(http::Method method, std::string target, std::string body = {}) {
    http::Request out{.method = method, .target = std::move(target), .body = std::move(body)};
    out.headers.add("Authorization", "Bearer secret");
    return out;
  }
  static std::string body_of(const protocol::DrawRequest& asked) {
    std::string out;
    protocol::append_frame(out, FrameKind::request, protocol::encode(asked));
    return out;
  }
  http::Response get(std::string target) {
    return real_
        .run(client_->fetch(http::UnixEndpoint{socket()}, request(http::Method::get, target), {}))
        .value();
  }
  // `after_first`: runs once, when the first frame has come.
  base::Task<Answer> draw_task(std::string body, std::function<bool()> after_first = {}) {
    Answer out;
    auto stream =
        co_await client_->open(http::UnixEndpoint{socket()},
                               request(http::Method::post, "/generate", std::move(body)), {});
    EXPECT_TRUE(stream);
    out.status = (*stream)->head().status;
    protocol::FrameReader reader;
    while (true) {
      auto piece = co_await (*stream)->read();
      EXPECT_TRUE(piece);
      if (!piece || piece->empty()) break;
      if (out.status != 200) {
        out.body += *piece;
        continue;
      }
      reader.feed(*piece);
      while (auto frame = reader.next().value())
        out.frames.emplace_back(frame->kind, frame->payload);
      if (after_first && !out.frames.empty() && !std::exchange(after_first, {})()) break;
    }
    co_return out;
  }
  Answer draw(const protocol::DrawRequest& asked) { return real_.run(draw_task(body_of(asked))); }

  ingle::testing::TempFolder folder_;
  ingle::testing::RealLoop real_;
  Drawer drawer_{real_.loop, make_fake_loader(folder_.path())};
  WorkerServer handler_{real_.loop, drawer_, "secret"};
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Client> client_ = http::Client::create(real_.loop, {});
};

TEST_F(RuntimeTest, TellsHowFarItsLoadIs) {
  const auto before = get("/health");
  EXPECT_EQ(before.status, 503);
  EXPECT_EQ(protocol::decode<protocol::DrawerHealth>(before.body)->status, "loading");
  EXPECT_EQ(get("/info").status, 503);
  load();
  const auto after = get("/health");
  EXPECT_EQ(after.status, 200);
  EXPECT_EQ(protocol::decode<protocol::DrawerHealth>(after.body)->progress, 1);
  const auto info = protocol::decode<protocol::DrawerInfo>(get("/info").body).value();
  EXPECT_EQ(info.family, "fake");
  EXPECT_EQ(info.samplers, std::vector<std::string>{"euler"});
  EXPECT_EQ(protocol::decode<protocol::DrawerMemory>(get("/memory").body)->weights_bytes, 1 << 20);
}

TEST_F(RuntimeTest, SendsStepsPreviewsAndPictures) {
  load();
  const auto answer =
      draw({.prompt = "a hearth", .width = 32, .seed = 5, .count = 2, .preview_every = 2});
  EXPECT_EQ(answer.status, 200);
  const auto pictures = answer.of(FrameKind::picture);
  ASSERT_EQ(pictures.size(), 2u);
  const auto first = protocol::decode_picture(pictures[0]).value();
  const auto second = protocol::decode_picture(pictures[1]).value();
  EXPECT_EQ(first.width, 32u);
  EXPECT_EQ(first.height, 64u);
  EXPECT_EQ(first.seed, 5u);
  EXPECT_EQ(second.seed, 6u);
  EXPECT_NE(first.pixels, second.pixels);
  EXPECT_FALSE(answer.of(FrameKind::preview).empty());
  const auto events = answer.of(FrameKind::event);
  EXPECT_EQ(protocol::decode<protocol::DrawEvent>(events.front())->stage,
            protocol::DrawStage::encode_prompt);
  ASSERT_EQ(answer.frames.back().first, FrameKind::end);
  const auto end = protocol::decode<protocol::DrawEnd>(answer.frames.back().second).value();
  EXPECT_EQ(end.pictures, 2);
  EXPECT_EQ(end.steps, 4);
  EXPECT_EQ(end.sampler, "euler");
  EXPECT_EQ(end.memory.activations_bytes, 2 << 20);
  EXPECT_EQ(end.memory.parts.at("vae"), 1 << 19);
  EXPECT_EQ(end.memory.peak_bytes, 4 << 20);
}

TEST_F(RuntimeTest, TheSameSeedIsTheSamePicture) {
  load();
  const auto one = draw({.prompt = "x", .seed = 7}).of(FrameKind::picture);
  EXPECT_EQ(one, draw({.prompt = "x", .seed = 7}).of(FrameKind::picture));
  EXPECT_NE(one, draw({.prompt = "y", .seed = 7}).of(FrameKind::picture));
}

TEST_F(RuntimeTest, RefusesWhatItCannotDraw) {
  load();
  for (const auto& bad :
       {protocol::DrawRequest{.count = 0}, protocol::DrawRequest{.count = kPicturesMax + 1},
        protocol::DrawRequest{.width = 1 << 20}, protocol::DrawRequest{.steps = -1},
        protocol::DrawRequest{.seed = -1}, protocol::DrawRequest{.strength = 2}}) {
    const auto answer = draw(bad);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(protocol::decode<protocol::ErrorBody>(answer.body)->error.code, "invalid_argument");
  }
  EXPECT_EQ(real_.run(draw_task("nonsense")).status, 400);
  EXPECT_EQ(real_.run(draw_task(body_of({}).substr(0, 9))).status, 400);
  // What only the model knows comes as the last frame.
  const auto answer = draw({.sampler = "brush"});
  ASSERT_EQ(answer.frames.back().first, FrameKind::error);
  EXPECT_EQ(protocol::decode<protocol::ErrorInfo>(answer.frames.back().second)->code,
            "invalid_argument");
}

TEST_F(RuntimeTest, WantsItsKey) {
  const auto answer = real_
                          .run(client_->fetch(http::UnixEndpoint{socket()},
                                              {.method = http::Method::get, .target = "/info"}, {}))
                          .value();
  EXPECT_EQ(answer.status, 401);
}

TEST_F(RuntimeTest, DrawsOneAtATimeAndStopsWhenTold) {
  load();
  const auto slow = body_of({.prompt = "slow", .steps = kStepsMax});
  int second = 0;
  const auto task = [&]() -> base::Task<Answer> {
    base::TaskScope scope;
    base::Gate drawing(real_.loop);
    Answer first;
    const auto run = [&]() -> base::Task<void> {
      first = co_await draw_task(slow, [&] {
        drawing.set();
        return true;
      });
    };
    scope.spawn(run());
    std::ignore = co_await drawing.wait();
    second = (co_await draw_task(slow)).status;
    auto health = co_await client_->fetch(http::UnixEndpoint{socket()},
                                          request(http::Method::get, "/health"), {});
    EXPECT_EQ(health->status, 200);
    std::ignore = co_await client_->fetch(http::UnixEndpoint{socket()},
                                          request(http::Method::post, "/cancel"), {});
    co_await scope.join();
    co_return first;
  };
  const auto first = real_.run(task());
  EXPECT_EQ(second, 409);
  ASSERT_EQ(first.frames.back().first, FrameKind::error);
  EXPECT_EQ(protocol::decode<protocol::ErrorInfo>(first.frames.back().second)->code, "cancelled");
}

TEST_F(RuntimeTest, AClientThatLeavesEndsTheDrawing) {
  load();
  const auto slow = body_of({.prompt = "slow", .steps = kStepsMax});
  std::ignore = real_.run(draw_task(slow, [] { return false; }));
  // With kStepsMax steps of 50 ms it would go on for most of a minute.
  const auto wait = [&]() -> base::Task<bool> {
    while (drawer_.state() != Drawer::State::ready)
      std::ignore = co_await base::sleep_for(real_.loop, base::Millis(5));
    co_return true;
  };
  EXPECT_TRUE(real_.run(wait()));
  EXPECT_EQ(draw({.prompt = "again"}).frames.back().first, FrameKind::end);
}

TEST_F(RuntimeTest, AFailureIsTheLastFrame) {
  load();
  const auto answer = draw({.prompt = "fails"});
  ASSERT_EQ(answer.frames.back().first, FrameKind::error);
  EXPECT_EQ(protocol::decode<protocol::ErrorInfo>(answer.frames.back().second)->code,
            "out_of_memory");
  EXPECT_TRUE(answer.of(FrameKind::picture).empty());
}

TEST(WorkerArgumentsTest, AreCheckedOneByOne) {
  const auto parse = [](std::vector<std::string> words) {
    words.insert(words.begin(), "ingle-diffusion");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    return parse_worker_arguments(static_cast<int>(pointers.size()), pointers.data());
  };
  const auto good =
      parse({"--socket", "/s", "--model", "/m", "--part", "vae=/v", "--threads", "3",
             "--text-device", "host", "--vae-device", "Vulkan0", "--residency", "staged"});
  ASSERT_TRUE(good);
  EXPECT_EQ(good->text_device, "host");
  EXPECT_EQ(good->vae_device, "Vulkan0");
  EXPECT_EQ(good->residency, "staged");
  EXPECT_EQ(good->parts.at("vae"), "/v");
  EXPECT_EQ(good->threads, 3);
  for (const auto& bad :
       std::vector<std::vector<std::string>>{{"--socket", "/s"},
                                             {"--socket", "/s", "--model"},
                                             {"--socket", "/s", "--model", "/m", "--threads", "x"},
                                             {"--socket", "/s", "--model", "/m", "--threads", "-1"},
                                             {"--socket", "/s", "--model", "/m", "--part", "vae"},
                                             {"--socket", "/s", "--model", "/m", "--brush", "1"}})
    EXPECT_EQ(parse(bad).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ingle::runtime
