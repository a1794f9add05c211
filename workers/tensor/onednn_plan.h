// Plan: a graph lowered for the CPU: what is left of it for the wanted outputs, as steps on views
// of buffers, with neighbouring operations joined into one step and every buffer placed in one
// arena. It holds no library objects and no weights; it knows neither threads nor the library that
// runs products. Plain values, made once by make_plan(), read by any thread.
//
// What becomes of operations:
// - reshape, permute, slice and repeat are views (steps between elements, in elements) as long as
//   their users can read them so; else one copy is made and shared.
// - Everything that works along rows (elementwise, norms, rope, gated, copies) is a RowStep: stages
//   on one row at a time in f32. A chain of operations of which each is used once is one step.
// - Products and convolutions take the stages that follow them as far as the library can do these.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"
#include "tensor/graph.h"

namespace ingle::tensor::cpu {

enum class Type : std::uint8_t { f32, bf16, i32 };
constexpr std::int64_t type_bytes(Type type) { return type == Type::bf16 ? 2 : 4; }

using Strides = std::array<std::int64_t, kAxesMax>;

inline constexpr std::uint32_t kNoBuffer = ~0u;

// Where a tensor lies. A stride of 0 repeats an axis.
struct View {
  std::uint32_t buffer = kNoBuffer;
  Type type = Type::f32;
  std::int64_t offset = 0;  // elements
  Shape shape{};
  Strides strides{};  // elements

  bool there() const { return buffer != kNoBuffer; }
};

Strides dense_strides(const Shape& shape);
// Row-major without gaps (axes of 1 may have any stride).
bool is_dense(const View& view);
// Aligned at the last axis, repeated to the shape.
View broadcast_to(View view, const Shape& shape);
// The same elements in another shape, when one view can say so.
std::optional<View> reshaped(const View& view, const Shape& shape);
// Axes [begin, end) walked as one: its stride, or nothing when there is none.
std::optional<std::int64_t> joint_stride(const View& view, std::size_t begin, std::size_t end);

// A weight in the form in which it is used.
enum class WeightForm : std::uint8_t {
  plain,   // f32, row-major, as rows read it
  linear,  // packed for products
  conv,    // packed for convolutions
};
struct WeightUse {
  std::vector<std::string> names;
  Shape shape;
  WeightForm form{};
  std::string key() const;  // equal for equal uses
};

struct Buffer {
  enum class Kind : std::uint8_t { arena, input, constant, weight };
  Kind kind{};
  std::int64_t bytes = 0;
  std::string name{};         // input
  std::vector<float> data{};  // constant
  std::uint32_t weight = 0;   // number in Plan::weights
  // Arena: the steps from the first write to the last read, and the place.
  std::uint32_t first = ~0u, last = 0;
  std::int64_t place = 0;
  // Shares the memory of another buffer, which ends where this one begins.
  std::uint32_t same_as = kNoBuffer;
};

// One operation on a row that is in f32. Operands are repeated to the step's shape (rope: to its
// heads, with the last axis halved).
struct Stage {
  enum class Kind : std::uint8_t { add, mul, mul_add, add_product, affine, unary, norm, rope };
  Kind kind{};
  View b{}, c{};  // norm: scale and shift; rope: cos and sin
  float x = 0, y = 0;
  Unary unary{};
  bool centred = false;
  RopeStyle rope{};
};

struct RowStep {
  View in{};
  bool halved = false;  // `in` is twice as wide: gated
  Unary unary{};
  Gate gate{};
  std::vector<Stage> stages{};
  View out{};
};

// Factor and offset of each channel, such that a * factor + offset is the group norm. f32 [n, c].
struct MomentsStep {
  View in{};  // [n, places, c]
  std::int64_t groups = 1;
  float epsilon = 0;
  View scale{}, shift{};
  View factor{}, offset{};
};

struct LinearStep {
  View a{};
  std::uint32_t weight = ~0u;  // number in Plan::weights, or
  View b{};                    // computed, dense [out, in]
  View bias{};
  std::vector<Stage> stages{};
  View out{};
};

struct ConvStep {
  View a{};
  std::uint32_t weight = ~0u;
  View b{};
  View bias{};
  std::int64_t kernel_height = 1, kernel_width = 1, stride = 1;
  Padding padding{};
  std::vector<Stage> stages{};
  View out{};
};

struct AttentionStep {
  View q{}, k{}, v{};
  View bias{};  // repeated to [n, heads, t, s]
  float scale = 1;
  bool causal = false;
  View out{};
};

struct UpsampleStep {
  View in{}, out{};
};

struct EmbeddingStep {
  View ids{};
  std::string table{};  // read from the source row by row, or
  View b{};             // in memory
  std::int64_t rows = 0;
  View out{};
};

// Hands a value out.
struct EmitStep {
  View in{};
  std::uint32_t output = 0;  // number in Plan::outputs
};

using Work = std::variant<RowStep, MomentsStep, LinearStep, ConvStep, AttentionStep, UpsampleStep,
                          EmbeddingStep, EmitStep>;

struct Step {
  Op op{};  // of the first operation in it: for profiles
  Work work{};
  std::vector<std::uint32_t> reads{};
  std::uint32_t writes = kNoBuffer;
  std::uint32_t writes_too = kNoBuffer;
  // The out buffer shares memory with this operand of the stages (or with `in`: -1).
  static constexpr int kNotInPlace = -2, kOnInput = -1;
  int in_place = kNotInPlace;
};

struct PlanOutput {
  std::string name;
  std::int64_t elements;
};

struct Plan {
  std::vector<Buffer> buffers;
  std::vector<WeightUse> weights;
  std::vector<Step> steps;
  std::vector<PlanOutput> outputs;
  std::int64_t arena_bytes = 0;
  // The most that is alive at once at any step: what the arena cannot be smaller than.
  std::int64_t live_bytes_max = 0;
};

// Errors: the graph's own, invalid_argument (an output that it has not).
base::Result<Plan> make_plan(const Graph& graph, std::span<const std::string> outputs,
                             Precision precision);

// Fills in the buffers' lives and places and the steps' in_place. Called by make_plan.
void place_buffers(Plan& plan);

}  // namespace ingle::tensor::cpu
