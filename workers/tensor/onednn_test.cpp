// Goal: the oneDNN executor computes what the reference executor does, for every operation, for
// views of all kinds, for chains that are joined into one step and for memory that is shared; in
// f32 to rounding, in bf16 within its precision. Method: graphs made by hand for each operation,
// then random ones from printed seeds, run by both.
#include "tensor/onednn.h"

#include <gtest/gtest.h>

#include <cmath>
#include <format>
#include <random>

#include "tensor/memory_weights.h"
#include "tensor/onednn_plan.h"
#include "tensor/reference.h"

namespace ingle::tensor {
namespace {

std::vector<float> random_values(std::int64_t count, std::uint32_t seed, float scale = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (auto& x : out) x = normal(engine);
  return out;
}

// A source that knows every weight that is asked for: random, of a scale that keeps sizes near 1.
class RandomWeights : public MemoryWeights {
 public:
  Tensor weight(Graph& graph, Shape shape) {
    const std::string name = std::format("w{}", count_++);
    const auto width = shape.rank() > 1 ? shape.elements() / shape[0] : 1;
    add(name, shape,
        random_values(shape.elements(), count_, 1 / std::sqrt(static_cast<float>(width))));
    return graph.weight(name, shape);
  }

 private:
  std::uint32_t count_ = 0;
};

struct Values {
  std::vector<std::vector<float>> outputs;
};

Values run(Executor& executor, const Graph& graph, const WeightSource& weights) {
  std::vector<std::string> wanted;
  for (const auto& output : graph.outputs()) wanted.push_back(output.name);
  const auto module = executor.open(weights);
  const auto program = (*module)->compile(graph, wanted);
  EXPECT_TRUE(program) << program.error().text();
  if (!program) return {};
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<Feed> feeds;
  inputs.reserve(graph.nodes().size());
  ids.reserve(graph.nodes().size());
  for (const auto& node : graph.nodes()) {
    if (node.op != Op::input) continue;
    const auto seed = static_cast<std::uint32_t>(feeds.size() + 100);
    inputs.push_back(random_values(node.shape.elements(), seed));
    ids.emplace_back();
    for (const float x : inputs.back()) ids.back().push_back(static_cast<std::int32_t>(x * 4 + 3));
    if (node.ids)
      feeds.push_back({node.names[0], std::span<const std::int32_t>(ids.back())});
    else
      feeds.push_back({node.names[0], std::span<const float>(inputs.back())});
  }
  Values out;
  std::vector<Fetch> fetches;
  out.outputs.reserve(graph.outputs().size());
  for (const auto& output : graph.outputs()) {
    out.outputs.emplace_back(static_cast<std::size_t>(graph.shape(output.tensor).elements()), NAN);
    fetches.push_back({output.name, out.outputs.back()});
  }
  const std::atomic<bool> stop = false;
  for (int again = 0; again < 2; ++again) {  // a second run finds the arena full of old values
    const auto done = (*program)->run(feeds, fetches, stop);
    EXPECT_TRUE(done) << done.error().text();
  }
  return out;
}

// The largest difference as a part of the largest value.
float difference(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(b[i]));
    if (!(std::abs(a[i] - b[i]) <= apart)) apart = std::abs(a[i] - b[i]);
    if (std::isnan(a[i])) return INFINITY;
  }
  return most > 0 ? apart / most : apart;
}

// `bf16` is what that precision may be off by; sums of many roundings need more.
void check(const Graph& graph, const WeightSource& weights, float bf16 = 2e-2f) {
  ASSERT_TRUE(graph.status()) << graph.status().error().text();
  const auto expected = run(*make_reference_executor(), graph, weights);
  for (const auto precision : {Precision::f32, Precision::bf16}) {
    auto executor = make_onednn_executor({.precision = precision, .threads = 2});
    ASSERT_TRUE(executor);
    const auto got = run(**executor, graph, weights);
    ASSERT_EQ(got.outputs.size(), expected.outputs.size());
    for (std::size_t i = 0; i < got.outputs.size(); ++i)
      EXPECT_LE(difference(got.outputs[i], expected.outputs[i]),
                precision == Precision::f32 ? 5e-6f : bf16)
          << precision_name(precision) << ": " << graph.outputs()[i].name;
  }
}

