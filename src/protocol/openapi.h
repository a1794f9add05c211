// The OpenAPI 3.1 document of the daemon's HTTP surface, as committed in docs/openapi.json
// (ingle-protogen writes it; a test holds it current). Static storage.
#pragma once

#include <string_view>

namespace ingle::protocol {

std::string_view openapi_json();

}  // namespace ingle::protocol
