#include "insight/log_file.h"

// The standard library's formatting, so that libfmt is not needed at run time.
#define SPDLOG_HEADER_ONLY
#define SPDLOG_USE_STD_FORMAT
#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <sys/stat.h>

#include <cstring>

#include "platform/files.h"

namespace ingle::insight {
namespace {

// Runs what may fail with spdlog's exception.
template <class F>
base::Status guarded(const std::filesystem::path& path, F&& body) {
  try {
    body();
    return {};
  } catch (const std::exception& exception) {
    return base::fail(base::ErrorCode::io_error,
                      "cannot write the log file " + path.string() + ": " + exception.what());
  }
}

}  // namespace

struct LogFile::Sink {
  spdlog::sinks::rotating_file_sink_st file;

  explicit Sink(const Options& options)
      : file(options.path.string(), options.bytes_max, options.files_max, false, handlers()) {
    file.set_pattern("%v");
  }
  // Logs may hold what is nobody else's business.
  static spdlog::file_event_handlers handlers() {
    spdlog::file_event_handlers out;
    out.after_open = [](const spdlog::filename_t&, std::FILE* stream) {
      fchmod(fileno(stream), S_IRUSR | S_IWUSR);
    };
    return out;
  }
};

LogFile::LogFile(Options options, const base::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

LogFile::~LogFile() = default;

LogFile::Outcome LogFile::failed(base::Error error) {
  sink_.reset();
  retry_at_ = clock_.mono_now() + options_.retry;
  lines_lost_ += std::exchange(lines_unflushed_, 0);
  if (std::exchange(broken_, true)) return {};
  return {.kind = Outcome::Kind::failed, .error = std::move(error)};
}

LogFile::Outcome LogFile::write(std::string_view line) {
  if (broken_ && clock_.mono_now() < retry_at_) {
    ++lines_lost_;
    return {};
  }
  ++lines_unflushed_;
  if (!sink_) {
    const auto folder = platform::create_files()->make_folder(options_.path.parent_path());
    if (!folder) return failed(folder.error());
    const auto opened = guarded(options_.path, [&] { sink_ = std::make_unique<Sink>(options_); });
    if (!opened) return failed(opened.error());
  }
  // After a failure half a line may stand in the file: the next one begins on a line of its own.
  const std::string after_failure = broken_ ? "\n" + std::string(line) : std::string();
  const std::string_view text = broken_ ? after_failure : line;
  const auto written = guarded(options_.path, [&] {
    sink_->file.log({"", spdlog::level::info, spdlog::string_view_t(text.data(), text.size())});
    if (broken_) sink_->file.flush();
  });
  if (!written) return failed(written.error());
  if (!std::exchange(broken_, false)) return {};
  lines_unflushed_ = 0;
  return {.kind = Outcome::Kind::mended, .lines_lost = std::exchange(lines_lost_, 0)};
}

LogFile::Outcome LogFile::flush() {
  if (!sink_) return {};
  const auto flushed = guarded(options_.path, [&] { sink_->file.flush(); });
  if (!flushed) return failed(flushed.error());
  lines_unflushed_ = 0;
  return {};
}

struct LogThread::Impl {
  struct Sink final : spdlog::sinks::sink {
    std::function<void(std::uint64_t)> handle;

    void log(const spdlog::details::log_msg& message) override {
      std::uint64_t number = 0;
      std::memcpy(&number, message.payload.data(), sizeof number);
      handle(number);
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
  };

  // Shared, as spdlog wants it: the queue holds the logger, the logger the pool (weakly).
  std::shared_ptr<Sink> sink = std::make_shared<Sink>();
  std::shared_ptr<spdlog::async_logger> logger;
  std::shared_ptr<spdlog::details::thread_pool> pool;  // last: its thread ends first
};

LogThread::LogThread(std::function<void()> on_start, std::function<void(std::uint64_t)> handle)
    : impl_(std::make_unique<Impl>()) {
  impl_->sink->handle = std::move(handle);
  // The thread inherits a mask without any signal: they are for the main thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl_->pool = std::make_shared<spdlog::details::thread_pool>(
      kQueueMax, 1, [on_start = std::move(on_start)] {
        pthread_setname_np(pthread_self(), "ingle-log");
        on_start();
      });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  impl_->logger = std::make_shared<spdlog::async_logger>(
      "log", impl_->sink, impl_->pool, spdlog::async_overflow_policy::overrun_oldest);
  // All that can fail here is a post while the pool ends: nothing to say.
  impl_->logger->set_error_handler([](const std::string&) {});
}

LogThread::~LogThread() = default;

void LogThread::post(std::uint64_t number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  impl_->logger->log(spdlog::level::info, spdlog::string_view_t(bytes, sizeof bytes));
}

}  // namespace ingle::insight
