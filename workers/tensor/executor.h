// Executor: runs graphs on one device. A Module holds one model's weights there, packed once; a
// Program is one graph of it for fixed sizes, with its memory planned. Executors know no model.
//
// A worker uses one from one thread at a time; stop() of a run may be called from any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "tensor/graph.h"
#include "tensor/weights.h"

namespace ingle::tensor {

enum class Precision : std::uint8_t {
  f32,   // for checking
  bf16,  // products, convolutions and attention in bf16 with f32 sums; what is stored is bf16
  int8,  // weights in one byte with a scale for each block (q8_0)
};
std::string_view precision_name(Precision precision);

// One value that goes in. Sizes are CHECKed against the graph's input of that name.
struct Feed {
  std::string_view name{};
  std::variant<std::span<const float>, std::span<const std::int32_t>> data{};
};

// One value that comes out, f32, row-major.
struct Fetch {
  std::string_view name{};
  std::span<float> data{};
};

struct MemoryUse {
  std::uint64_t weights_bytes = 0;      // packed weights that the executor holds
  std::uint64_t activations_bytes = 0;  // planned for one run
  std::uint64_t scratch_bytes = 0;      // of the library's own, during one run
};

class Program {
 public:
  virtual ~Program() = default;
  // Runs once. Every input of the graph is fed. Errors: cancelled (`stop` was set: looked at
  // between any two operations), out_of_memory, internal.
  virtual base::Status run(std::span<const Feed> feeds, std::span<const Fetch> fetches,
                           const std::atomic<bool>& stop) = 0;
  // Activations and scratch of this program alone.
  virtual MemoryUse memory() const = 0;
};

// Called with weight bytes done and in all, while weights are packed.
using PackProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

class Module {
 public:
  virtual ~Module() = default;
  // Plans the graph for the wanted outputs (what does not lead to one is left out) and packs those
  // weights of it that are not yet there. The module must outlive the program; the graph need not.
  // Errors: the graph's own, out_of_memory, io_error, unsupported.
  virtual base::Result<std::unique_ptr<Program>> compile(const Graph& graph,
                                                         std::span<const std::string> outputs,
                                                         const PackProgress& progress = {}) = 0;
  // Weights of the module.
  virtual MemoryUse memory() const = 0;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // A model whose weights come from `source`, which must outlive the module.
  virtual base::Result<std::unique_ptr<Module>> open(const WeightSource& source) = 0;
  virtual std::string name() const = 0;  // "onednn", "ggml Vulkan0 (llvmpipe)", ...
  // What it holds for runs at the moment, of all its modules; no weights.
  virtual MemoryUse memory() const = 0;
  // Gives back what no run needs now. Not during one.
  virtual void trim() {}
};

}  // namespace ingle::tensor
