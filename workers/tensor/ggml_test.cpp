// Goal: the ggml executor's own sides: devices, errors instead of ends of the process, weights in
// every form, memory as it is reported, and runs that are stopped. Method: small models on ggml's
// processor backend; what cannot fit is only described, never made. That each operation is right is
// tested in ops_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "tensor/ggml_device.h"
#include "tensor/ggml_executor.h"
#include "tensor/memory_weights.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

using base::ErrorCode;

std::unique_ptr<Executor> on_processor(GgmlWeights weights) {
  // With one thread nobody waits for another, which is slow on a busy machine.
  auto out = make_ggml_executor({.device = "CPU", .threads = 1, .weights = weights});
  EXPECT_TRUE(out) << out.error().text();
  return std::move(*out);
}

std::vector<float> wave(std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::sin(static_cast<float>(i * i % 977));
  return out;
}

// One matrix in any of ggml's types. What cannot be taken as it is stored is read as f32.
class TypedWeights : public WeightSource {
 public:
  TypedWeights(Shape shape, ggml_type type, bool whole = true) : info_{shape, type}, whole_(whole) {
    const auto values = wave(shape.elements());
    bytes_.resize(ggml_row_size(type, shape.elements()));
    ggml_quantize_chunk(type, values.data(), bytes_.data(), 0, shape[0], shape[1], nullptr);
    values_.resize(values.size());
    if (type == GGML_TYPE_F32)
      values_ = values;
    else
      ggml_get_type_traits(type)->to_float(bytes_.data(), values_.data(), shape.elements());
  }
  std::optional<WeightInfo> find(std::string_view name) const override {
    return name == "w" ? std::optional(info_) : std::nullopt;
  }
  base::Status read(std::string_view, std::int64_t begin, std::int64_t,
                    std::span<float> out) const override {
    std::copy_n(values_.begin() + begin * info_.shape[1], out.size(), out.begin());
    return {};
  }
  std::optional<std::span<const std::byte>> stored(std::string_view) const override {
    return whole_ ? std::optional(std::span<const std::byte>(bytes_)) : std::nullopt;
  }

 private:
  WeightInfo info_;
  bool whole_;
  std::vector<std::byte> bytes_;
  std::vector<float> values_;
};

// A matrix that is far too large to be there.
class HugeWeights : public WeightSource {
 public:
  std::optional<WeightInfo> find(std::string_view) const override { return WeightInfo{kShape}; }
  base::Status read(std::string_view, std::int64_t, std::int64_t, std::span<float>) const override {
    return base::fail(ErrorCode::io_error, "nobody reads this");
  }
  std::optional<std::span<const std::byte>> stored(std::string_view) const override {
    return std::nullopt;
  }
  static inline const Shape kShape{1 << 19, 1 << 20};
};

void build_linear(Graph& graph, const WeightSource& source) {
  const auto shape = source.find("w")->shape;
  graph.output("y", graph.linear(graph.input("x", {5, shape[1]}), graph.weight("w", shape)));
}

const std::string kOutput[]{"y"};

base::Result<std::vector<float>> run_linear(Executor& executor, const WeightSource& source,
                                            MemoryUse* memory = nullptr) {
  const auto shape = source.find("w")->shape;
  Graph graph(source);
  build_linear(graph, source);
  TRY_ASSIGN(const auto module, executor.open(source));
  TRY_ASSIGN(const auto program, module->compile(graph, kOutput));
  std::vector<float> x = wave(5 * shape[1]), y(static_cast<std::size_t>(5 * shape[0]));
  const Feed feeds[]{{"x", std::span<const float>(x)}};
  const Fetch fetches[]{{"y", y}};
  TRY(program->run(feeds, fetches, std::atomic<bool>(false)));
  if (memory) *memory = module->memory();
  return y;
}

