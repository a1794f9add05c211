// Pages: memory straight from the system, given back as a whole. Weights and activations lie in it,
// so that what is held is what is reported. Not thread-safe.
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
  // Asks for pages of 2 MiB, which are handed out several times as fast as 512 small ones; products
  // gain nothing from them. False, and then it stays with small ones, where they are slow: a
  // virtual machine may have to ask its host for them, and have small ones at hand.
  bool prefer_large();
  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void release();

  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

}  // namespace ingle::tensor::cpu
