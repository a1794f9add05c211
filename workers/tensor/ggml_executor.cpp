#include "tensor/ggml_executor.h"

#include <algorithm>
#include <exception>
#include <format>

#include "base/check.h"
#include "tensor/ggml_builder.h"
#include "tensor/ggml_device.h"
#include "tensor/ggml_weights.h"

namespace ingle::tensor {
namespace {

using base::ErrorCode;

// The most operations that a card is given before `stop` is looked at again.
constexpr int kNodesPerSlice = 16;

std::vector<bool> live_nodes(const Graph& graph, std::span<const std::string> outputs) {
  const auto nodes = graph.nodes();
  std::vector<bool> live(nodes.size());
  for (const auto& name : outputs) {
    const auto found = std::ranges::find(graph.outputs(), name, &Output::name);
    CHECK(found != graph.outputs().end(), "an output of the graph");
    live[found->tensor.id] = true;
  }
  for (std::size_t i = nodes.size(); i-- > 0;)
    if (live[i])
      for (const auto operand : nodes[i].operands)
        if (operand != kNone) live[operand.id] = true;
  return live;
}

// The processor's products turn the second operand into what the first is made for.
std::uint64_t processor_scratch(ggml_cgraph* graph) {
  std::uint64_t most = 0;
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    const auto* node = ggml_graph_node(graph, i);
    if (node->op != GGML_OP_MUL_MAT || node->src[0]->type == node->src[1]->type) continue;
    const auto type = ggml_is_quantized(node->src[0]->type) ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
    most = std::max<std::uint64_t>(
        most, ggml_row_size(type, (ggml_nelements(node->src[1]) + 31) / 32 * 32));
  }
  return most;
}

class GgmlProgram : public Program {
 public:
  explicit GgmlProgram(GgmlDevices& devices) : devices_(devices) {}
  ~GgmlProgram() override { devices_.held.activations_bytes -= memory_.activations_bytes; }

  base::Status plan(const Graph& graph, const std::vector<bool>& live,
                    std::span<ggml_tensor* const> weights, std::span<const std::string> outputs);
  base::Status run(std::span<const Feed> feeds, std::span<const Fetch> fetches,
                   const std::atomic<bool>& stop) override;
  MemoryUse memory() const override { return memory_; }

 private:
  struct Value {
    std::string name;
    ggml_tensor* tensor;
  };

  ggml_cgraph* order(const Graph& graph, const GgmlBuilder& builder, const std::vector<bool>& live);
  base::Status expect_supported(ggml_cgraph* graph) const;
  base::Status upload(ggml_context* context, std::span<const GgmlConstant> constants);
  base::Status reserve();
  void place();
  void feed(std::span<const Feed> feeds);
  static bool before_node(ggml_tensor* node, bool ask, void* program);

  GgmlDevices& devices_;
  std::vector<ggml_context_ptr> contexts_;
  ggml_backend_buffer_ptr constants_;
  ggml_backend_sched_ptr scheduler_;
  ggml_cgraph* graph_ = nullptr;
  std::vector<GgmlInput> inputs_;
  std::vector<GgmlIds> ids_;
  std::vector<Value> outputs_;
  MemoryUse memory_{};
  // Of the run at hand.
  const std::atomic<bool>* stop_ = nullptr;
  int slice_ = 0;
};

base::Status GgmlProgram::plan(const Graph& graph, const std::vector<bool>& live,
                               std::span<ggml_tensor* const> weights,
                               std::span<const std::string> outputs) {
  GgmlBuilder builder(graph, devices_, weights);
  builder.build(live);
  for (const auto& name : outputs) {
    const auto found = std::ranges::find(graph.outputs(), name, &Output::name);
    auto* tensor = builder.value(found->tensor);
    // Its memory is not used again for something else.
    ggml_set_output(tensor);
    if (tensor->view_src) ggml_set_output(tensor->view_src);
    outputs_.push_back({name, tensor});
  }
  contexts_ = std::move(builder.contexts);
  contexts_.push_back(std::move(builder.constants_context));
  auto* constants_context = contexts_.back().get();
  inputs_ = std::move(builder.inputs);
  ids_ = std::move(builder.ids);
  graph_ = order(graph, builder, live);
  TRY(expect_supported(graph_));
  TRY(upload(constants_context, builder.constants));
  return reserve();
}

// In the order in which they were made, so that nothing is computed long before it is used.
ggml_cgraph* GgmlProgram::order(const Graph& graph, const GgmlBuilder& builder,
                                const std::vector<bool>& live) {
  std::size_t count = 0;
  for (const auto& context : contexts_)
    count += ggml_get_mem_size(context.get()) / ggml_tensor_overhead();
  contexts_.push_back(make_ggml_context(ggml_graph_overhead_custom(count, false)));
  auto* out = ggml_new_graph_custom(contexts_.back().get(), count, false);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i)
    if (live[i] && graph.nodes()[i].op != Op::weight)
      if (auto* value = builder.value({static_cast<std::uint32_t>(i)}))
        ggml_build_forward_expand(out, value);
  return out;
}

