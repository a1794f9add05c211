// Goal: workers get groups with limits exactly where ingle may make them, the reason is told where
// it may not, and no group is left behind. Method: a made-up tree of control groups, whose folders
// come and go with their files as in the kernel's; real children that join a group.
#include "platform/worker_groups.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <signal.h>
#include <cerrno>
#include <format>
#include <set>

#include "platform/kernel_file.h"
#include "platform/process.h"
#include "testing/real_loop.h"
#include "testing/temp_folder.h"

namespace ingle::platform {
namespace {

namespace fs = std::filesystem;

class WorkerGroupsTest : public ::testing::Test {
 protected:
  void SetUp() override { live_in("ingle"); }
  // In a group that holds this process only.
  void live_in(const std::string& group) {
    root_.write("proc/self/cgroup", "0::/" + group + "\n");
    group_ = "sys/fs/cgroup/" + group;
    write("cgroup.controllers", "cpu memory pids\n");
    write("cgroup.procs", std::format("{}\n", ::getpid()));
    write("cgroup.subtree_control", "");
  }
  void write(const std::string& name, std::string_view text) {
    root_.write(group_ + "/" + name, text);
  }
  std::string read(const std::string& name) { return read_kernel_file(root_ / group_ / name); }
  // True for folders that come with files, as the kernel makes them.
  bool make_folder(const fs::path& folder) {
    if (fs::exists(folder)) {
      errno = EEXIST;
      return false;
    }
    for (const auto* name : {"cgroup.procs", "cgroup.kill", "memory.max", "memory.oom.group",
                             "memory.swap.max", "memory.events"})
      root_.write(folder.lexically_relative(root_.path()).native() + "/" + name, "");
    return true;
  }
  std::unique_ptr<WorkerGroups> create() {
    return WorkerGroups::create(
        {.root = root_.path(),
         .make_folder = [this](const fs::path& folder) { return make_folder(folder); },
         .remove_folder =
             [this](const fs::path& folder) {
               return !busy_.contains(folder.filename()) && fs::remove_all(folder) > 0;
             }});
  }

