#include "tensor/onednn_kernels.h"

namespace ingle::tensor::cpu {

extern const Kernels kernels_base;
#if defined(__x86_64__)
extern const Kernels kernels_v3;
extern const Kernels kernels_v4;
#endif

const Kernels& kernels() {
#if defined(__x86_64__)
  static const Kernels& best = __builtin_cpu_supports("x86-64-v4")   ? kernels_v4
                               : __builtin_cpu_supports("x86-64-v3") ? kernels_v3
                                                                     : kernels_base;
  return best;
#else
  return kernels_base;
#endif
}

}  // namespace ingle::tensor::cpu