TEST(Onednn, LinearWithWhatFollows) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {2, 300, 64}), y = g.input("y", {2, 300, 96});
  const auto small = g.input("small", {2, 64}), per_item = g.input("per_item", {2, 1, 96});
  const auto bias = w.weight(g, {96});
  const auto weight = w.weight(g, {96, 64});
  g.output("plain", g.linear(x, weight));
  g.output("again", g.linear(small, weight, bias));
  g.output("active", g.unary(g.linear(x, weight, bias), Unary::gelu_tanh));
  g.output("residual", g.add(y, g.linear(x, weight, bias)));
  const auto own = g.unary(y, Unary::silu);
  g.output("gated residual", g.mul_add(g.linear(x, weight, bias), per_item, own));
  g.output("channel", g.affine(g.mul(g.linear(x, weight), bias), 2, 1));
  g.output("computed", g.linear(x, g.reshape(g.input("z", {1, 32, 64}), {32, 64})));
  check(g, w);
}

TEST(Onednn, LinearReadsViews) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {2, 20, 96}), weight = w.weight(g, {48, 32});
  const auto h = g.linear(x, w.weight(g, {96, 96}));
  g.output("part", g.linear(g.slice(h, 2, 32, 64), weight));
  g.output("tokens", g.linear(g.reshape(g.slice(h, 1, 3, 12), {2, 9, 3, 32}), weight));
  g.output("turned", g.linear(g.permute(g.reshape(h, {2, 20, 3, 32}), {0, 2, 1, 3}), weight));
  g.output("repeated",
           g.linear(g.repeat(g.slice(g.input("y", {1, 1, 32}), 0, 0, 1), {2, 5, 32}), weight));
  check(g, w);
}

TEST(Onednn, Convolutions) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {2, 18, 17, 4});
  const auto h = g.conv2d(x, w.weight(g, {32, 4, 3, 3}), w.weight(g, {32}), 1, Padding::same(1));
  g.output("first", h);
  const auto time =
      g.reshape(g.linear(g.input("t", {2, 16}), w.weight(g, {32, 16})), {2, 1, 1, 32});
  g.output("time",
           g.add(g.conv2d(h, w.weight(g, {32, 32, 3, 3}), kNone, 1, Padding::same(1)), time));
  g.output("residual", g.add(g.unary(h, Unary::silu),
                             g.conv2d(h, w.weight(g, {32, 32, 1, 1}), w.weight(g, {32}), 1, {})));
  g.output("down", g.conv2d(h, w.weight(g, {24, 32, 3, 3}), w.weight(g, {24}), 2, {0, 0, 1, 1}));
  g.output("last", g.conv2d(h, w.weight(g, {3, 32, 3, 3}), w.weight(g, {3}), 1, Padding::same(1)));
  check(g, w);
}

TEST(Onednn, Norms) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.affine(g.input("x", {2, 9, 8, 32}), 1, 40);
  const auto scale = w.weight(g, {32}), shift = w.weight(g, {32});
  g.output("group", g.unary(g.group_norm(x, 8, scale, shift, 1e-5f), Unary::silu));
  const auto y = g.input("y", {2, 7, 32});
  g.output("layer", g.layer_norm(y, scale, shift, 1e-5f));
  const auto modulation = g.slice(g.input("m", {2, 1, 64}), 2, 32, 64);
  g.output("modulated",
           g.mul_add(g.layer_norm(y, kNone, kNone, 1e-6f), g.affine(modulation, 1, 1), modulation));
  g.output("rms", g.rms_norm(y, scale, 1e-6f));
  g.output("bare", g.rms_norm(y, kNone, 1e-6f));
  // In bf16 the mean of 40 leaves 8 bits for everything.
  check(g, w, 8e-2f);
}