base::Status GgmlProgram::expect_supported(ggml_cgraph* graph) const {
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    const auto* node = ggml_graph_node(graph, i);
    if (devices_.device_does(node) || devices_.processor_does(node)) continue;
    return base::fail(ErrorCode::unsupported,
                      std::format("neither {} nor the processor has ggml's operation {} for this "
                                  "model; use another executor or other weights",
                                  devices_.name(), ggml_op_desc(node)));
  }
  return {};
}

base::Status GgmlProgram::upload(ggml_context* context, std::span<const GgmlConstant> constants) {
  if (constants.empty()) return {};
  constants_.reset(ggml_backend_alloc_ctx_tensors(context, devices_.device()));
  if (!constants_)
    return base::fail(ErrorCode::out_of_memory,
                      std::format("{} has no room for a model's constants", devices_.name()));
  ggml_backend_buffer_set_usage(constants_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  for (const auto& [tensor, data] : constants)
    ggml_backend_tensor_set(tensor, data.data(), 0, data.size());
  return {};
}

base::Status GgmlProgram::reserve() {
  const ggml_gallocr_ptr planner(
      ggml_gallocr_new(ggml_backend_get_default_buffer_type(devices_.device())));
  std::size_t planned = 0;
  ggml_gallocr_reserve_n_size(planner.get(), graph_, nullptr, nullptr, &planned);
  TRY(devices_.expect_room(planned, "the values between the operations"));
  std::vector<ggml_backend_t> backends{devices_.device()};
  if (!devices_.is_processor()) backends.push_back(devices_.processor());
  scheduler_.reset(
      ggml_backend_sched_new(backends.data(), nullptr, static_cast<int>(backends.size()),
                             static_cast<std::size_t>(ggml_graph_size(graph_)), false, false));
  if (!devices_.is_processor()) place();
  if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph_))
    return base::fail(ErrorCode::out_of_memory,
                      std::format("{} has no room for {} MiB of values between the operations",
                                  devices_.name(), planned >> 20));
  for (auto* backend : backends)
    memory_.activations_bytes += ggml_backend_sched_get_buffer_size(scheduler_.get(), backend);
  if (constants_) memory_.activations_bytes += ggml_backend_buffer_get_size(constants_.get());
  if (devices_.is_processor()) memory_.scratch_bytes = processor_scratch(graph_);
  devices_.held.activations_bytes += memory_.activations_bytes;
  devices_.held.scratch_bytes = std::max(devices_.held.scratch_bytes, memory_.scratch_bytes);
  return {};
}

bool is_view(const ggml_tensor* tensor) {
  return tensor->op == GGML_OP_NONE || tensor->op == GGML_OP_VIEW ||
         tensor->op == GGML_OP_RESHAPE || tensor->op == GGML_OP_PERMUTE ||
         tensor->op == GGML_OP_TRANSPOSE;
}

// What the device can do is done there. By itself, ggml's scheduler leaves to the processor what
// touches no weight, since the inputs are there. Views go with what they show.
void GgmlProgram::place() {
  auto* scheduler = scheduler_.get();
  const auto here = [&](ggml_tensor* tensor) {
    ggml_backend_sched_set_tensor_backend(scheduler, tensor, devices_.device());
  };
  for (int i = 0; i < ggml_graph_n_nodes(graph_); ++i)
    if (auto* node = ggml_graph_node(graph_, i); !is_view(node) && devices_.device_does(node))
      here(node);
  for (const auto& input : inputs_) here(input.tensor);
  for (const auto& input : ids_) here(input.ids), here(input.known);
}

template <class T>
std::span<const T> fed(std::span<const Feed> feeds, const std::string& name, std::int64_t count) {
  const auto found = std::ranges::find(feeds, name, &Feed::name);
  CHECK(found != feeds.end(), "every input is fed");
  const auto data = std::get<std::span<const T>>(found->data);
  CHECK(static_cast<std::int64_t>(data.size()) == count, "an input of its size");
  return data;
}

void GgmlProgram::feed(std::span<const Feed> feeds) {
  // Inputs that only lead to what was left out have no memory.
  for (const auto& [name, tensor] : inputs_)
    if (tensor->buffer) {
      const auto data = fed<float>(feeds, name, ggml_nelements(tensor));
      ggml_backend_tensor_set(tensor, data.data(), 0, data.size_bytes());
    }
  for (const auto& [name, rows, tensor, known] : ids_) {
    const auto data = fed<std::int32_t>(feeds, name, ggml_nelements(tensor));
    std::vector<std::int32_t> safe(data.begin(), data.end());
    std::vector<float> is_known(data.size(), 1);
    for (std::size_t i = 0; i < safe.size(); ++i)
      if (safe[i] < 0 || safe[i] >= rows) is_known[i] = 0, safe[i] = 0;
    ggml_backend_tensor_set(tensor, safe.data(), 0, ggml_nbytes(tensor));
    ggml_backend_tensor_set(known, is_known.data(), 0, ggml_nbytes(known));
  }
}

