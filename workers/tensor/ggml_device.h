// GgmlDevices: one opened device of ggml and the processor beside it, and what about them matters
// to the making of graphs. Inside of the room only: it shows ggml's types.
#pragma once

#include <ggml-backend.h>
#include <ggml-cpp.h>

#include <string>

#include "base/error.h"
#include "tensor/ggml_executor.h"

namespace ingle::tensor {

// No context of ggml's may hold data of its own: what it makes is only described there.
ggml_context_ptr make_ggml_context(std::size_t bytes);

class GgmlDevices {
 public:
  static base::Result<std::unique_ptr<GgmlDevices>> create(const GgmlOptions& options);

  ggml_backend_t device() const { return device_ ? device_.get() : processor_.get(); }
  // The same as device() when the device is the processor.
  ggml_backend_t processor() const { return processor_.get(); }
  bool is_processor() const { return device_ == nullptr; }
  bool is_vulkan() const { return vulkan_; }
  GgmlWeights weights() const { return weights_; }
  bool exact() const { return weights_ == GgmlWeights::f32; }
  const std::string& name() const { return name_; }

  bool device_does(const ggml_tensor* operation) const;
  bool processor_does(const ggml_tensor* operation) const;
  // Error out_of_memory when the device can never have as many bytes at once.
  base::Status expect_room(std::uint64_t bytes, std::string_view what) const;
  // The processor's part looks at it between any two operations. nullptr: none.
  void set_stop(const std::atomic<bool>* stop);

  // Of all programs that there are. The processor keeps the largest scratch it ever needed.
  MemoryUse held{};

 private:
  GgmlDevices() = default;

  ggml_backend_ptr processor_;
  ggml_backend_ptr device_;  // nullptr when the processor is the device
  ggml_backend_set_abort_callback_t set_abort_ = nullptr;
  GgmlWeights weights_{};
  bool vulkan_ = false;
  std::string name_;
};

}  // namespace ingle::tensor
