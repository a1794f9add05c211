// LogFile: the rotated file of JSON lines, and the thread that everything is written on. spdlog
// stays in log_file.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace ingle::insight {

// A file that is opened at the first line, rotated by size, and tried again later when it fails.
// One thread.
class LogFile {
 public:
  struct Options {
    std::filesystem::path path;
    std::size_t bytes_max = 10 << 20;
    std::size_t files_max = 5;
    base::Micros retry{base::Seconds(5)};  // after a failure
  };
  // What became of a line beyond the ordinary.
  struct Outcome {
    enum class Kind { fine, failed, mended } kind = Kind::fine;
    base::Error error{};           // with failed; told once, until it is mended
    std::uint64_t lines_lost = 0;  // with mended: at most
  };

  LogFile(Options options, const base::Clock& clock);
  ~LogFile();
  Outcome write(std::string_view line);
  Outcome flush();

 private:
  Outcome failed(base::Error error);

  struct Sink;
  const Options options_;
  const base::Clock& clock_;
  std::unique_ptr<Sink> sink_;  // none: not open
  base::MonoTime retry_at_{};
  bool broken_ = false;
  std::uint64_t lines_unflushed_ = 0;
  std::uint64_t lines_lost_ = 0;
};

// A thread that handles numbers in the order of posting, with a bounded queue: over the bound the
// oldest is dropped.
class LogThread {
 public:
  static constexpr std::size_t kQueueMax = 2048;

  // `on_start` and then `handle` run on the thread.
  LogThread(std::function<void()> on_start, std::function<void(std::uint64_t)> handle);
  // Handles what is queued, then ends the thread.
  ~LogThread();
  // Any thread; never waits.
  void post(std::uint64_t number);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ingle::insight
