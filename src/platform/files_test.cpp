// Goal: files are read and written whole or not at all, and nothing odd in a folder does harm.
// Method: the real file system in a folder of the test's own; a limit on file size stands for the
// full disk, because the kernel then refuses in the middle of a write.
#include "platform/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "testing/fake_files.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kPlenty = 1 << 20;

class FilesTest : public ::testing::Test {
 protected:
  // Every name in the folder, hidden ones too.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      out.push_back(entry.path().filename());
    std::ranges::sort(out);
    return out;
  }

  testing::TempFolder folder_;
  std::unique_ptr<Files> files_ = create_files();
};

TEST_F(FilesTest, reads_back_what_was_written) {
  const std::string content("a\0b\n", 4);
  ASSERT_TRUE(files_->write_atomic(folder_ / "f", content));
  EXPECT_EQ(files_->read(folder_ / "f", kPlenty), content);
  ASSERT_TRUE(files_->write_atomic(folder_ / "f", ""));
  EXPECT_EQ(files_->read(folder_ / "f", kPlenty), "");
  EXPECT_EQ(names(), std::vector<std::string>{"f"}) << "no temporary file stays";
}

TEST_F(FilesTest, writes_with_the_mode_asked_for) {
  const auto mode_of = [&](const char* name) {
    struct stat facts{};
    ::stat((folder_ / name).c_str(), &facts);
    return facts.st_mode & 0777;
  };
  ASSERT_TRUE(files_->write_atomic(folder_ / "private", "x"));
  ASSERT_TRUE(files_->write_atomic(folder_ / "public", "x", FileMode::readable_by_all));
  EXPECT_EQ(mode_of("private"), 0600U);
  EXPECT_EQ(mode_of("public"), 0644U);
}

TEST_F(FilesTest, a_write_that_fails_midway_leaves_the_old_file) {
  ASSERT_TRUE(files_->write_atomic(folder_ / "f", "old"));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto written = files_->write_atomic(folder_ / "f", std::string(5000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_DFL);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::io_error);
  EXPECT_TRUE(written.error().message.contains((folder_ / "f").native()));
  EXPECT_EQ(files_->read(folder_ / "f", kPlenty), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

TEST_F(FilesTest, a_write_that_cannot_be_put_in_place_leaves_nothing) {
  ASSERT_TRUE(files_->make_folder(folder_ / "taken"));
  EXPECT_FALSE(files_->write_atomic(folder_ / "taken", "x"));
  EXPECT_EQ(names(), std::vector<std::string>{"taken"});
  const auto nowhere = files_->write_atomic(folder_ / "no/f", "x");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, ErrorCode::not_found);
}

TEST_F(FilesTest, reads_within_the_limit_and_only_files) {
  folder_.write("f", "12345");
  EXPECT_EQ(files_->read(folder_ / "f", 5), "12345");
  const auto large = files_->read(folder_ / "f", 4);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(files_->read(folder_ / "none", 5).error().code, ErrorCode::not_found);
  EXPECT_EQ(files_->read(folder_.path(), 5).error().code, ErrorCode::io_error);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(files_->read(folder_ / "pipe", 5)) << "and does not wait for a writer";
  // Files of /proc say that their size is 0.
  EXPECT_TRUE(files_->read("/proc/self/status", kPlenty).value().starts_with("Name:"));
  EXPECT_EQ(files_->read("/proc/self/status", 10).error().code, ErrorCode::limit_exceeded);
}

TEST_F(FilesTest, lists_files_and_folders_by_name) {
  folder_.write("b.gguf", "123");
  folder_.write("c/inside", "x");
  std::filesystem::create_symlink(folder_ / "b.gguf", folder_ / "a-link");
  std::filesystem::create_symlink(folder_ / "gone", folder_ / "broken");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const auto listed = files_->list(folder_.path(), 10);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 3U);
  EXPECT_EQ((*listed)[0].path, folder_ / "a-link");
  EXPECT_EQ((*listed)[0].size_bytes, 3U) << "a link is followed";
  EXPECT_EQ((*listed)[0].inode, (*listed)[1].inode);
  EXPECT_FALSE((*listed)[1].is_folder);
  EXPECT_TRUE((*listed)[2].is_folder);
  EXPECT_EQ(files_->list(folder_.path(), 2).error().code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(files_->list(folder_.path(), 3));
  EXPECT_EQ(files_->list(folder_ / "none", 3).error().code, ErrorCode::not_found);

  const auto info = files_->info(folder_ / "b.gguf");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->modified_ns, (*listed)[1].modified_ns);
  EXPECT_GT(info->modified_ns, 1'500'000'000'000'000'000);
  EXPECT_EQ(files_->info(folder_ / "none").error().code, ErrorCode::not_found);
}

