// Goal: a record reads the same in every form, and nothing in it can forge another one.
// Method: exact lines in a fixed zone; then every control character, escape sequence and broken
// UTF-8 put into every place of a record.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/utf8.h"
#include "insight/escape.h"
#include "insight/log_hub.h"
#include "protocol/codec.h"

namespace ingle::insight {
namespace {

base::LogRecord sample() {
  return {.time = base::WallTime(std::chrono::sys_days(std::chrono::year(2026) / 1 / 2) +
                                 base::Seconds(3 * 3600 + 4 * 60 + 5) + base::Micros(678901)),
          .level = base::LogLevel::warning,
          .logger = "supervisor",
          .event = "worker_slow",
          .message = "The worker is slow.",
          .request_id = "r-7",
          .connection_id = "c-1",
          .fields = {{"pid", std::int64_t{12}},
                     {"idle", false},
                     {"load_ms", 1.5},
                     {"path", std::string("/a b/\"c\"")}}};
}

class LogLines : public ::testing::Test {
 protected:
  void SetUp() override { zone("UTC-01:30"); }  // POSIX: east of UTC is negative
  void TearDown() override { zone("UTC"); }
  static void zone(const char* name) {
    setenv("TZ", name, 1);
    tzset();
  }
};

TEST_F(LogLines, WritesTextInTheLocalZone) {
  EXPECT_EQ(format_text(sample(), false),
            "2026-01-02 04:34:05.678+01:30 WARN  supervisor worker_slow: The worker is slow. "
            "idle=false load_ms=1.5 path=\"/a b/\\\"c\\\"\" pid=12 request=r-7 connection=c-1");
  zone("UTC+03:30");
  EXPECT_TRUE(format_text(sample(), false).starts_with("2026-01-01 23:34:05.678-03:30 WARN"));
}

TEST_F(LogLines, ColoursOnlyTimeAndLevel) {
  EXPECT_TRUE(format_text(sample(), true)
                  .starts_with("\x1b[2m2026-01-02 04:34:05.678+01:30\x1b[0m\x1b[33m WARN \x1b[0m "
                               "supervisor worker_slow: "));
}

TEST_F(LogLines, WritesJsonInUtc) {
  EXPECT_EQ(format_json(sample()),
            R"({"time":"2026-01-02T03:04:05.678901Z","level":"warning","logger":"supervisor",)"
            R"("event":"worker_slow","message":"The worker is slow.","request_id":"r-7",)"
            R"("connection_id":"c-1","fields":{"idle":"false","load_ms":"1.5",)"
            R"("path":"/a b/\"c\"","pid":"12"}})");
}

TEST_F(LogLines, SaysAnErrorOnce) {
  auto record = sample();
  record.fields.clear();
  record.request_id.clear();
  record.connection_id.clear();
  record.message = "no space";
  record.exception = "disk_full: no space (writing x)";
  EXPECT_TRUE(format_text(record, false)
                  .ends_with("supervisor worker_slow: no space [disk_full (writing x)]"));
  record.exception = "io_error: other";
  EXPECT_TRUE(format_text(record, false).ends_with(": no space [io_error: other]"));
  record.exception = "odd";
  EXPECT_TRUE(format_text(record, false).ends_with(": no space [odd]"));
}

TEST_F(LogLines, ARecordFromTheWireReadsAsTheRecordItself) {
  EXPECT_EQ(format_text(to_wire(sample()), false), format_text(sample(), false));
  auto event = to_wire(sample());
  for (const char* same : {"2026-01-02T03:04:05.678901+00:00", "2026-01-02T05:04:05.678901+02:00",
                           "2026-01-01T23:34:05.678901-03:30"}) {
    event.time = same;
    EXPECT_EQ(format_text(event, false), format_text(sample(), false)) << same;
  }
  event.time = "2026-01-02T03:04:05Z";
  EXPECT_TRUE(format_text(event, false).starts_with("2026-01-02 04:34:05.000+01:30 "));
}

TEST_F(LogLines, TimesThatAreNoTimesStandEscaped) {
  auto event = to_wire(sample());
  for (const char* bad :
       {"", "yesterday", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T25:04:05Z",
        "2026-01-02T03:04:05+1:00", "2026-01-02T03:04:05.Q", "2026-01-02T03:04:05+0x:00"}) {
    event.time = bad;
    EXPECT_TRUE(format_text(event, false).starts_with(std::string(bad) + " WARN")) << bad;
  }
  event.time = "\x1b[2J\n";
  EXPECT_TRUE(format_text(event, false).starts_with("\\x1b[2J\\x0a WARN"));
}

// Every place of a record that untrusted bytes could reach.
base::LogRecord hostile(const std::string& text) {
  auto out = sample();
  out.logger = out.event = out.message = out.exception = out.request_id = out.connection_id = text;
  out.fields = {{text, text}};
  return out;
}

TEST_F(LogLines, NothingForgesALine) {
  std::vector<std::string> texts{"\x1b[31mred\x1b[0m",
                                 "a\n2026-01-02 04:34:05.678+01:30 ERROR fake fake: fake",
                                 "a\r\nb",
                                 "\xc2\x9b"
                                 "31m",                    // CSI in one character
                                 "\xe2\x80\xa8 line",      // line separator
                                 "\xe2\x80\xae reversed",  // bidirectional override
                                 "\xff\xfe",               // no UTF-8 at all
                                 "\xc0\x8a",               // overlong newline
                                 "\xed\xa0\x80",           // a surrogate
                                 "cut \xe2\x82"};
  for (int c = 0; c < 0x20; ++c) texts.push_back(std::string("x") + static_cast<char>(c) + "y");
  texts.push_back("\x7f");
  for (const auto& text : texts) {
    const auto record = hostile(text);
    std::string_view line = format_text(record, false);
    const auto kept = format_text(record, false);
    line = kept;
    while (!line.empty()) {
      const auto next = base::first_char(line);
      EXPECT_TRUE(next.valid) << kept;
      EXPECT_FALSE(base::is_control_char(next.code)) << kept;
      line.remove_prefix(next.length);
    }
    const auto json = format_json(record);
    for (const char c : json) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << json;
    const auto back = protocol::decode<protocol::LogEvent>(json);
    ASSERT_TRUE(back) << json << back.error().text();
    EXPECT_EQ(protocol::encode(*back), json);
  }
}

TEST(LogEscape, LeavesPlainTextAlone) {
  EXPECT_EQ(escape_line("Grüße, 世界 🙂 C:\\x"), "Grüße, 世界 🙂 C:\\x");
  EXPECT_EQ(escape_line("a\tb\x1b\x7f"), "a\\x09b\\x1b\\x7f");
  EXPECT_EQ(escape_line("\xc2\x85"), "\\u0085");
}

TEST(Utf8, ReadsWhatIsValidAndNothingElse) {
  EXPECT_EQ(base::first_char("\xf0\x9f\x99\x82").code, U'\U0001F642');
  EXPECT_EQ(base::first_char("\xf4\x8f\xbf\xbf").code, U'\U0010FFFF');
  for (const std::string_view bad :
       {"\x80", "\xc1\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xe2\x41\x41"}) {
    EXPECT_FALSE(base::first_char(bad).valid) << bad;
    EXPECT_FALSE(base::first_char(bad).cut) << bad;
    EXPECT_EQ(base::first_char(bad).length, 1u);
  }
  for (const std::string_view cut : {"\xc2", "\xe2\x82", "\xf0\x9f\x99"})
    EXPECT_TRUE(base::first_char(cut).cut) << cut;
}

}  // namespace
}  // namespace ingle::insight
