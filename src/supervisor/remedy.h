// What a person can do about a worker that died: a table of what engines write and how they end.
// Pure.
#pragma once

#include <deque>
#include <string>

#include "platform/process.h"
#include "supervisor/driver.h"

namespace ingle::supervisor {

// One or two sentences, beginning with a capital. `model` is named in commands.
std::string remedy_for(const platform::ExitStatus& status, const std::deque<OutputLine>& tail,
                       const std::string& model);

}  // namespace ingle::supervisor
