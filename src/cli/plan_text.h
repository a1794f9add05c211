// A load's plan as text for people: verdict, memory by device, who is moved aside, settings,
// reasons, command. What the daemon says comes out escaped. Pure.
#pragma once

#include <string>

#include "protocol/resources.h"

namespace ingle::cli {

// Tables are at most `columns_max` wide; 0: any width.
std::string plan_text(const protocol::LoadPlan& plan, int columns_max);

}  // namespace ingle::cli
