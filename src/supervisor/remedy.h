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

// Whether it ended because there was not enough memory, as far as its last words tell.
bool ran_out_of_memory(const platform::ExitStatus& status, const std::deque<OutputLine>& tail);

}  // namespace ingle::supervisor
