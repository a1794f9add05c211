// Where a value stands in a JSON text, for messages about a value that is already parsed (parsed
// values carry no positions, since nearly none is ever complained about). Any thread.
#pragma once

#include <string>
#include <string_view>

namespace ingle::protocol {

// "line 3, column 14" of the value at `path`, such as "models[3].id"; the start of the text when
// there is no such value. The text must have been parsed without error before.
std::string locate_json(std::string_view text, std::string_view path);

}  // namespace ingle::protocol