TEST_F(FilesTest, lists_a_strangers_folder_as_it_is) {
  folder_.write("out/secret", "abc");
  folder_.write("in/file", "ab");
  std::filesystem::create_directory(folder_ / "in/folder");
  ASSERT_EQ(::symlink((folder_ / "out/secret").c_str(), (folder_ / "in/link").c_str()), 0);
  ASSERT_EQ(::symlink("nowhere", (folder_ / "in/broken").c_str()), 0);
  ASSERT_EQ(::mkfifo((folder_ / "in/pipe").c_str(), 0600), 0);
  const auto listed = files_->list_as_is(folder_ / "in", 5);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 5U);
  for (const auto& entry : *listed) {
    const auto name = entry.path.filename().native();
    EXPECT_EQ(entry.is_file, name == "file") << name;
    EXPECT_EQ(entry.is_folder, name == "folder") << name;
  }
  EXPECT_EQ(files_->list_as_is(folder_ / "in", 4).error().code, ErrorCode::limit_exceeded);
}

TEST_F(FilesTest, removes_a_tree_and_nothing_that_its_links_point_to) {
  folder_.write("out/kept", "abc");
  folder_.write("in/a/b/c", "x");
  std::filesystem::create_directory_symlink(folder_ / "out", folder_ / "in/link");
  ASSERT_TRUE(files_->remove_tree(folder_ / "in"));
  EXPECT_EQ(names(), std::vector<std::string>{"out"});
  EXPECT_TRUE(files_->read(folder_ / "out/kept", kPlenty));
  EXPECT_TRUE(files_->remove_tree(folder_ / "in")) << "it is gone already";
  std::filesystem::create_directory_symlink(folder_ / "out", folder_ / "link");
  ASSERT_TRUE(files_->remove_tree(folder_ / "link"));
  EXPECT_TRUE(files_->read(folder_ / "out/kept", kPlenty));
}

TEST_F(FilesTest, knows_the_free_space) {
  EXPECT_GT(files_->free_bytes(folder_.path()).value_or(0), 0U);
  EXPECT_EQ(files_->free_bytes(folder_ / "none").error().code, ErrorCode::not_found);
}

TEST_F(FilesTest, makes_folders_private_and_removes_files) {
  ASSERT_TRUE(files_->make_folder(folder_ / "a/b/c"));
  ASSERT_TRUE(files_->make_folder(folder_ / "a/b/c"));
  ASSERT_TRUE(files_->make_folder("/"));
  struct stat facts{};
  ASSERT_EQ(::stat((folder_ / "a/b").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
  folder_.write("file", "x");
  EXPECT_FALSE(files_->make_folder(folder_ / "file"));
  EXPECT_FALSE(files_->make_folder(folder_ / "file/below"));

  EXPECT_TRUE(files_->remove(folder_ / "file"));
  EXPECT_TRUE(files_->remove(folder_ / "file"));
  EXPECT_FALSE(files_->remove(folder_ / "a"));
}

TEST_F(FilesTest, maps_a_file_or_its_beginning) {
  folder_.write("f", "GGUF rest");
  folder_.write("empty", "");
  auto mapped = MappedFile::open(folder_ / "f", 4);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->bytes().size(), 4U);
  EXPECT_EQ(mapped->bytes()[3], std::byte{'F'});
  EXPECT_EQ(mapped->file_size_bytes(), 9U);
  MappedFile moved = std::move(*mapped);
  EXPECT_EQ(moved.bytes()[0], std::byte{'G'});
  moved.release_pages();  // what was read can be read again
  EXPECT_EQ(moved.bytes()[3], std::byte{'F'});
  auto all = MappedFile::open(folder_ / "f");
  ASSERT_TRUE(all);
  moved = std::move(*all);
  EXPECT_EQ(moved.bytes().size(), 9U);
  EXPECT_TRUE(MappedFile::open(folder_ / "empty").value().bytes().empty());
  EXPECT_EQ(MappedFile::open(folder_ / "none").error().code, ErrorCode::not_found);
  EXPECT_FALSE(MappedFile::open(folder_.path()));
}

TEST_F(FilesTest, a_lock_has_one_holder) {
  auto first = FileLock::acquire(folder_ / "lock");
  ASSERT_TRUE(first);
  const auto second = FileLock::acquire(folder_ / "lock");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  {
    const FileLock moved = std::move(*first);
  }
  EXPECT_TRUE(FileLock::acquire(folder_ / "lock"));
  EXPECT_EQ(FileLock::acquire(folder_ / "no/lock").error().code, ErrorCode::not_found);
}

TEST_F(FilesTest, faults_strike_where_they_are_put) {
  testing::FakeFiles fake;
  fake.inject({.path_part = ".db", .times = 1});
  fake.inject({.operation = testing::FileOperation::read, .code = ErrorCode::permission_denied});
  EXPECT_EQ(fake.write_atomic(folder_ / "a.db", "x", {}).error().code, ErrorCode::disk_full);
  EXPECT_TRUE(fake.write_atomic(folder_ / "a.txt", "x", {}));
  EXPECT_TRUE(fake.write_atomic(folder_ / "a.db", "x", {}));
  EXPECT_EQ(fake.read(folder_ / "a.db", 5).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(fake.struck(), 2U);
  fake.mend();
  EXPECT_EQ(fake.read(folder_ / "a.db", 5), "x");
}

}  // namespace
}  // namespace ingle::platform
