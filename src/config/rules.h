// What values a key may have, beyond its type. Pure.
#pragma once

#include "base/error.h"
#include "config/keys.h"
#include "config/value.h"

namespace ingle::config {

// Errors: invalid_argument ("must be from 0 to 65535, got 70000").
base::Status check_rule(const Key& key);

// Sizes may be written as text, such as "64MiB": turns one into its number of bytes where the key
// is a size, and leaves everything else alone. Errors: invalid_argument.
base::Result<Value> size_to_bytes(const Key& key, Value value);

}  // namespace ingle::config