  testing::TempFolder root_;
  std::string group_;
  std::set<fs::path> busy_;  // names of groups that hold a process
};

TEST_F(WorkerGroupsTest, the_daemon_moves_into_a_leaf_and_workers_get_limits) {
  const auto groups = create();
  EXPECT_EQ(groups->text(), "each worker has a control group with a memory limit of its own");
  EXPECT_EQ(read("daemon/cgroup.procs"), std::to_string(::getpid()));
  EXPECT_EQ(read("cgroup.subtree_control"), "+memory");
  const auto group = groups->make(5000);
  ASSERT_TRUE(group);
  EXPECT_EQ(group->folder, root_ / group_ / "worker-1");
  EXPECT_EQ(read("worker-1/memory.max"), "5000");
  EXPECT_EQ(read("worker-1/memory.oom.group"), "1");
  EXPECT_EQ(read("worker-1/memory.swap.max"), "0");
  EXPECT_EQ(::write(group->entrance.get(), "0", 1), 1);
  EXPECT_EQ(read("worker-1/cgroup.procs"), "0");
  EXPECT_EQ(groups->make(0), std::nullopt) << "no limit is asked for";
  EXPECT_FALSE(groups->remove(group->folder));
  EXPECT_FALSE(fs::exists(group->folder));
}

TEST_F(WorkerGroupsTest, the_kernels_killing_is_told) {
  const auto groups = create();
  const auto group = groups->make(5000);
  ASSERT_TRUE(group);
  write("worker-1/memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
  EXPECT_TRUE(groups->remove(group->folder));
}

TEST_F(WorkerGroupsTest, what_cannot_be_removed_yet_is_removed_later) {
  busy_ = {"worker-1"};
  make_folder(root_ / group_ / "worker-1");  // of an earlier daemon, with a worker in it
  make_folder(root_ / group_ / "worker-9");
  const auto groups = create();
  EXPECT_FALSE(fs::exists(root_ / group_ / "worker-9"));
  const auto second = groups->make(5000);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->folder.filename(), "worker-2") << "the first name is taken";
  busy_ = {"worker-2"};
  groups->remove(second->folder);
  EXPECT_EQ(read("worker-2/cgroup.kill"), "1");
  EXPECT_TRUE(fs::exists(root_ / group_ / "worker-2"));
  busy_.clear();
  const auto third = groups->make(5000);
  ASSERT_TRUE(third);
  EXPECT_FALSE(fs::exists(root_ / group_ / "worker-1"));
  EXPECT_FALSE(fs::exists(root_ / group_ / "worker-2"));
  groups->remove_later(third->folder);
  ASSERT_TRUE(groups->make(5000));
  EXPECT_FALSE(fs::exists(third->folder));
}

TEST_F(WorkerGroupsTest, a_group_without_a_limit_is_not_used) {
  make_folder(root_ / group_ / "daemon");
  const auto refusing = WorkerGroups::create(
      {.root = root_.path(),
       .make_folder = [](const fs::path& folder) { return fs::create_directory(folder); },
       .remove_folder = [](const fs::path& folder) { return fs::remove_all(folder) > 0; }});
  EXPECT_EQ(refusing->make(5000), std::nullopt) << "it has no memory.max";
  EXPECT_FALSE(fs::exists(root_ / group_ / "worker-1"));
}

TEST_F(WorkerGroupsTest, where_there_can_be_none_the_reason_is_told) {
  const auto reason = [&] {
    const auto groups = create();
    EXPECT_EQ(groups->make(5000), std::nullopt);
    EXPECT_FALSE(fs::exists(root_ / group_ / "daemon"));
    return groups->text();
  };
  write("cgroup.procs", std::format("{}\n1\n", ::getpid()));
  EXPECT_TRUE(reason().contains("other processes share")) << reason();
  write("cgroup.controllers", "cpu pids\n");
  EXPECT_TRUE(reason().contains("no memory controller")) << reason();
  root_.write("proc/self/cgroup", "4:memory:/a\n");
  EXPECT_EQ(reason(), "none: the kernel has no control groups of version 2");
}

TEST_F(WorkerGroupsTest, systemd_must_have_given_the_group_away) {
  live_in("system.slice/ingle.service");
  EXPECT_TRUE(create()->text().contains("Delegate=yes")) << create()->text();
  if (::setxattr((root_ / group_).c_str(), "user.delegate", "1", 1, 0) != 0)
    GTEST_SKIP() << "this file system has no user attributes";
  EXPECT_FALSE(create()->text().starts_with("none")) << create()->text();
}

TEST_F(WorkerGroupsTest, without_leave_to_limit_the_daemon_moves_back) {
  fs::remove(root_ / group_ / "cgroup.subtree_control");
  fs::create_symlink("/dev/full", root_ / group_ / "cgroup.subtree_control");
  const auto groups = create();
  EXPECT_TRUE(groups->text().contains("could not be allowed")) << groups->text();
  EXPECT_FALSE(fs::exists(root_ / group_ / "daemon"));
}

TEST_F(WorkerGroupsTest, a_child_joins_its_group_and_leaves_none_behind) {
  const auto groups = create();
  testing::RealLoop real;
  const auto processes = create_processes(real.loop, real.lanes, groups.get());
  const auto run = [&](std::uint64_t limit, std::string script) {
    return real.run([](Processes& all, SpawnOptions options) -> base::Task<ExitStatus> {
      base::Completion<ExitStatus> ended;
      auto child = co_await all.spawn(
          std::move(options), {.on_exit = [&](ExitStatus status) { ended.complete(status); }});
      EXPECT_TRUE(child) << child.error().message;
      co_return co_await ended;
    }(*processes, {.executable = "/bin/sh",
                   .arguments = {"-c", std::move(script)},
                   .sandbox = {.enabled = false},
                   .memory_bytes_max = limit}));
  };
  const auto folder = (root_ / group_ / "worker-1").native();
  // The child sees that it joined, and plays the kernel that ends it.
  const auto status = run(1 << 20, std::format("test \"$(cat {0}/cgroup.procs)\" = 0 && echo "
                                               "oom_kill 1 >{0}/memory.events; kill -9 $$",
                                               folder));
  EXPECT_EQ(status, (ExitStatus{.signal = SIGKILL, .memory_limit_hit = true}));
  EXPECT_EQ(status.text(),
            "was killed by SIGKILL (it grew beyond the memory limit of its control group)");
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_EQ(run(0, "exit 3"), ExitStatus{.code = 3}) << "without a limit there is no group";
}

}  // namespace
}  // namespace ingle::platform
