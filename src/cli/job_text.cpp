#include "cli/job_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <format>

#include "base/bytes.h"
#include "cli/terminal.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

using protocol::JobInfo;
using protocol::JobState;

constexpr int kBarColumns = 10;
constexpr std::array kKinds{"load", "benchmark", "calibration", "image"};
constexpr std::array kStates{"queued", "running",   "completed",
                             "failed", "cancelled", "interrupted"};

template <class E, std::size_t N>
std::string name_of(const std::array<const char*, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

std::string milliseconds_text(double ms) {
  const auto bounded = std::clamp(std::isfinite(ms) ? ms : 0, 0.0, 1e12);
  return base::format_duration(base::Micros(std::llround(bounded * 1000)));
}

std::string bytes_text(double bytes) {
  return base::format_bytes(static_cast<std::uint64_t>(std::clamp(bytes, 0.0, 1e18)));
}

std::string rate_text(const protocol::JobProgress& progress) {
  if (!progress.rate_per_s || progress.unit.empty()) return "";
  if (progress.unit == "bytes") return bytes_text(*progress.rate_per_s) + "/s";
  return std::format("{:.3g} {}/s", *progress.rate_per_s, progress.unit);
}

std::string left_text(const protocol::JobProgress& progress) {
  if (!progress.left_ms) return "";
  return milliseconds_text(static_cast<double>(*progress.left_ms));
}

bool under_way(const JobInfo& job) {
  return job.state == JobState::queued || job.state == JobState::running;
}

// One line about a job for a table.
std::string summary(const JobInfo& job) {
  if (job.error) return job.error->message;
  if (job.load)
    return job.load->already_loaded ? "was loaded already"
                                    : "loaded in " + milliseconds_text(job.load->load_ms);
  if (job.benchmark)
    return std::format("{:.4g} tokens/s read, {:.4g} generated", job.benchmark->prompt_tokens_per_s,
                       job.benchmark->generated_tokens_per_s);
  if (job.calibration) return job.calibration->verdict;
  if (job.image && !job.image->images.empty())
    return std::format("{} picture{}: {}{}", job.image->images.size(),
                       job.image->images.size() == 1 ? "" : "s", job.image->images.front(),
                       job.image->images.size() == 1 ? "" : ", ...");
  return job.progress.message;
}

std::string settings_text(const std::vector<protocol::Setting>& settings, int columns_max) {
  if (settings.empty()) return "";
  Table table({{.title = "SETTING"}, {.title = "VALUE"}, {.title = "FROM"}, {.title = "WHY"}});
  for (const auto& setting : settings)
    table.add({setting.name, setting.value, setting.origin, setting.reason});
  return table.text(columns_max);
}

std::string benchmark_text(const JobInfo& job, int columns_max) {
  const auto& result = *job.benchmark;
  std::string out = std::format(
      "{}: {:.4g} tokens/s read, {:.4g} tokens/s generated\n"
      "median of {} runs with prompts of {} tokens and {} generated",
      insight::escape_line(job.model), result.prompt_tokens_per_s, result.generated_tokens_per_s,
      result.runs, result.prompt_tokens, result.generated_tokens);
  if (result.resident_bytes > 0)
    out += "; the worker holds " + bytes_text(static_cast<double>(result.resident_bytes));
  return out + "\n" + settings_text(result.settings, columns_max);
}

// The default's time is a bar of kBarColumns; longer than twice that is cut.
std::string relative_time_text(double relative_time) {
  if (!(relative_time > 0)) return "-";
  const auto columns = std::lround(std::min(relative_time, 2.0) * kBarColumns);
  return std::format("{:4.2f} {}{}", relative_time,
                     std::string(static_cast<std::size_t>(std::max(1l, columns)), '='),
                     relative_time > 2 ? ">" : "");
}

}  // namespace