TEST(Ggml, ListsTheProcessorWithItsMemory) {
  const auto devices = list_ggml_devices();
  ASSERT_TRUE(devices) << devices.error().text();
  const auto found = std::ranges::find(*devices, GgmlDeviceKind::processor, &GgmlDevice::kind);
  ASSERT_NE(found, devices->end());
  EXPECT_EQ(found->name, "CPU");
  EXPECT_GT(found->total_bytes, 1u << 28);
  EXPECT_FALSE(found->description.empty());
}

TEST(Ggml, ADeviceThatIsNotThereIsNamedWithThoseThatAre) {
  const auto executor = make_ggml_executor({.device = "Toaster7"});
  ASSERT_FALSE(executor);
  EXPECT_EQ(executor.error().code, ErrorCode::not_found);
  EXPECT_NE(executor.error().message.find("Toaster7"), std::string::npos);
  EXPECT_NE(executor.error().message.find("CPU"), std::string::npos);
}

TEST(Ggml, ABackendThatCannotBeLoadedIsNamed) {
  const auto executor = make_ggml_executor({.extra_backends = {"/nowhere/libggml-toaster.so"}});
  ASSERT_FALSE(executor);
  EXPECT_EQ(executor.error().code, ErrorCode::io_error);
  EXPECT_NE(executor.error().message.find("libggml-toaster.so"), std::string::npos);
}

TEST(Ggml, WeightsAndValuesThatCanNeverFitAreErrors) {
  const auto executor = on_processor(GgmlWeights::f16);
  const HugeWeights weights;
  const auto result = run_linear(*executor, weights);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::out_of_memory);

  const MemoryWeights none;
  Graph graph(none);
  graph.output("y", graph.affine(graph.input("x", {1 << 20, 1 << 19}), 2, 1));
  const auto module = executor->open(none);
  const auto program = (*module)->compile(graph, kOutput);
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().code, ErrorCode::out_of_memory);
}

TEST(Ggml, AMistakeOfTheGraphIsItsError) {
  const MemoryWeights none;
  Graph graph(none);
  graph.output("y", graph.linear(graph.input("x", {2, 3}), graph.weight("absent", {4, 3})));
  const auto module = on_processor(GgmlWeights::f32)->open(none);
  const auto program = (*module)->compile(graph, kOutput);
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().code, ErrorCode::model_broken);
}

// Bounds are those of the second operand's type in ggml's products on a processor.
TEST(Ggml, StoredWeightsStayAsTheyAre) {
  const Shape shape{48, 512};
  for (const auto type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                          GGML_TYPE_Q4_0, GGML_TYPE_Q5_1, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
    SCOPED_TRACE(ggml_type_name(type));
    const TypedWeights weights(shape, type);
    MemoryUse memory;
    const auto wanted = run_linear(*make_reference_executor(), weights);
    const auto found = run_linear(*on_processor(GgmlWeights::stored), weights, &memory);
    ASSERT_TRUE(found) << found.error().text();
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < wanted->size(); ++i) {
      difference += std::pow((*wanted)[i] - (*found)[i], 2);
      size += std::pow((*wanted)[i], 2);
    }
    EXPECT_LT(std::sqrt(difference / size), 0.01);
    EXPECT_EQ(memory.weights_bytes, ggml_row_size(type, shape.elements()));
  }
}

// As when an adapter is added to them.
TEST(Ggml, StoredBlocksThatMustBeMadeAnewAreQ8) {
  const Shape shape{48, 512};
  const TypedWeights weights(shape, GGML_TYPE_Q4_K, false);
  MemoryUse memory;
  ASSERT_TRUE(run_linear(*on_processor(GgmlWeights::stored), weights, &memory));
  EXPECT_EQ(memory.weights_bytes, ggml_row_size(GGML_TYPE_Q8_0, shape.elements()));
}

TEST(Ggml, RowsThatAreNoWholeBlocksAreF16) {
  const TypedWeights weights({48, 40}, GGML_TYPE_F32);
  MemoryUse memory;
  ASSERT_TRUE(run_linear(*on_processor(GgmlWeights::q8_0), weights, &memory));
  EXPECT_EQ(memory.weights_bytes, 48 * 40 * 2u);
}