TEST(Onednn, Elementwise) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {3, 5, 40}), y = g.input("y", {5, 1}), z = g.input("z", {3, 1, 40});
  for (const auto function : {Unary::silu, Unary::gelu_tanh, Unary::gelu_erf, Unary::gelu_quick,
                              Unary::tanh, Unary::sigmoid})
    g.output(std::format("unary {}", static_cast<int>(function)),
             g.unary(g.affine(x, 3, 0), function));
  g.output("add", g.add(y, x));
  g.output("outer", g.mul(y, z));
  g.output("square", g.mul(x, x));
  g.output("mul_add", g.mul_add(x, y, z));
  g.output("onto", g.mul_add(x, z, g.unary(x, Unary::tanh)));
  g.output("gated", g.gated(x, Unary::gelu_erf, Gate::second));
  g.output("gated first", g.gated(x, Unary::silu, Gate::first));
  g.output("scalar", g.mul(x, g.constant({1}, {0.5f})));
  check(g, w);
}

TEST(Onednn, ShapesAndTables) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {2, 6, 4, 10});
  const auto turned = g.permute(x, {0, 3, 1, 2});
  g.output("turned", turned);
  g.output("patches",
           g.reshape(g.permute(g.reshape(x, {2, 3, 2, 4, 10}), {0, 3, 1, 2, 4}), {2, 12, 20}));
  g.output("joined", g.concat({x, g.slice(x, 3, 2, 5), g.unary(x, Unary::silu)}, 3));
  g.output("stacked", g.concat({g.slice(x, 0, 1, 2), x}, 0));
  g.output("repeated", g.repeat(g.input("y", {6, 1, 10}), {2, 6, 4, 10}));
  g.output("enlarged", g.upsample_nearest(x, 12, 7));
  g.output("input", x);
  g.output("table", g.embedding(g.input_ids("ids", {2, 9}), w.weight(g, {5, 24})));
  check(g, w);
}

TEST(Onednn, AttentionOfAllKinds) {
  RandomWeights w;
  Graph g(w);
  const auto q = g.input("q", {2, 70, 4, 40}), k = g.input("k", {2, 50, 4, 40});
  const auto v = g.input("v", {2, 50, 4, 40});
  g.output("plain", g.attention(q, k, v, 0.2f));
  g.output("causal", g.attention(q, k, v, 0.2f, kNone, true));
  const auto one = g.input("one", {2, 50, 1, 40}), two = g.input("two", {2, 50, 2, 40});
  g.output("shared heads", g.attention(q, two, two, 0.2f));
  g.output("one head", g.attention(q, one, one, 0.2f));
  g.output("bias", g.attention(q, k, v, 0.2f, g.input("b", {1, 4, 70, 50})));
  std::vector<float> hidden(100, 0);
  for (std::size_t i = 0; i < 100; ++i)
    if (i >= 50 || i % 3 == 0) hidden[i] = -INFINITY;
  g.output("hidden", g.attention(q, k, v, 0.2f, g.constant({2, 1, 1, 50}, hidden)));
  const auto all = g.linear(g.input("x", {2, 33, 48}), w.weight(g, {3 * 48, 48}));
  const auto head = [&](std::int64_t i) {
    return g.reshape(g.slice(all, 2, 48 * i, 48 * (i + 1)), {2, 33, 3, 16});
  };
  const auto cos = g.input("cos", {33, 8}), sin = g.input("sin", {2, 33, 8});
  const auto sine = g.slice(sin, 0, 0, 1);
  const auto turned = g.rope(g.rms_norm(head(0), w.weight(g, {16}), 1e-6f), cos,
                             g.reshape(sine, {33, 8}), RopeStyle::pairs);
  g.output("views", g.attention(turned, head(1), head(2), 0.25f));
  g.output("halves", g.rope(head(1), sin, sin, RopeStyle::halves));
  check(g, w, 3e-2f);
}

TEST(Onednn, LongAttentionIsCutIntoBlocks) {
  RandomWeights w;
  Graph g(w);
  const auto q = g.input("q", {1, 600, 2, 24}), k = g.input("k", {1, 1100, 1, 24});
  g.output("out", g.attention(q, k, k, 0.4f));
  g.output("causal", g.attention(q, k, k, 0.4f, kNone, true));
  check(g, w, 3e-2f);
}

