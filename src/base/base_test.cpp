// Goal: the small words of the house (sizes, durations, errors, records) are read and written
// right. Method: tables of what a person may type, with the odd and the hostile among them.
#include <gtest/gtest.h>

#include <cerrno>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "testing/fake_loop.h"
#include "testing/memory_log.h"

namespace ingle::base {
namespace {

TEST(BytesTest, are_written_for_people) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(150 * 1024), "150 KiB");
  EXPECT_EQ(format_bytes(3'435'973'837), "3.2 GiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16777216 TiB");
}

TEST(BytesTest, are_read_in_every_spelling) {
  EXPECT_EQ(parse_bytes("4096"), 4096U);
  EXPECT_EQ(parse_bytes("64K"), 65536U);
  EXPECT_EQ(parse_bytes("64kb"), 65536U);
  EXPECT_EQ(parse_bytes("1.5G"), 1'610'612'736U);
  EXPECT_EQ(parse_bytes("2GiB"), 2'147'483'648U);
  EXPECT_EQ(parse_bytes("2 gib"), 2'147'483'648U);
  EXPECT_EQ(parse_bytes("7B"), 7U);
  EXPECT_EQ(parse_bytes("1T"), 1ULL << 40);
}

TEST(BytesTest, refuse_what_is_no_size) {
  for (const auto* text : {"", "G", "-1", "1.5X", "1GG", "10 potatoes", "nan", "inf", "1e30",
                           "0x10", "99999999T", "1BiB"}) {
    const auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(parsed.error().message.contains(std::string("'") + text + "'"));
  }
}

TEST(DurationTest, are_written_for_people) {
  EXPECT_EQ(format_duration(Micros(900)), "900 us");
  EXPECT_EQ(format_duration(Micros(2'500)), "2.5 ms");
  EXPECT_EQ(format_duration(Millis(850)), "850 ms");
  EXPECT_EQ(format_duration(Millis(2'400)), "2.4 s");
  EXPECT_EQ(format_duration(Seconds(200)), "3 min 20 s");
  EXPECT_EQ(format_duration(Seconds(3'900)), "1 h 5 min");
}

TEST(DurationTest, are_read_in_every_spelling) {
  EXPECT_EQ(parse_duration("250ms"), Millis(250));
  EXPECT_EQ(parse_duration("10s"), Seconds(10));
  EXPECT_EQ(parse_duration("5m"), Seconds(300));
  EXPECT_EQ(parse_duration("1h"), Seconds(3600));
  EXPECT_EQ(parse_duration("1.5"), Millis(1500));
  EXPECT_EQ(parse_duration("0"), Micros(0));
  EXPECT_EQ(parse_duration("-1"), Micros::max());
}

TEST(DurationTest, refuse_what_is_no_duration) {
  for (const auto* text : {"", "s", "10 years", "10d", "1e300", "nan", "5mm"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  }
}

TEST(ErrorTest, codes_and_names_go_both_ways) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(error_code_from_name(error_code_name(code)), code);
  }
  EXPECT_EQ(error_code_name(ErrorCode::model_not_found), "model_not_found");
  EXPECT_EQ(error_code_from_name("no_such_code"), std::nullopt);
}

TEST(ErrorTest, text_has_the_context_innermost_first) {
  auto error = Error{ErrorCode::disk_full, "cannot write a.db: No space left on device"}
                   .with_context("saving the catalogue")
                   .with_context("scanning /models");
  EXPECT_EQ(error.text(),
            "cannot write a.db: No space left on device (saving the catalogue) (scanning /models)");
  EXPECT_EQ((Error{ErrorCode::internal, "alone"}).text(), "alone");
}

TEST(ErrorTest, errno_becomes_a_code_and_words) {
  const std::pair<int, ErrorCode> table[] = {
      {ENOSPC, ErrorCode::disk_full},          {EDQUOT, ErrorCode::disk_full},
      {EACCES, ErrorCode::permission_denied},  {EROFS, ErrorCode::permission_denied},
      {ENOENT, ErrorCode::not_found},          {ENOTDIR, ErrorCode::not_found},
      {EADDRINUSE, ErrorCode::address_in_use}, {ENOMEM, ErrorCode::out_of_memory},
      {ETIMEDOUT, ErrorCode::timeout},         {EIO, ErrorCode::io_error},
      {EMFILE, ErrorCode::io_error},           {99999, ErrorCode::io_error},
  };
  for (const auto& [value, code] : table) EXPECT_EQ(errno_error(value, "x").code, code) << value;
  EXPECT_EQ(errno_error(ENOSPC, "cannot write /a").message,
            "cannot write /a: No space left on device");
}

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::invalid_argument, "odd");
  return value / 2;
}

Result<int> quarter(int value) {
  TRY(half(value));
  TRY_ASSIGN(const int once, half(value));
  TRY_ASSIGN(const int twice, half(once));
  return twice;
}

Task<Result<int>> quarter_later(int value) {
  CO_TRY(half(value));
  CO_TRY_ASSIGN(const int once, half(value));
  CO_TRY_ASSIGN(const int twice, half(once));
  co_return twice;
}

TEST(ErrorTest, try_returns_the_first_error) {
  testing::FakeLoop loop;
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(loop.run(quarter_later(8)), 2);
  EXPECT_EQ(loop.run(quarter_later(3)).error().code, ErrorCode::invalid_argument);
}

TEST(CheckDeathTest, names_the_condition_and_the_invariant) {
  EXPECT_DEATH(CHECK(1 + 1 == 3, "sums hold"),
               "CHECK failed: 1 \\+ 1 == 3 \\(sums hold\\) at .*base_test");
}

TEST(LogTest, levels_and_names_go_both_ways) {
  for (const auto level :
       {LogLevel::trace, LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
    EXPECT_EQ(log_level_from_name(log_level_name(level)), level);
  EXPECT_EQ(log_level_from_name("warn"), LogLevel::warning);
  EXPECT_EQ(log_level_from_name("loud"), std::nullopt);
}

TEST(LogTest, a_logger_names_its_source_request_and_time) {
  testing::MemoryLog sink;
  testing::FakeClock clock;
  const Logger logger(sink, clock, "supervisor");
  logger.for_request("r1", "c1").named("worker.tiny").info("line", "hello", {{"bytes", 5}});
  logger.warning("load_failed", Error{ErrorCode::load_failed, "no"}.with_context("loading tiny"));
  ASSERT_EQ(sink.records().size(), 2U);
  const auto first = *sink.last("line");
  EXPECT_EQ(first.logger, "worker.tiny");
  EXPECT_EQ(first.request_id, "r1");
  EXPECT_EQ(first.connection_id, "c1");
  EXPECT_EQ(first.time, clock.wall_now());
  EXPECT_EQ(std::get<std::int64_t>(first.fields.at(0).value), 5);
  const auto second = *sink.last("load_failed");
  EXPECT_EQ(second.level, LogLevel::warning);
  EXPECT_EQ(second.message, "no");
  EXPECT_EQ(second.exception, "load_failed: no (loading tiny)");
  EXPECT_TRUE(second.request_id.empty());
}

}  // namespace
}  // namespace ingle::base
