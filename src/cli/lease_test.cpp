// Goal: the daemon of a home is found by its lease, and a lease that was left behind is not taken
// for a daemon. Method: leases of this very process, of one that has ended, of another boot, and
// broken ones, in a temporary home.
#include "cli/lease.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <format>
#include <map>

#include "platform/system.h"
#include "testing/temp_folder.h"

namespace ingle::cli {
namespace {

using base::ErrorCode;

class FindDaemon : public ::testing::Test {
 protected:
  base::Result<DaemonAddress> find() const {
    return find_daemon(
        [this](const char* name) -> std::optional<std::string> {
          const auto found = variables.find(name);
          return found == variables.end() ? std::nullopt : std::optional(found->second);
        },
        home, *files);
  }
  void lease(int pid, std::string_view boot_id) const {
    folder.write("run/daemon.json",
                 std::format(R"({{"pid":{},"started_at":"2026-01-01T00:00:00Z","boot_id":"{}",)"
                             R"("url":"http://127.0.0.1:4711"}})",
                             pid, boot_id));
  }
  ErrorCode error() const {
    const auto found = find();
    return found ? ErrorCode::internal : found.error().code;
  }

  testing::TempFolder folder;
  std::unique_ptr<platform::Files> files = platform::create_files();
  platform::Home home{.run = folder / "run"};
  std::map<std::string, std::string> variables;
};

TEST_F(FindDaemon, TakesTheLeaseOfALivingProcess) {
  lease(getpid(), platform::read_boot_id());
  const auto found = find();
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->url, "http://127.0.0.1:4711");
  EXPECT_EQ(std::get<http::TcpEndpoint>(found->endpoint).port, 4711);
}

TEST_F(FindDaemon, NoLeaseIsNoDaemon) {
  const auto found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::daemon_absent);
  EXPECT_EQ(found.error().message, "no ingle daemon runs for this home (" + home.run.string() +
                                       "): start one with 'ingle serve'");
}

TEST_F(FindDaemon, ALeaseLeftBehindIsNoDaemon) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  lease(child, platform::read_boot_id());
  EXPECT_EQ(error(), ErrorCode::daemon_absent);
  lease(getpid(), "another boot");
  EXPECT_EQ(error(), ErrorCode::daemon_absent);
}

TEST_F(FindDaemon, ABrokenLeaseIsSaid) {
  for (const char* text : {"", "{", "[]", "{}", R"({"pid":"7","url":"http://127.0.0.1:1"})",
                           R"({"pid":-1,"url":"http://127.0.0.1:1"})",
                           R"({"pid":99999999999,"url":"http://127.0.0.1:1"})", R"({"pid":7})"}) {
    folder.write("run/daemon.json", text);
    EXPECT_EQ(error(), ErrorCode::malformed) << text;
  }
}

TEST_F(FindDaemon, TheVariableComesFirst) {
  variables["INGLE_URL"] = "unix:/run/x.sock";
  const auto found = find();
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(std::get<http::UnixEndpoint>(found->endpoint).path, "/run/x.sock");
  variables["INGLE_URL"] = "ftp://x";
  EXPECT_EQ(error(), ErrorCode::invalid_argument);
}

TEST(ParseUrl, TakesPlainAddressesOnly) {
  struct Case {
    const char *url, *host;
    int port;
  };
  for (const auto& [url, host, port] :
       {Case{"http://127.0.0.1:46453", "127.0.0.1", 46453},
        Case{"http://localhost:1/", "localhost", 1}, Case{"http://[::1]:8080", "[::1]", 8080},
        Case{"http://127.0.0.1", "127.0.0.1", 80}, Case{"http://[::1]", "[::1]", 80}}) {
    const auto parsed = parse_url(url);
    ASSERT_TRUE(parsed) << url;
    EXPECT_EQ(std::get<http::TcpEndpoint>(parsed->endpoint).host, host);
    EXPECT_EQ(std::get<http::TcpEndpoint>(parsed->endpoint).port, port);
  }
  for (const char* bad : {"", "127.0.0.1:1", "https://127.0.0.1:1", "http://", "http://:1",
                          "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:x",
                          "http://127.0.0.1:1/path", "http://a@b:1", "unix:relative"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

}  // namespace
}  // namespace ingle::cli
