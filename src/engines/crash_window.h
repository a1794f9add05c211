// CrashWindow: counts the crashes of each model in a sliding window, so that a model that only
// crashes is not loaded over and over. Pure over the times it is given.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace ingle::engines {

class CrashWindow {
 public:
  CrashWindow(std::size_t crashes_max, base::Micros window)
      : crashes_max_(crashes_max), window_(window) {}

  void record(const std::string& model, base::MonoTime now);
  // How long the model must be let alone; nothing: it may be loaded.
  std::optional<base::Micros> blocked_for(const std::string& model, base::MonoTime now);

 private:
  const std::size_t crashes_max_;
  const base::Micros window_;
  std::map<std::string, std::deque<base::MonoTime>, std::less<>> crashes_;  // none is empty
};

}  // namespace ingle::engines