// Weights that are stored in 16 bits, joined, of sizes that fill no block, with and without a view
// of their bytes.
class HalfWeights : public MemoryWeights {
 public:
  explicit HalfWeights(bool visible) : visible_(visible) {}
  void add_half(const std::string& name, Shape shape, std::uint32_t seed) {
    auto values = random_values(shape.elements(), seed);
    auto& halves = halves_[name];
    for (auto& x : values) {
      halves.push_back(static_cast<_Float16>(x));
      x = static_cast<float>(halves.back());
    }
    add(name, shape, std::move(values));
  }
  std::optional<WeightInfo> find(std::string_view name) const override {
    auto out = MemoryWeights::find(name);
    if (out) out->type = kF16;
    return out;
  }
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    if (!visible_) return std::nullopt;
    return std::as_bytes(std::span(halves_.find(name)->second));
  }

 private:
  const bool visible_;
  std::map<std::string, std::vector<_Float16>, std::less<>> halves_{};
};

TEST(Onednn, WeightsPackedFromAnyStorage) {
  for (const bool visible : {true, false}) {
    HalfWeights w(visible);
    w.add_half("a", {70, 50}, 1);
    w.add_half("b", {33, 50}, 2);
    w.add_half("bias a", {70}, 3);
    w.add_half("bias b", {33}, 4);
    w.add_half("conv", {39, 50, 3, 3}, 5);
    w.add_half("odd", {20, 39, 3, 3}, 6);
    w.add_half("point", {35, 20, 1, 1}, 7);
    w.add_half("places", {1, 30, 50}, 8);
    Graph g(w);
    const std::string both[]{"a", "b"}, biases[]{"bias a", "bias b"};
    const auto x = g.add(g.input("x", {2, 30, 50}), g.weight("places", {30, 50}));
    g.output("joined",
             g.linear(x, g.weight_joined(both, {103, 50}), g.weight_joined(biases, {103})));
    auto h = g.conv2d(g.reshape(x, {2, 5, 6, 50}), g.weight("conv", {39, 50, 3, 3}), kNone, 1,
                      Padding::same(1));
    h = g.conv2d(h, g.weight("odd", {20, 39, 3, 3}), kNone, 1, Padding::same(1));
    g.output("point", g.conv2d(h, g.weight("point", {35, 20, 1, 1}), kNone, 1, {}));
    check(g, w);
  }
}

Tensor block(Graph& g, RandomWeights& w, Tensor x, std::int64_t size) {
  auto h = g.linear(g.layer_norm(x, kNone, kNone, 1e-5f), w.weight(g, {3 * size, size}));
  const auto head = [&](std::int64_t i) {
    const auto& s = g.shape(x);
    return g.reshape(g.slice(h, 2, i * size, (i + 1) * size), {s[0], s[1], 4, size / 4});
  };
  const auto a = g.attention(head(0), head(1), head(2), 0.3f);
  x = g.add(x, g.linear(g.reshape(a, g.shape(x)), w.weight(g, {size, size})));
  h = g.gated(g.linear(x, w.weight(g, {8 * size, size})), Unary::gelu_erf, Gate::second);
  return g.add(x, g.linear(h, w.weight(g, {size, 4 * size})));
}

TEST(Onednn, SameBitsWhateverTheBatchAndTheThreads) {
  for (const auto precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    std::vector<std::vector<float>> seen;
    for (const int threads : {2, 2, 1})
      for (const std::int64_t items : {1, 3}) {
        RandomWeights w;
        Graph g(w);
        const auto one = g.input("x", {1, 320, 64});
        const auto other = g.unary(one, Unary::tanh);
        const auto x = items == 1 ? g.affine(one, 1, 0) : g.concat({one, other, other}, 0);
        auto h = block(g, w, block(g, w, x, 64), 64);
        h = g.conv2d(g.reshape(h, {items, 20, 16, 64}), w.weight(g, {32, 64, 3, 3}), kNone, 1,
                     Padding::same(1));
        h = g.group_norm(h, 4, w.weight(g, {32}), w.weight(g, {32}), 1e-5f);
        g.output("out", g.slice(h, 0, 0, 1));
        auto executor = make_onednn_executor(
            {.precision = precision, .threads = threads, .int8 = {.inputs_min = 1}});
        seen.push_back(run(**executor, g, w).outputs[0]);
        EXPECT_EQ(seen.back(), seen.front()) << threads << " threads, " << items << " items";
      }
  }
}

