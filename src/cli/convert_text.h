// What a conversion wrote, as text. Pure.
#pragma once

#include <string>

#include "protocol/convert.h"

namespace ingle::cli {

// The file and its size, a table of what was written by type with its error, and what has another
// type than was meant for it. In lines, the last one ended.
std::string convert_text(const protocol::ConvertResult& result, int columns_max);

}  // namespace ingle::cli
