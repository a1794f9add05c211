// What is generated from the wire model and the table of routes, each as the whole text of a file.
// Pure: the same model gives the same text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json.h"
#include "protogen/wire_model.h"

namespace ingle::protogen {

// JSON Schema (2020-12) of one struct; what it uses is referred to as `ref_prefix` + name.
protocol::Json struct_schema(const WireStruct& type, std::string_view ref_prefix);
protocol::Json enum_schema(const WireEnum& type);

// A schema of one struct that stands alone, with all it uses under $defs.
protocol::Json standalone_schema(const WireModel& model, const WireStruct& type);

// The OpenAPI 3.1 document of every route.
protocol::Json openapi_document(const WireModel& model);

// The TypeScript module: Zod schemas, types, versions, messages and routes.
std::string typescript_module(const WireModel& model);

// A value with every field set to something else than its default, optional ones too.
protocol::Json full_sample(const WireModel& model, const WireStruct& type);
// A value of defaults only.
protocol::Json minimal_sample(const WireStruct& type);
// Text of the struct's golden file: {"full": ..., "minimal": ...}.
std::string golden_text(const WireModel& model, const WireStruct& type);

// The page with its generated tables (routes, messages of the WebSocket) put in anew, between the
// lines "<!-- generated: NAME -->" and "<!-- end -->". Nothing when the page lacks such a pair.
std::optional<std::string> page_with_tables(const WireModel& model, std::string page);

// Whether values of the struct are only ever sent by clients: absent fields have defaults then.
bool is_request(const WireStruct& type);

}  // namespace ingle::protogen
