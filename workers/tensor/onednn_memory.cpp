#include "tensor/onednn_memory.h"

#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <format>

namespace ingle::tensor::cpu {
namespace {

constexpr std::uintptr_t kLargePageBytes = 2 << 20;
// Clearing one takes 0.1 to 0.4 ms; 512 small ones take 0.3 ms, and 1 ms in a virtual machine.
constexpr auto kLargePageTimeMax = std::chrono::microseconds(800);
constexpr int kTries = 3;  // the first may only have been interrupted

}  // namespace

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

bool Pages::prefer_large() {
  const auto place = reinterpret_cast<std::uintptr_t>(data_);
  const auto skipped = (kLargePageBytes - place % kLargePageBytes) % kLargePageBytes;
  const auto whole = (static_cast<std::uintptr_t>(bytes_) - skipped) / kLargePageBytes;
  if (static_cast<std::uintptr_t>(bytes_) < skipped + kTries * kLargePageBytes) return true;
  std::byte* const begin = data_ + skipped;
  if (madvise(begin, whole * kLargePageBytes, MADV_HUGEPAGE) != 0) return false;
  for (int i = 0; i < kTries; ++i) {
    const auto before = std::chrono::steady_clock::now();
    *static_cast<volatile std::byte*>(begin + static_cast<std::uintptr_t>(i) * kLargePageBytes) =
        std::byte{0};
    if (std::chrono::steady_clock::now() - before < kLargePageTimeMax) return true;
  }
  madvise(begin, whole * kLargePageBytes, MADV_NOHUGEPAGE);
  return false;
}

void Pages::release() {
  if (data_) munmap(data_, static_cast<std::size_t>(bytes_));
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace ingle::tensor::cpu