TEST(Ggml, ProgramsShareTheWeightsOfTheirModule) {
  const TypedWeights weights({64, 256}, GGML_TYPE_F32);
  const auto executor = on_processor(GgmlWeights::f16);
  const auto module = *executor->open(weights);
  Graph graph(weights);
  build_linear(graph, weights);
  std::vector<std::uint64_t> steps;
  const auto first = module->compile(graph, kOutput, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 64 * 256 * 2u);
    steps.push_back(done);
  });
  ASSERT_TRUE(first) << first.error().text();
  ASSERT_FALSE(steps.empty());
  EXPECT_TRUE(std::ranges::is_sorted(steps));
  EXPECT_EQ(steps.back(), 64 * 256 * 2u);
  const auto bytes = module->memory().weights_bytes;
  EXPECT_EQ(bytes, 64 * 256 * 2u);
  const auto second = module->compile(
      graph, kOutput, [&](std::uint64_t, std::uint64_t) { ADD_FAILURE() << "packed again"; });
  ASSERT_TRUE(second);
  EXPECT_EQ(module->memory().weights_bytes, bytes);
  // At least what goes in and out.
  EXPECT_GE((*second)->memory().activations_bytes, 5 * (64 + 256) * 4u);
}

TEST(Ggml, WhatLeadsToNoWantedOutputIsLeftOut) {
  MemoryWeights weights;
  weights.add("unused", {64, 64}, wave(64 * 64));
  Graph graph(weights);
  const auto x = graph.input("x", {2, 64});
  graph.output("y", graph.affine(x, 2, 0));
  graph.output("z", graph.linear(graph.input("other", {2, 64}), graph.weight("unused", {64, 64})));
  const auto executor = on_processor(GgmlWeights::f32);
  const auto module = *executor->open(weights);
  const auto program = module->compile(graph, kOutput);
  ASSERT_TRUE(program);
  EXPECT_EQ(module->memory().weights_bytes, 0u);
  std::vector<float> in = wave(128), out(128);
  const Feed feeds[]{{"x", std::span<const float>(in)}};
  const Fetch fetches[]{{"y", out}};
  ASSERT_TRUE((*program)->run(feeds, fetches, std::atomic<bool>(false)));
  EXPECT_FLOAT_EQ(out[5], 2 * in[5]);
}

TEST(Ggml, ARunIsStoppedAndTheNextOneIsWhole) {
  MemoryWeights weights;
  weights.add("w", {96, 96}, wave(96 * 96));
  Graph graph(weights);
  auto x = graph.input("x", {96, 96});
  for (int i = 0; i < 2000; ++i)
    x = graph.rms_norm(graph.linear(x, graph.weight("w", {96, 96})), kNone, 1e-5f);
  graph.output("y", x);
  const auto executor = on_processor(GgmlWeights::f32);
  const auto module = *executor->open(weights);
  const auto program = module->compile(graph, kOutput);
  ASSERT_TRUE(program) << program.error().text();
  std::vector<float> in = wave(96 * 96), out(96 * 96, 7);
  const Feed feeds[]{{"x", std::span<const float>(in)}};
  const Fetch fetches[]{{"y", out}};

  std::atomic<bool> stop = true;
  EXPECT_EQ((*program)->run(feeds, fetches, stop).error().code, ErrorCode::cancelled);
  stop = false;
  // Most often while it runs, which takes far longer than the start of a thread.
  std::thread other([&] { stop = true; });
  const auto stopped = (*program)->run(feeds, fetches, stop);
  other.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(std::ranges::all_of(out, [](float value) { return value == 7; }));
  stop = false;
  ASSERT_TRUE((*program)->run(feeds, fetches, stop));
  EXPECT_TRUE(std::ranges::none_of(out, [](float value) { return value == 7; }));
}

}  // namespace
}  // namespace ingle::tensor