// ggml's scheduler asks before each node whether to pause after it, and then whether to go on.
bool GgmlProgram::before_node(ggml_tensor*, bool ask, void* program) {
  auto& self = *static_cast<GgmlProgram*>(program);
  if (!ask) return !self.stop_->load();
  return self.stop_->load() || ++self.slice_ % kNodesPerSlice == 0;
}

base::Status GgmlProgram::run(std::span<const Feed> feeds, std::span<const Fetch> fetches,
                              const std::atomic<bool>& stop) try {
  const auto cancelled = [] { return base::fail(ErrorCode::cancelled, "the run was stopped"); };
  if (stop) return cancelled();
  feed(feeds);
  stop_ = &stop;
  // The processor asks by itself between any two operations.
  devices_.set_stop(&stop);
  if (!devices_.is_processor())
    ggml_backend_sched_set_eval_callback(scheduler_.get(), before_node, this);
  const auto status = ggml_backend_sched_graph_compute(scheduler_.get(), graph_);
  devices_.set_stop(nullptr);
  if (stop || status == GGML_STATUS_ABORTED) return cancelled();
  if (status == GGML_STATUS_ALLOC_FAILED)
    return base::fail(ErrorCode::out_of_memory,
                      std::format("{} ran out of memory while computing", devices_.name()));
  if (status != GGML_STATUS_SUCCESS)
    return base::fail(ErrorCode::internal,
                      std::format("{} failed while computing: {}", devices_.name(),
                                  ggml_status_to_string(status)));
  for (const auto& fetch : fetches) {
    const auto found = std::ranges::find(outputs_, fetch.name, &Value::name);
    CHECK(found != outputs_.end(), "an output that the program was compiled for");
    CHECK(static_cast<std::int64_t>(fetch.data.size()) == ggml_nelements(found->tensor),
          "an output of its size");
    ggml_backend_tensor_get(found->tensor, fetch.data.data(), 0, fetch.data.size_bytes());
  }
  return {};
} catch (const std::exception& error) {
  devices_.set_stop(nullptr);
  return base::fail(ErrorCode::internal,
                    std::format("{} failed while computing: {}", devices_.name(), error.what()));
}

class GgmlModule : public Module {
 public:
  GgmlModule(GgmlDevices& devices, const WeightSource& source)
      : devices_(devices), source_(source), store_(devices, source) {}

  base::Result<std::unique_ptr<Program>> compile(const Graph& graph,
                                                 std::span<const std::string> outputs,
                                                 const PackProgress& progress) override try {
    if (!graph.status()) return std::unexpected(graph.status().error());
    const auto live = live_nodes(graph, outputs);
    const auto types = wanted_types(graph, live, source_, devices_);
    TRY(store_.add(graph, types, progress));
    std::vector<ggml_tensor*> weights(live.size());
    for (std::size_t i = 0; i < live.size(); ++i)
      if (types[i] != GGML_TYPE_COUNT) weights[i] = store_.find(graph.nodes()[i], types[i]);
    auto out = std::make_unique<GgmlProgram>(devices_);
    TRY(out->plan(graph, live, weights, outputs));
    return out;
  } catch (const std::bad_alloc&) {
    return base::fail(ErrorCode::out_of_memory, "there is no memory to plan the model's run");
  } catch (const std::exception& error) {
    return base::fail(ErrorCode::internal, std::format("{} failed while a model was prepared: {}",
                                                       devices_.name(), error.what()));
  }
  MemoryUse memory() const override { return {.weights_bytes = store_.bytes()}; }

 private:
  GgmlDevices& devices_;
  const WeightSource& source_;
  GgmlStore store_;
};

class GgmlExecutor : public Executor {
 public:
  explicit GgmlExecutor(std::unique_ptr<GgmlDevices> devices) : devices_(std::move(devices)) {}
  base::Result<std::unique_ptr<Module>> open(const WeightSource& source) override {
    return std::make_unique<GgmlModule>(*devices_, source);
  }
  std::string name() const override { return "ggml " + devices_->name(); }
  MemoryUse memory() const override { return devices_->held; }

 private:
  std::unique_ptr<GgmlDevices> devices_;
};

}  // namespace

base::Result<std::unique_ptr<Executor>> make_ggml_executor(GgmlOptions options) {
  TRY_ASSIGN(auto devices, GgmlDevices::create(options));
  return std::make_unique<GgmlExecutor>(std::move(devices));
}

}  // namespace ingle::tensor
