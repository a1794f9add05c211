// GgmlStore: the weights of one model in a device's memory, each packed once in the form that its
// users ask for. Inside of the room only.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "tensor/ggml_device.h"
#include "tensor/graph.h"

namespace ingle::tensor {

// A shape in ggml's order: fastest first. Leading axes of five are joined.
struct GgmlAxes {
  std::int64_t ne[GGML_MAX_DIMS]{1, 1, 1, 1};
  explicit GgmlAxes(const Shape& shape);
};

// The forms in which the live weights of a graph are wanted, by number of node; GGML_TYPE_COUNT for
// nodes that are no such weight. A weight with users of several kinds is wanted as f32.
std::vector<ggml_type> wanted_types(const Graph& graph, const std::vector<bool>& live,
                                    const WeightSource& source, const GgmlDevices& devices);

class GgmlStore {
 public:
  GgmlStore(const GgmlDevices& devices, const WeightSource& source)
      : devices_(devices), source_(source) {}

  // Packs what is not yet there. Errors: out_of_memory, io_error, model_broken.
  base::Status add(const Graph& graph, std::span<const ggml_type> types,
                   const PackProgress& progress);
  // CHECKs that it was added.
  ggml_tensor* find(const Node& node, ggml_type type) const;
  std::uint64_t bytes() const;

 private:
  struct Wanted {
    const Node* node = nullptr;
    ggml_type type{};
    ggml_tensor* tensor = nullptr;
  };
  base::Status fill(const Wanted& wanted, std::uint64_t& done, std::uint64_t total,
                    const PackProgress& progress) const;
  base::Status fill_part(const std::string& name, ggml_tensor* tensor, std::size_t offset_bytes,
                         const std::function<void(std::uint64_t)>& advance) const;

  const GgmlDevices& devices_;
  const WeightSource& source_;
  std::vector<ggml_context_ptr> contexts_;
  std::vector<ggml_backend_buffer_ptr> buffers_;
  std::map<std::string, ggml_tensor*> tensors_;
};

}  // namespace ingle::tensor
