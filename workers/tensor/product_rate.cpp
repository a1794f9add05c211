#include "tensor/product_rate.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "tensor/onednn_library.h"

namespace ingle::tensor {
namespace {

double measured(std::int64_t size, std::int64_t runs) {
  using Tag = dnnl::memory::format_tag;
  using Type = dnnl::memory::data_type;
  using Clock = std::chrono::steady_clock;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl::memory::dims shape{size, size};
  const dnnl::memory::desc rows(shape, Type::bf16, Tag::ab), free(shape, Type::bf16, Tag::any);
  const dnnl::matmul::primitive_desc description(engine, rows, free, rows);
  const dnnl::matmul product(description);
  dnnl::memory a(rows, engine), b(description.weights_desc(), engine), out(rows, engine);
  for (auto* memory : {&a, &b}) {
    // Ones: denormal numbers or zeros could be faster or slower than what is usual.
    auto* data = static_cast<std::uint16_t*>(memory->get_data_handle());
    std::fill_n(data, memory->get_desc().get_size() / 2, std::uint16_t{0x3f80});
  }
  std::vector<double> times;
  for (std::int64_t i = 0; i <= runs; ++i) {
    const auto start = Clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, out}});
    stream.wait();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  times.erase(times.begin());  // warm-up
  std::ranges::sort(times);
  const auto n = static_cast<double>(size);
  return 2 * n * n * n / times[times.size() / 2];
}

}  // namespace

base::Result<double> product_rate(std::int64_t size, std::int64_t runs) {
  return cpu::guarded("measuring a product",
                      [&] -> base::Result<double> { return measured(size, runs); });
}

}  // namespace ingle::tensor
