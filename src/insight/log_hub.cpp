#include "insight/log_hub.h"

#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <format>
#include <mutex>

#include "insight/log_file.h"
#include "insight/log_ring.h"
#include "platform/asio_loop.h"

namespace ingle::insight {
namespace {

constexpr std::size_t kTextMax = 16 * 1024;  // of one message, field or exception
constexpr std::size_t kFieldsMax = 64;
constexpr base::Seconds kFlushMax{1};

void cut_text(std::string& text) {
  if (text.size() <= kTextMax) return;
  const auto more = text.size() - kTextMax;
  text.resize(kTextMax);
  text += std::format("... ({} more bytes)", more);
}

void cut_record(base::LogRecord& record) {
  cut_text(record.message);
  cut_text(record.exception);
  if (record.fields.size() > kFieldsMax) record.fields.resize(kFieldsMax);
  for (auto& field : record.fields)
    if (auto* text = std::get_if<std::string>(&field.value)) cut_text(*text);
}

// A terminal that cannot be written to is nobody's concern any more.
void write_terminal(std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

class Hub final : public LogHub {
 public:
  explicit Hub(LogHubOptions options)
      : options_(std::move(options)),
        ring_(options_.ring_records_max),
        file_({.path = options_.file,
               .bytes_max = options_.file_bytes_max,
               .files_max = options_.files_max,
               .retry = options_.file_retry},
              clock_),
        thread_(::tzset, [this](std::uint64_t number) { handle(number); }) {}

  void write(base::LogRecord record) override {
    if (record.level < options_.level) return;
    cut_record(record);
    ring_.push(std::make_shared<const base::LogRecord>(std::move(record)),
               [this](const SharedRecord& shared) { queue(shared); });
    ring_.deliver();
  }
  base::LogLevel threshold() const override { return options_.level; }

  protocol::LogPage newest(std::size_t count, base::LogLevel level,
                           std::string_view grep) const override {
    return {.records = ring_.newest(count, level, grep),
            .dropped = static_cast<std::int64_t>(dropped())};
  }
  void set_follower(std::function<void(const base::LogRecord&)> on_record) override {
    ring_.set_follower(std::move(on_record));
  }
  std::uint64_t dropped() const override {
    const auto followers = ring_.dropped();
    const std::lock_guard lock(mutex_);
    return followers + dropped_;
  }

  void flush() override {
    std::unique_lock lock(mutex_);
    const auto last = number_last_;
    handled_.wait_for(lock, kFlushMax, [&] { return number_handled_ >= last; });
  }

 private:
  struct Queued {
    std::uint64_t number;
    SharedRecord record;
  };

  // Under the ring's lock: both queues have the ring's order.
  void queue(const SharedRecord& record) {
    const std::lock_guard lock(mutex_);
    queue_.push_back({++number_last_, record});
    if (queue_.size() > LogThread::kQueueMax) drop_oldest();
    thread_.post(number_last_);
  }

  // Under mutex_.
  void drop_oldest() {
    queue_.pop_front();
    ++dropped_;
  }

  // On the log thread. Numbers that do not come were dropped from the thread's queue.
  void handle(std::uint64_t number) {
    SharedRecord record;
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      while (!queue_.empty() && queue_.front().number < number) drop_oldest();
      if (!queue_.empty() && queue_.front().number == number) {
        record = std::move(queue_.front().record);
        queue_.pop_front();
      }
      last = queue_.empty();
    }
    if (record) write_out(*record, last);
    const std::lock_guard lock(mutex_);
    number_handled_ = number;
    handled_.notify_all();
  }

  void write_out(const base::LogRecord& record, bool last) {
    std::string json;
    const bool json_terminal = options_.terminal && options_.terminal_format == LogFormat::json;
    if (json_terminal || !options_.file.empty()) json = format_json(record);
    if (options_.terminal)
      write_terminal((json_terminal ? json : format_text(record, options_.terminal_colour)) + "\n");
    if (options_.file.empty()) return;
    tell(file_.write(json));
    if (last) tell(file_.flush());
  }

  // What the file's state is worth: one record at the failure, one when it is over.
  void tell(const LogFile::Outcome& outcome) {
    base::LogRecord record{.time = clock_.wall_now(), .logger = "log"};
    if (outcome.kind == LogFile::Outcome::Kind::failed) {
      record.level = base::LogLevel::error;
      record.event = "log_file_failed";
      record.message = outcome.error.text() + "; it is tried again from time to time";
    } else if (outcome.kind == LogFile::Outcome::Kind::mended) {
      record.event = "log_file_mended";
      record.message = "the log file can be written again";
      record.fields = {{"records_lost", static_cast<std::int64_t>(outcome.lines_lost)}};
    } else {
      return;
    }
    write(std::move(record));
  }

  const LogHubOptions options_;
  const platform::SystemClock clock_;
  LogRing ring_;
  mutable std::mutex mutex_;  // guards the five below: callers and the log thread meet here
  std::condition_variable handled_;
  std::deque<Queued> queue_;
  std::uint64_t number_last_ = 0;
  std::uint64_t number_handled_ = 0;
  std::uint64_t dropped_ = 0;
  LogFile file_;      // the log thread's
  LogThread thread_;  // last: it ends first
};

}  // namespace

std::unique_ptr<LogHub> LogHub::create(LogHubOptions options) {
  return std::make_unique<Hub>(std::move(options));
}

}  // namespace ingle::insight
