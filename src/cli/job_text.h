// Jobs as text: their progress on one line, in a table, and their results. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/table.h"
#include "protocol/jobs.h"

namespace ingle::cli {

// "[=====     ]  50 %".
std::string progress_bar(double share);

// What it does and how far it is, to be written over, at most `columns_max` wide (0: any width):
// "[==        ]  20 %  measuring, run 2 of 5  1.2 runs/s  12 s left".
std::string job_line(const protocol::JobInfo& job, int columns_max);

// Jobs with their progress, rate and time left; of ended ones the result or why there is none.
Table job_table(const std::vector<protocol::JobInfo>& jobs);

// One job with everything that is known of it, in lines, the last one ended.
std::string job_card(const protocol::JobInfo& job, int columns_max);

// The result of a completed job in lines; empty: it has none.
std::string result_text(const protocol::JobInfo& job, int columns_max);

// What was found, and every trial: its settings, speeds, time as a bar (the default's is 1).
std::string calibration_text(const protocol::CalibrationResult& result, int columns_max);

// By their names on the wire.
std::string job_kind_text(protocol::JobKind kind);
std::string job_state_text(protocol::JobState state);

}  // namespace ingle::cli
