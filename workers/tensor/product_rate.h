// What the machine can do at most in this process and at this moment: the yardstick of benchmarks.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace ingle::tensor {

// Floating-point operations per second of a bf16 product of size x size by size in oneDNN alone, on
// all cores: the median of `runs`. Blocks. Errors: internal (the library refused).
base::Result<double> product_rate(std::int64_t size = 4096, std::int64_t runs = 5);

}  // namespace ingle::tensor
