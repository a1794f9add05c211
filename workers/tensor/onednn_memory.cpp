#include "tensor/onednn_memory.h"

#include <sys/mman.h>

#include <format>

namespace ingle::tensor::cpu {
base::Status Pages::resize(std::int64_t bytes) {
  release();
  if (bytes == 0) return {};
  void* const data = mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return base::fail(base::ErrorCode::out_of_memory,
                      std::format("the system gave no {} MiB for the model: close other programs, "
                                  "or choose a smaller picture or model",
                                  (bytes >> 20) + 1));
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
  return {};
}

void Pages::release() {
  if (data_) munmap(data_, static_cast<std::size_t>(bytes_));
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace ingle::tensor::cpu
