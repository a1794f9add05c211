#include "jobs/quiet.h"

#include <algorithm>
#include <format>

namespace ingle::jobs {

std::string disturbance(const platform::CpuLoad& before, const platform::CpuLoad& after,
                        base::Micros elapsed) {
  if (elapsed <= base::Micros(0)) return "";
  const auto others = (after.busy - before.busy) - (after.own - before.own);
  if (others < kOthersTimeMin) return "";
  const auto time = static_cast<double>(elapsed.count());
  const double others_share =
      std::min(1.0, static_cast<double>(others.count()) / (time * after.processors));
  const double waited_share =
      std::clamp(static_cast<double>((after.waited - before.waited).count()) / time, 0.0, 1.0);
  if (others_share > kOthersShareMax)
    return std::format("other programs took {:.0f} % of the processors", others_share * 100);
  if (others_share > kOthersShareMin && waited_share > kWaitedShareMax)
    return std::format(
        "tasks waited {:.0f} % of the time for a processor, and other programs took "
        "{:.0f} % of them",
        waited_share * 100, others_share * 100);
  return "";
}

std::string disturbance(const protocol::ResidentList& now, std::string_view model) {
  using enum protocol::WorkerState;
  for (const auto& one : now.models) {
    if (one.id == model) {
      if (one.requests_running > 1) return "others used the model, too";
      continue;
    }
    if (one.requests_running > 0) return std::format("'{}' was answering requests", one.id);
    if (one.state == spawned || one.state == greeted || one.state == loading)
      return std::format("'{}' was loading", one.id);
  }
  return "";
}

}  // namespace ingle::jobs
