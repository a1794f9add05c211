// Goal: what a home and an environment bring to the configuration. Method: real files in a
// temporary folder, environments given by hand, a file system that refuses.
#include "config/gather.h"

#include <gtest/gtest.h>

#include "testing/fake_files.h"
#include "testing/temp_folder.h"

namespace ingle::config {
namespace {

TEST(ConfigGather, TakesFileAndVariables) {
  testing::TempFolder folder;
  folder.write("ingle.toml", "[server]\nport = 7\n");
  const platform::Home home{.config = folder.path()};
  testing::FakeFiles files;
  const char* const environment[] = {"PATH=/bin", "INGLE_LOG_LEVEL=debug", "INGLE_ODD", nullptr};
  const auto sources = gather(home, files, environment, {{"--port", "server.port", "8"}});
  ASSERT_TRUE(sources) << sources.error().text();
  EXPECT_EQ(sources->toml_text, "[server]\nport = 7\n");
  EXPECT_EQ(sources->toml_path, (folder / "ingle.toml").string());
  ASSERT_EQ(sources->environment.size(), 1u);
  EXPECT_EQ(sources->environment[0],
            (std::pair<std::string, std::string>("INGLE_LOG_LEVEL", "debug")));
  const auto loaded = load(*sources);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->values.server.port, 8);
  EXPECT_EQ(loaded->values.log.level, "debug");
}

TEST(ConfigGather, AHomeWithoutAFileIsFine) {
  testing::TempFolder folder;
  testing::FakeFiles files;
  const auto sources = gather({.config = folder / "nothing"}, files, nullptr, {});
  ASSERT_TRUE(sources) << sources.error().text();
  EXPECT_TRUE(sources->toml_text.empty());
}

TEST(ConfigGather, AFileThatCannotBeReadIsAnError) {
  testing::TempFolder folder;
  folder.write("ingle.toml", "");
  testing::FakeFiles files;
  files.inject(
      {.operation = testing::FileOperation::read, .code = base::ErrorCode::permission_denied});
  const auto sources = gather({.config = folder.path()}, files, nullptr, {});
  ASSERT_FALSE(sources);
  EXPECT_EQ(sources.error().code, base::ErrorCode::permission_denied);
}

}  // namespace
}  // namespace ingle::config
