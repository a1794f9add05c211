// Goal: model files are found wherever they lie, each once, and nothing else is.
// Method: real folders with links, hidden files and endless depth; faults for what cannot be read.
#include "catalog/walk.h"

#include <gtest/gtest.h>

#include "testing/fake_files.h"
#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

namespace fs = std::filesystem;

class WalkTest : public ::testing::Test {
 protected:
  // Names found, relative to the folder, with "!" for unfinished ones.
  std::vector<std::string> walk(std::vector<fs::path> folders = {}, WalkLimits limits = {}) {
    if (folders.empty()) folders = {folder_.path()};
    Walk walk(folders, limits);
    steps_ = 0;
    while (!walk.done()) {
      walk.step(files_);
      ++steps_;
    }
    problems_ = walk.problems();
    std::vector<std::string> out;
    for (const auto& found : walk.take_found())
      out.push_back(found.info.path.lexically_relative(folder_.path()).string() +
                    (found.unfinished.empty() ? "" : "!"));
    return out;
  }

  using Names = std::vector<std::string>;
  ingle::testing::TempFolder folder_;
  ingle::testing::FakeFiles files_;
  std::vector<base::Error> problems_;
  int steps_ = 0;
};

TEST_F(WalkTest, FindsGgufFilesAtAnyDepthWithoutCase) {
  for (const char* name : {"b.gguf", "A.GGUF", "sub/deep/c.Gguf", "readme.md", "x.gguf.txt",
                           "sub/.hidden.gguf", ".cache/d.gguf", ".lmstudio/models/e.gguf"})
    folder_.write(name, "x");
  fs::create_directories(folder_ / "folder.gguf");
  EXPECT_EQ(walk(), (Names{"A.GGUF", "b.gguf", ".lmstudio/models/e.gguf", "sub/deep/c.Gguf"}));
  EXPECT_TRUE(problems_.empty());
  EXPECT_EQ(steps_, 6);  // one folder a step
}

TEST_F(WalkTest, UnfinishedDownloadsAreMarked) {
  for (const char* name : {"a.gguf.part", "b.gguf", "b.gguf.aria2", "c.gguf", "c.gguf.partial"})
    folder_.write(name, "x");
  EXPECT_EQ(walk(), (Names{"a.gguf.part!", "b.gguf!", "c.gguf"}));
}

TEST_F(WalkTest, LinksAreFollowedOnce) {
  folder_.write("blobs/sha", "x");
  fs::create_directories(folder_ / "snapshots/one");
  fs::create_directories(folder_ / "snapshots/two");
  fs::create_symlink(folder_ / "blobs/sha", folder_ / "snapshots/one/m.gguf");
  fs::create_symlink(folder_ / "blobs/sha", folder_ / "snapshots/two/m.gguf");
  fs::create_directory_symlink(folder_.path(), folder_ / "snapshots/loop");
  fs::create_directory_symlink(folder_ / "snapshots", folder_ / "again");
  fs::create_symlink(folder_ / "nowhere", folder_ / "dangling.gguf");
  EXPECT_EQ(walk(), Names{"again/one/m.gguf"});
  EXPECT_EQ(walk({folder_ / "snapshots", folder_.path()}), Names{"snapshots/one/m.gguf"});
}

TEST_F(WalkTest, DepthIsBounded) {
  folder_.write("1/2/3/in.gguf", "x");
  folder_.write("1/2/3/4/out.gguf", "x");
  EXPECT_EQ(walk({}, {.depth_max = 3}), Names{"1/2/3/in.gguf"});
}

TEST_F(WalkTest, EntriesAreBoundedAndTheFolderIsNamed) {
  folder_.write("a.gguf", "x");
  for (int i = 0; i < 20; ++i) folder_.write("many/" + std::to_string(i) + ".gguf", "x");
  EXPECT_EQ(walk({}, {.entries_max = 10}), Names{"a.gguf"});
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_EQ(problems_[0].code, base::ErrorCode::limit_exceeded);
  EXPECT_NE(problems_[0].message.find("many"), std::string::npos);
}

TEST_F(WalkTest, FoldersThatCannotBeLookedAtAreProblems) {
  folder_.write("good/a.gguf", "x");
  folder_.write("bad/b.gguf", "x");
  const auto file = folder_.write("file", "x");
  files_.inject({ingle::testing::FileOperation::list, "/bad", base::ErrorCode::permission_denied});
  EXPECT_EQ(walk({folder_.path(), folder_ / "missing", file}), Names{"good/a.gguf"});
  ASSERT_EQ(problems_.size(), 3u);
  EXPECT_EQ(problems_[0].code, base::ErrorCode::permission_denied);
  EXPECT_EQ(problems_[1].code, base::ErrorCode::not_found);
  EXPECT_EQ(problems_[2].code, base::ErrorCode::invalid_argument);
}

TEST_F(WalkTest, HostileNamesAreFoundAsTheyAre) {
  folder_.write("new\nline.gguf", "x");
  folder_.write("\xff\xfe.gguf", "x");
  folder_.write(std::string(250, 'n') + ".gguf", "x");
  EXPECT_EQ(walk(), (Names{"new\nline.gguf", std::string(250, 'n') + ".gguf", "\xff\xfe.gguf"}));
}

}  // namespace
}  // namespace ingle::catalog
