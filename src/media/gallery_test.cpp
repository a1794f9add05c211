// Goal: pictures are kept whole or not at all, found again, and gone when they are deleted. Method:
// a real folder and database; a disk that is full.
#include "media/gallery.h"

#include <gtest/gtest.h>

#include "testing/fake_files.h"
#include "testing/memory_log.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::media {
namespace {

using base::ErrorCode;

std::string payload(std::uint32_t width, std::uint32_t height) {
  const std::string pixels(std::size_t{3} * width * height, 'p');
  return protocol::encode_picture({.width = width, .height = height, .pixels = pixels});
}

class GalleryTest : public ::testing::Test {
 protected:
  GalleryTest() { EXPECT_TRUE(real_.run(gallery_.load())); }

  base::Result<protocol::GalleryPicture> add(std::string prompt, std::string bytes) {
    return real_.run(gallery_.add({.model = "m", .prompt = std::move(prompt)}, std::move(bytes)));
  }
  std::size_t files() const {
    std::size_t out = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "g"))
      if (entry.is_regular_file()) ++out;
    return out;
  }

  ingle::testing::TempFolder folder_;
  ingle::testing::RealLoop real_;
  ingle::testing::MemoryLog log_;
  ingle::testing::FakeFiles files_;
  base::Logger logger_{log_, real_.clock, "test"};
  std::unique_ptr<storage::Storage> storage_ =
      storage::Storage::create(folder_ / "g.db", real_.loop, logger_);
  Gallery gallery_{folder_ / "g", {real_.loop, real_.lanes, files_, *storage_, logger_}};
};

TEST_F(GalleryTest, KeepsFindsAndDeletes) {
  const auto first = add("A Hearth", payload(300, 20)).value();
  const auto second = add("a lamp", payload(8, 8)).value();
  EXPECT_EQ(first.width, 300);
  EXPECT_TRUE(first.id.ends_with("-1"));
  EXPECT_TRUE(first.file.ends_with("/" + first.id + ".png"));
  EXPECT_GT(first.size_bytes, 0);
  EXPECT_EQ(files(), 4u);

  const auto page = real_.run(gallery_.list({.count = 1})).value();
  ASSERT_EQ(page.images.size(), 1u);
  EXPECT_EQ(page.images[0].id, second.id);
  EXPECT_EQ(page.total, 2);
  const auto rest = real_.run(gallery_.list({.count = 1, .before = page.next})).value();
  EXPECT_EQ(rest.images.at(0).id, first.id);
  EXPECT_FALSE(rest.next);
  EXPECT_EQ(real_.run(gallery_.list({.search = "hearth"}))->total, 1);

  const auto png = real_.run(gallery_.read(first.id, Gallery::What::picture)).value();
  EXPECT_TRUE(png.starts_with("\x89PNG"));
  EXPECT_TRUE(png.contains("A Hearth\nSteps: "));
  EXPECT_TRUE(
      real_.run(gallery_.read(first.id, Gallery::What::thumbnail))->starts_with("\xff\xd8\xff"));
  EXPECT_EQ(real_.run(gallery_.remove(first.id))->id, first.id);
  EXPECT_EQ(files(), 2u);
  EXPECT_EQ(real_.run(gallery_.get(first.id)).error().code, ErrorCode::not_found);
  for (const std::string id : {"", "x", "20260101-99", "../../x-2", "1-2"})
    EXPECT_EQ(real_.run(gallery_.get(id)).error().code, ErrorCode::not_found) << id;
}

TEST_F(GalleryTest, WhatIsNoPictureLeavesNothing) {
  EXPECT_EQ(add("x", "").error().code, ErrorCode::malformed);
  EXPECT_EQ(add("x", payload(4, 4).substr(0, 30)).error().code, ErrorCode::malformed);
  EXPECT_EQ(real_.run(gallery_.list({}))->total, 0);
  EXPECT_TRUE(add("y", payload(4, 4)).value().id.ends_with("-3"));
}

TEST_F(GalleryTest, AFullDiskLeavesNothing) {
  files_.inject({.path_part = ".png"});
  EXPECT_EQ(add("x", payload(4, 4)).error().code, ErrorCode::disk_full);
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(real_.run(gallery_.list({}))->total, 0);
}

TEST_F(GalleryTest, QuestionsAreChecked) {
  EXPECT_EQ(real_.run(gallery_.list({.count = 0})).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(real_.run(gallery_.list({.before = "nonsense"})).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ingle::media
