// Pages: memory straight from the system, given back as a whole. Weights and activations lie in it,
// so that what is held is what is reported. No huge pages: products gain nothing from them, and a
// virtual machine may need 2 s to hand out a GiB of them (0.5 s in small ones). Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace ingle::tensor::cpu {

class Pages {
 public:
  Pages() = default;
  ~Pages() { release(); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // What was there is lost. Errors: out_of_memory (and then it is empty).
  base::Status resize(std::int64_t bytes);
  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void release();

  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

}  // namespace ingle::tensor::cpu
