#include "protocol/openapi.h"

namespace ingle::protocol {
namespace {

// clang-format off
constexpr char kDocument[] = {
#embed "../../docs/openapi.json"
};
// clang-format on

}  // namespace

std::string_view openapi_json() { return {kDocument, sizeof kDocument}; }

}  // namespace ingle::protocol
