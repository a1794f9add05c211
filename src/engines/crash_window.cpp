#include "engines/crash_window.h"

namespace ingle::engines {

void CrashWindow::record(const std::string& model, base::MonoTime now) {
  auto& times = crashes_[model];
  times.push_back(now);
  if (times.size() > crashes_max_) times.pop_front();
}

std::optional<base::Micros> CrashWindow::blocked_for(const std::string& model, base::MonoTime now) {
  const auto found = crashes_.find(model);
  if (found == crashes_.end()) return std::nullopt;
  auto& times = found->second;
  while (!times.empty() && now - times.front() >= window_) times.pop_front();
  if (times.empty()) {
    crashes_.erase(found);
    return std::nullopt;
  }
  if (times.size() < crashes_max_) return std::nullopt;
  return std::chrono::ceil<base::Micros>(times.front() + window_ - now);
}

}  // namespace ingle::engines