std::string calibration_text(const protocol::CalibrationResult& result, int columns_max) {
  std::string out = insight::escape_line(result.verdict) + "\n";
  Table table({{.title = "SETTINGS"},
               {Column::Align::right, "READ/s"},
               {Column::Align::right, "GENERATED/s"},
               {.title = "TIME"},
               {Column::Align::right, "MEMORY"},
               {.title = "NOTE"}});
  for (const auto& trial : result.trials) {
    std::string set;
    for (const auto& value : trial.set) set += (set.empty() ? "" : " ") + value;
    table.add(
        {set.empty() ? "(default)" : set, std::format("{:.4g}", trial.prompt_tokens_per_s),
         std::format("{:.4g}", trial.generated_tokens_per_s),
         relative_time_text(trial.relative_time),
         trial.resident_bytes > 0 ? bytes_text(static_cast<double>(trial.resident_bytes)) : "-",
         trial.note});
  }
  return out + (table.empty() ? "" : table.text(columns_max));
}

std::string job_kind_text(protocol::JobKind kind) { return name_of(kKinds, kind); }
std::string job_state_text(JobState state) { return name_of(kStates, state); }

std::string progress_bar(double share) {
  const double bounded = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0;
  const auto full = static_cast<std::size_t>(bounded * kBarColumns);
  return std::format("[{:<{}}] {:3.0f} %", std::string(full, '='), kBarColumns,
                     std::floor(bounded * 100));
}

std::string job_line(const JobInfo& job, int columns_max) {
  const auto& progress = job.progress;
  std::string out = progress_bar(progress.share) + "  ";
  if (!progress.message.empty())
    out += progress.message;
  else
    out += progress.stage.empty() ? job_state_text(job.state) : progress.stage;
  if (const auto rate = rate_text(progress); !rate.empty()) out += "  " + rate;
  if (const auto left = left_text(progress); !left.empty()) out += "  " + left + " left";
  out = insight::escape_line(out);
  return columns_max > 0 ? cut_to_width(out, columns_max) : out;
}

Table job_table(const std::vector<JobInfo>& jobs) {
  Table table({{.title = "JOB"},
               {.title = "KIND"},
               {.title = "MODEL"},
               {.title = "STATE"},
               {.title = "PROGRESS"},
               {Column::Align::right, "RATE"},
               {Column::Align::right, "LEFT"},
               {.title = "WHAT"}});
  const auto or_dash = [](std::string text) { return text.empty() ? "-" : text; };
  for (const auto& job : jobs) {
    const bool live = under_way(job);
    table.add({job.id, job_kind_text(job.kind), job.model, job_state_text(job.state),
               live ? progress_bar(job.progress.share) : "-",
               live ? or_dash(rate_text(job.progress)) : "-",
               live ? or_dash(left_text(job.progress)) : "-", summary(job)});
  }
  return table;
}

std::string job_card(const JobInfo& job, int columns_max) {
  std::string out =
      std::format("{}: {} of {}, {}\n", insight::escape_line(job.id), job_kind_text(job.kind),
                  insight::escape_line(job.model), job_state_text(job.state));
  if (job.started_unix_ms) {
    const auto waited = *job.started_unix_ms - job.created_unix_ms;
    if (waited > 0) out += "waited " + milliseconds_text(static_cast<double>(waited)) + "\n";
    if (job.ended_unix_ms)
      out += "took " +
             milliseconds_text(static_cast<double>(*job.ended_unix_ms - *job.started_unix_ms)) +
             "\n";
  }
  if (under_way(job)) out += job_line(job, columns_max) + "\n";
  if (job.error) {
    out += insight::escape_line(job.error->message) + "\n";
    for (const auto& line : job.error->context) out += "  (" + insight::escape_line(line) + ")\n";
  } else if (!under_way(job) && !job.progress.message.empty()) {
    out += insight::escape_line(job.progress.message) + "\n";
  }
  return out + result_text(job, columns_max);
}

std::string result_text(const JobInfo& job, int columns_max) {
  if (job.benchmark) return benchmark_text(job, columns_max);
  if (job.calibration) return calibration_text(*job.calibration, columns_max);
  if (job.image) {
    std::string out;
    for (const auto& id : job.image->images)
      out += std::format("picture {}\n", insight::escape_line(id));
    return out;
  }
  if (!job.load) return "";
  const auto name = insight::escape_line(job.load->model);
  return (job.load->already_loaded
              ? name + " was loaded already\n"
              : name + " is loaded, in " + milliseconds_text(job.load->load_ms) + "\n") +
         settings_text(job.load->plan.settings, columns_max);
}

}  // namespace ingle::cli