TEST(Onednn, StopsAndTellsMistakes) {
  RandomWeights w;
  Graph g(w);
  g.output("out", block(g, w, g.input("x", {1, 40, 32}), 32));
  auto executor = make_onednn_executor({});
  const auto module = (*executor)->open(w);
  const std::string unknown[]{"nothing"}, wanted[]{"out"};
  const auto refused = (*module)->compile(g, unknown);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_argument);
  const auto program = (*module)->compile(g, wanted);
  ASSERT_TRUE(program);
  const std::vector<float> x(40 * 32, 1);
  const Feed feeds[]{{"x", std::span<const float>(x)}};
  const std::atomic<bool> stop = true;
  const auto done = (*program)->run(feeds, {}, stop);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, base::ErrorCode::cancelled);
  EXPECT_FALSE(make_onednn_executor({.threads = -1}));
}

TEST(Onednn, MemoryIsWhatIsAliveAndWeightsAreHeldOnce) {
  RandomWeights w;
  Graph g(w);
  auto x = g.input("x", {2, 64, 64});
  for (int i = 0; i < 4; ++i) x = block(g, w, x, 64);
  g.output("out", x);
  const std::string wanted[]{"out"};
  const auto plan = cpu::make_plan(g, wanted, Precision::f32);
  ASSERT_TRUE(plan);
  EXPECT_GE(plan->arena_bytes, plan->live_bytes_max);
  EXPECT_LE(static_cast<double>(plan->arena_bytes),
            1.1 * static_cast<double>(plan->live_bytes_max));
  // The widest layer's result, what it is made from and the residual: nothing else is alive.
  EXPECT_LE(plan->live_bytes_max, 2 * 64 * (8 + 4 + 1) * 64 * 4);

  auto executor = make_onednn_executor({.precision = Precision::f32});
  const auto module = (*executor)->open(w);
  std::uint64_t told = 0, total = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t all) { told = done, total = all; };
  const auto first = (*module)->compile(g, wanted, progress);
  ASSERT_TRUE(first);
  const auto held = (*module)->memory().weights_bytes;
  EXPECT_EQ(total, 4u * (3 + 1 + 8 + 4) * 64 * 64 * 4);
  EXPECT_EQ(told, total);
  EXPECT_EQ(held, total);
  told = 0;
  const auto second = (*module)->compile(g, wanted, progress);
  ASSERT_TRUE(second);
  EXPECT_EQ(told, 0u);
  EXPECT_EQ((*module)->memory().weights_bytes, held);
  EXPECT_EQ((*first)->memory().activations_bytes, static_cast<std::uint64_t>(plan->arena_bytes));
}

// Weights that a file has in a byte each; it counts what is read of them.
class ByteWeights : public RandomWeights {
 public:
  std::optional<WeightInfo> find(std::string_view name) const override {
    auto out = RandomWeights::find(name);
    if (out && out->shape.rank() == 2) out->type = kF8E4M3;
    return out;
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    rows_read += end - begin;
    if (fails) return base::fail(base::ErrorCode::io_error, "the file has gone");
    return RandomWeights::read(name, begin, end, out);
  }
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    return find(name)->type == kF32 ? RandomWeights::stored(name) : std::nullopt;
  }

  mutable std::atomic<std::int64_t> rows_read = 0;
  std::atomic<bool> fails = false;
};

