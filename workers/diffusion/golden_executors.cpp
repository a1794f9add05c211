#include "diffusion/golden_executors.h"

#include <format>

#ifdef INGLE_REFERENCE_EXECUTOR
#include "tensor/reference.h"
#endif

namespace ingle::diffusion {

std::string golden_executor_names() {
  std::string out;
  const auto add = [&out](std::string_view name) {
    if (!out.empty()) out += '|';
    out += name;
  };
#ifdef INGLE_REFERENCE_EXECUTOR
  add("reference");
#endif
  return out;
}

base::Result<std::unique_ptr<tensor::Executor>> make_golden_executor(std::string_view name) {
#ifdef INGLE_REFERENCE_EXECUTOR
  if (name == "reference") return tensor::make_reference_executor();
#endif
  return base::fail(base::ErrorCode::invalid_argument,
                    std::format("there is no executor '{}': {}", name, golden_executor_names()));
}

}  // namespace ingle::diffusion
