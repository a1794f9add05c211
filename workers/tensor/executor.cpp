#include "tensor/executor.h"

#include <utility>

namespace ingle::tensor {

std::string_view precision_name(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
  }
  std::unreachable();
}

}  // namespace ingle::tensor