TEST(Onednn, StoredWeightsAreReadByEachRunAndNotHeld) {
  constexpr std::int64_t kWidth = 1030, kOutputs = 9000;  // three panels, the last one narrow
  ByteWeights w;
  Graph g(w);
  const auto x = g.input("x", {1, 4, kWidth}), y = g.input("y", {1, 4, kOutputs});
  const auto weight = w.weight(g, {kOutputs, kWidth}), bias = w.weight(g, {kOutputs});
  g.output("active", g.unary(g.linear(x, weight, bias), Unary::gelu_tanh));
  g.output("added", g.add(y, g.linear(x, weight)));
  g.output("gated", g.mul_add(g.linear(x, weight, bias), bias, g.unary(y, Unary::silu)));
  const auto expected = run(*make_reference_executor(), g, w);
  for (const auto precision : {Precision::f32, Precision::int8}) {
    auto executor = make_onednn_executor(
        {.precision = precision, .weights = WeightsHeld::stored, .threads = 2});
    const auto found = run(**executor, g, w);
    for (std::size_t i = 0; i < found.outputs.size(); ++i)
      EXPECT_LE(difference(found.outputs[i], expected.outputs[i]),
                precision == Precision::f32 ? 5e-6f : 2e-2f)
          << i;
  }
  auto executor = make_onednn_executor({.weights = WeightsHeld::stored, .threads = 2});
  const auto module = (*executor)->open(w);
  const std::string wanted[]{"active"};
  w.rows_read = 0;
  const auto program = (*module)->compile(g, wanted);
  ASSERT_TRUE(program) << program.error().text();
  EXPECT_EQ(w.rows_read, 0);
  // A byte for each number, and the bias, which begins at a place of its own.
  EXPECT_NEAR(static_cast<double>((*module)->memory().weights_bytes),
              kOutputs * kWidth + 4 * kOutputs, 64);
  EXPECT_LT((*program)->memory().scratch_bytes, 16u << 20);
  const std::vector<float> values(4 * kWidth, 1);
  const Feed feeds[]{{"x", std::span<const float>(values)}};
  const std::atomic<bool> stop = false;
  for (int again = 1; again <= 2; ++again) {
    EXPECT_TRUE((*program)->run(feeds, {}, stop));
    EXPECT_EQ(w.rows_read, again * kOutputs);
  }
  w.fails = true;
  const auto failed = (*program)->run(feeds, {}, stop);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, base::ErrorCode::io_error);
}

TEST(Onednn, Int8TakesAByteForEachWeightThatItsRuleAllows) {
  RandomWeights w;
  Graph g(w);
  const auto x = g.input("x", {1, 64, 256});
  const auto narrow = g.linear(x, w.weight(g, {64, 256}));
  const auto wide = g.linear(x, w.weight(g, {512, 256}), w.weight(g, {512}));
  const auto one = g.linear(g.input("time", {1, 256}), w.weight(g, {512, 256}));
  g.output("narrow", narrow);
  g.output("wide", g.mul_add(wide, one, one));
  const auto expected = run(*make_reference_executor(), g, w);
  std::map<Precision, std::uint64_t> bytes;
  for (const auto precision : {Precision::bf16, Precision::int8}) {
    auto executor = make_onednn_executor({.precision = precision, .threads = 2});
    const auto found = run(**executor, g, w);
    EXPECT_LE(difference(found.outputs[0], expected.outputs[0]), 1e-2f);
    EXPECT_LE(difference(found.outputs[1], expected.outputs[1]), 2e-2f);
    const auto module = (*executor)->open(w);
    const std::string wanted[]{"narrow", "wide"};
    ASSERT_TRUE((*module)->compile(g, wanted));
    bytes[precision] = (*module)->memory().weights_bytes;
  }
  // The wide one is half as large, but for its scales and sums.
  EXPECT_NEAR(static_cast<double>(bytes[Precision::bf16] - bytes[Precision::int8]), 512 * 256,
              512 * 16);
}

TEST(Onednn, Int8KeepsNumbersThatAreNone) {
  RandomWeights w;
  Graph g(w);
  g.output("out", g.linear(g.input("x", {1, 64, 256}), w.weight(g, {256, 256})));
  auto executor = make_onednn_executor({.precision = Precision::int8, .threads = 2});
  const auto module = (*executor)->open(w);
  const std::string wanted[]{"out"};
  const auto program = (*module)->compile(g, wanted);
  ASSERT_TRUE(program);
  std::vector<float> x(64 * 256, 1), out(64 * 256);
  x[5] = NAN;
  x[256 + 5] = INFINITY;
  std::fill_n(x.begin() + 512, 256, 0.0f);
  const Feed feeds[]{{"x", std::span<const float>(x)}};
  const Fetch fetches[]{{"out", out}};
  const std::atomic<bool> stop = false;
  ASSERT_TRUE((*program)->run(feeds, fetches, stop));
  EXPECT_FALSE(std::isfinite(out[0]));
  EXPECT_FALSE(std::isfinite(out[256]));
  EXPECT_EQ(out[512], 0);
  EXPECT_TRUE(std::isfinite(out[768]));
}

