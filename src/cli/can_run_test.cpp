// Goal: can-run sends exactly the header of a file and the size that the whole file will have, and
// its exit code tells the verdict. Method: a generated model, whole and cut off, against a real
// HTTP server that keeps what it is sent.
#include <gtest/gtest.h>

#include <format>
#include <fstream>

#include "cli/commands.h"
#include "gguf/reader.h"
#include "http/rig_test.h"
#include "make_gguf/sample_model.h"
#include "platform/files.h"
#include "protocol/codec.h"
#include "protocol/resources.h"
#include "testing/temp_folder.h"

namespace ingle::cli {
namespace {

struct Asked {
  std::string target, type, body;
};

class CanRun : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto sample = gguf_writer::make_sample({});
    ASSERT_TRUE(sample) << sample.error().message;
    ASSERT_TRUE(sample->write(file()));
    const auto mapped = platform::MappedFile::open(file());
    ASSERT_TRUE(mapped);
    const auto header = gguf::parse(mapped->bytes(), mapped->file_size_bytes());
    ASSERT_TRUE(header) << header.error().message;
    header_bytes = header->data_offset_bytes;
    file_bytes = mapped->file_size_bytes();
  }
  std::filesystem::path file() const { return folder / "tiny.gguf"; }

  int run(const std::string& path, bool fits = true) {
    answer.fits = fits;
    const auto url = std::format("http://127.0.0.1:{}", rig.port());
    const Surroundings around{.environment = [url](const char* name) -> std::optional<std::string> {
      if (std::string_view(name) == "INGLE_URL") return url;
      if (std::string_view(name) == "HOME") return "/nowhere";
      return std::nullopt;
    }};
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = can_run({.file = path}, around);
    out = ::testing::internal::GetCapturedStdout();
    err = ::testing::internal::GetCapturedStderr();
    return code;
  }

  testing::TempFolder folder;
  protocol::LoadPlan answer{.model = "tiny", .placement = "processor"};
  std::vector<Asked> asked;
  http::ServerRig rig{[this](http::Exchange& exchange) -> base::Task<void> {
    const auto& request = exchange.request();
    asked.push_back({request.target, std::string(request.headers.get("Content-Type").value_or("")),
                     request.body});
    (void)co_await exchange.respond({.body = protocol::encode(answer)});
  }};
  std::uint64_t header_bytes = 0, file_bytes = 0;
  std::string out, err;
};

TEST_F(CanRun, SendsTheHeaderAndTheSize) {
  EXPECT_EQ(run(file()), 0) << err;
  EXPECT_EQ(out, "tiny fits: processor\n");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].target,
            std::format("/api/v1/can_run?size_bytes={}&name=tiny.gguf", file_bytes));
  EXPECT_EQ(asked[0].type, "application/octet-stream");
  EXPECT_EQ(asked[0].body.size(), header_bytes);
  EXPECT_TRUE(asked[0].body.starts_with("GGUF"));
  EXPECT_EQ(run(file(), false), 1) << "the exit code is the verdict";
}

TEST_F(CanRun, ADownloadThatIsNotWholeIsEnough) {
  std::filesystem::resize_file(file(), header_bytes);
  EXPECT_EQ(run(file()), 0) << err;
  EXPECT_TRUE(asked.at(0).target.contains(std::format("size_bytes={}&", file_bytes)));
}

TEST_F(CanRun, ACutHeaderIsNotSent) {
  std::filesystem::resize_file(file(), header_bytes / 2);
  EXPECT_EQ(run(file()), 1);
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(err.contains("give more of the file")) << err;
  EXPECT_TRUE(err.contains("tiny.gguf")) << err;
  EXPECT_EQ(run(folder / "none.gguf"), 1);
}

}  // namespace
}  // namespace ingle::cli