// A random walk over operations on tokens [2, t, c]. Norms have a large epsilon, or they would
// enlarge the rounding of values that nearly cancel.
class RandomGraph {
 public:
  RandomGraph(Graph& graph, RandomWeights& weights, std::uint32_t seed)
      : g_(graph), w_(weights), engine_(seed) {
    values_.push_back(g_.input("x", {2, 12, 32}));
    values_.push_back(g_.input("y", {2, 12, 32}));
    for (int i = 0; i < 40; ++i) values_.push_back(step());
    for (int i = 0; i < 4; ++i) g_.output(std::format("out {}", i), pick());
    g_.output("last", values_.back());
  }

 private:
  std::size_t below(std::size_t n) { return engine_() % n; }
  Tensor pick() { return values_[values_.size() - 1 - below(std::min(values_.size(), 6uz))]; }
  Tensor vector() { return w_.weight(g_, {32}); }

  Tensor step() {
    const auto a = pick();
    switch (below(15)) {
      case 0:
        return g_.affine(g_.add(a, pick()), 0.7f, 0);
      case 1:
        return g_.unary(a, static_cast<Unary>(below(6)));
      case 2:
        return g_.mul_add(a, vector(), pick());
      case 3:
        return g_.linear(a, w_.weight(g_, {32, 32}), vector());
      case 4:
        return g_.add(pick(), g_.linear(a, w_.weight(g_, {32, 32})));
      case 5:
        return g_.gated(g_.linear(a, w_.weight(g_, {64, 32})), Unary::silu, Gate::first);
      case 6:
        return g_.layer_norm(a, vector(), kNone, 0.2f);
      case 7: {
        const auto picture = g_.reshape(a, {2, 3, 4, 32});
        const auto h = g_.group_norm(picture, 4, vector(), vector(), 0.2f);
        return g_.reshape(g_.conv2d(h, w_.weight(g_, {32, 32, 3, 3}), kNone, 1, Padding::same(1)),
                          {2, 12, 32});
      }
      case 8: {
        const auto q = g_.reshape(a, {2, 12, 4, 8}), k = g_.reshape(pick(), {2, 12, 4, 8});
        return g_.reshape(g_.attention(q, k, k, 0.05f, kNone, below(2) == 0), {2, 12, 32});
      }
      case 9:
        return g_.concat({g_.slice(a, 1, 6, 12), g_.slice(pick(), 1, 0, 6)}, 1);
      case 10:
        return g_.reshape(g_.permute(g_.reshape(a, {2, 12, 4, 8}), {0, 2, 1, 3}), {2, 12, 32});
      case 11:
        return g_.linear(g_.concat({g_.slice(a, 2, 16, 32), pick()}, 2), w_.weight(g_, {32, 48}));
      case 12: {
        const auto gate = g_.unary(g_.slice(pick(), 1, 4, 5), Unary::tanh);
        return g_.mul_add(g_.linear(a, w_.weight(g_, {32, 32})), gate, pick());
      }
      case 13:
        return g_.rms_norm(g_.add(a, g_.slice(pick(), 1, 0, 1)), vector(), 0.2f);
      default:
        return g_.unary(g_.affine(a, 0.5f, 0.1f), Unary::tanh);
    }
  }

  Graph& g_;
  RandomWeights& w_;
  std::mt19937 engine_;
  std::vector<Tensor> values_{};
};

TEST(Onednn, RandomGraphsAgree) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(std::format("seed {}", seed));
    RandomWeights w;
    Graph g(w);
    RandomGraph made(g, w, seed);
    check(g, w, 8e-2f);
  }
}

}  // namespace
}  // namespace ingle::tensor
