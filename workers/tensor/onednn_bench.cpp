// How much of the machine the oneDNN executor uses on stacks of blocks in the shapes of real
// models: useful operations per second, divided by those of a 4096-cubed product in the same run
// (measured beside each run), and where the time went. Arguments: names of stacks; none: all.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <format>
#include <functional>
#include <print>
#include <random>

#include "base/check.h"
#include "tensor/onednn.h"

namespace ingle::tensor {
namespace {

using Clock = std::chrono::steady_clock;

// Knows every weight that was asked for; all share one pool of random f16.
class PoolWeights : public WeightSource {
 public:
  explicit PoolWeights(std::size_t elements) : pool_(elements) {
    std::mt19937 engine(1);
    for (auto& x : pool_)
      x = static_cast<_Float16>(static_cast<float>(engine() % 2001) * 3e-5f - 0.03f);
  }
  Tensor weight(Graph& graph, Shape shape) {
    CHECK(shape.elements() <= static_cast<std::int64_t>(pool_.size()), "a pool large enough");
    shapes_.push_back(shape);
    return graph.weight(std::to_string(shapes_.size() - 1), shape);
  }
  std::optional<WeightInfo> find(std::string_view name) const override {
    return WeightInfo{shape(name), kF16};
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    const auto width = shape(name).elements() / shape(name)[0];
    std::copy(pool_.begin() + begin * width, pool_.begin() + end * width, out.begin());
    return {};
  }
  std::optional<std::span<const std::byte>> stored(std::string_view) const override {
    return std::as_bytes(std::span(pool_));
  }
  std::int64_t bytes() const {
    std::int64_t out = 0;
    for (const auto& shape : shapes_) out += shape.elements() * 2;
    return out;
  }

 private:
  const Shape& shape(std::string_view name) const {
    return shapes_[static_cast<std::size_t>(std::atoi(std::string(name).c_str()))];
  }
  std::vector<_Float16> pool_;
  std::vector<Shape> shapes_{};
};

struct Maker {
  Graph& g;
  PoolWeights& w;

  Tensor linear(Tensor a, std::int64_t out, bool bias = true) {
    const auto in = g.shape(a).last();
    const auto weight = w.weight(g, {out, in});
    return g.linear(a, weight, bias ? w.weight(g, {out}) : kNone);
  }
  Tensor conv(Tensor a, std::int64_t out, std::int64_t size = 3) {
    const auto weight = w.weight(g, {out, g.shape(a).last(), size, size});
    return g.conv2d(a, weight, w.weight(g, {out}), 1, Padding::same(size / 2));
  }
  Tensor norm(Tensor a) {
    const Shape c{g.shape(a).last()};
    return g.layer_norm(a, w.weight(g, c), w.weight(g, c), 1e-5f);
  }
  Tensor group(Tensor a) {
    const Shape c{g.shape(a).last()};
    return g.unary(g.group_norm(a, 32, w.weight(g, c), w.weight(g, c), 1e-5f), Unary::silu);
  }
  Tensor resnet(Tensor x, std::int64_t out, Tensor time) {
    auto h = conv(group(x), out);
    if (time != kNone) h = g.add(h, g.reshape(linear(time, out), {g.shape(x)[0], 1, 1, out}));
    h = conv(group(h), out);
    return g.add(g.shape(x).last() == out ? x : conv(x, out, 1), h);
  }
  Tensor heads(Tensor a, std::int64_t count) {
    const auto& s = g.shape(a);
    return g.reshape(a, {s[0], s[1], count, s[2] / count});
  }
  Tensor attend(Tensor q, Tensor k, Tensor v, std::int64_t count) {
    const auto shape = g.shape(q);
    const auto size = static_cast<float>(shape[2] / count);
    const auto out =
        g.attention(heads(q, count), heads(k, count), heads(v, count), 1 / std::sqrt(size));
    return g.reshape(out, shape);
  }
  Tensor transformer(Tensor x, Tensor context, std::int64_t count) {
    const auto c = g.shape(x).last();
    auto h = norm(x);
    x = g.add(
        x, linear(attend(linear(h, c, false), linear(h, c, false), linear(h, c, false), count), c));
    h = norm(x);
    x = g.add(x, linear(attend(linear(h, c, false), linear(context, c, false),
                               linear(context, c, false), count),
                        c));
    h = g.gated(linear(norm(x), 8 * c), Unary::gelu_erf, Gate::second);
    return g.add(x, linear(h, c));
  }
};

Tensor part(Graph& g, Tensor a, std::int64_t i, std::int64_t width) {
  return g.slice(a, g.shape(a).rank() - 1, i * width, (i + 1) * width);
}

// FLUX: hidden c, `count` heads of 128.
struct Flux {
  Maker m;
  std::int64_t c, count;
  Tensor vec, cos, sin;

  Tensor modulated(Tensor x, Tensor shift, Tensor scale) {
    return m.g.mul_add(m.g.layer_norm(x, kNone, kNone, 1e-6f), m.g.affine(scale, 1, 1), shift);
  }
  std::vector<Tensor> modulation(std::int64_t n) {
    const auto all = m.linear(m.g.unary(vec, Unary::silu), n * c);
    std::vector<Tensor> out;
    for (std::int64_t i = 0; i < n; ++i)
      out.push_back(m.g.reshape(part(m.g, all, i, c), {1, 1, c}));
    return out;
  }
  Tensor qk(Tensor a) {
    return m.g.rms_norm(m.heads(a, count), m.w.weight(m.g, {c / count}), 1e-6f);
  }
  Tensor joint(Tensor q, Tensor k, Tensor v) {
    auto& g = m.g;
    const Shape s = g.shape(q);
    const auto turn = [&](Tensor a) { return g.rope(a, cos, sin, RopeStyle::pairs); };
    return g.reshape(g.attention(turn(q), turn(k), v, 0.088f), {s[0], s[1], c});
  }
  void twin(Tensor& img, Tensor& txt) {
    auto& g = m.g;
    const auto mi = modulation(6), mt = modulation(6);
    const auto qi = m.linear(modulated(img, mi[0], mi[1]), 3 * c);
    const auto qt = m.linear(modulated(txt, mt[0], mt[1]), 3 * c);
    const auto both = [&](std::int64_t i) {
      const auto t = part(g, qt, i, c), p = part(g, qi, i, c);
      return i == 2 ? g.concat({m.heads(t, count), m.heads(p, count)}, 1)
                    : g.concat({qk(t), qk(p)}, 1);
    };
    const auto a = joint(both(0), both(1), both(2));
    const auto nt = g.shape(txt)[1], n = g.shape(a)[1];
    const auto finish = [&](Tensor x, Tensor attended, const std::vector<Tensor>& mod) {
      x = g.mul_add(m.linear(attended, c), mod[2], x);
      const auto h = g.unary(m.linear(modulated(x, mod[3], mod[4]), 4 * c), Unary::gelu_tanh);
      return g.mul_add(m.linear(h, c), mod[5], x);
    };
    img = finish(img, g.slice(a, 1, nt, n), mi);
    txt = finish(txt, g.slice(a, 1, 0, nt), mt);
  }
  void single(Tensor& x) {
    auto& g = m.g;
    const auto mod = modulation(3);
    const auto h = m.linear(modulated(x, mod[0], mod[1]), 7 * c);
    const auto a =
        joint(qk(part(g, h, 0, c)), qk(part(g, h, 1, c)), m.heads(part(g, h, 2, c), count));
    const auto mlp = g.unary(g.slice(h, 2, 3 * c, 7 * c), Unary::gelu_tanh);
    x = g.mul_add(m.linear(g.concat({a, mlp}, 2), c), mod[2], x);
  }
};

void flux(Graph& g, PoolWeights& w, std::int64_t tokens) {
  const std::int64_t text = 512;
  Flux f{{g, w},
         3072,
         24,
         g.input("vec", {1, 3072}),
         g.input("cos", {tokens + text, 64}),
         g.input("sin", {tokens + text, 64})};
  auto img = g.input("img", {1, tokens, 3072}), txt = g.input("txt", {1, text, 3072});
  f.twin(img, txt);
  auto x = g.concat({txt, img}, 1);
  for (int i = 0; i < 2; ++i) f.single(x);
  g.output("out", x);
}

struct Stack {
  std::string_view name;
  void (*build)(Graph&, PoolWeights&);
};

const Stack kStacks[]{
    {"resnet320",
     [](Graph& g, PoolWeights& w) {
       auto x = g.input("x", {2, 64, 64, 320});
       const auto time = g.input("time", {2, 1280});
       for (int i = 0; i < 3; ++i) x = Maker{g, w}.resnet(x, 320, time);
       g.output("out", x);
     }},
    {"resnet1280",
     [](Graph& g, PoolWeights& w) {
       auto x = g.input("x", {2, 16, 16, 1280});
       const auto time = g.input("time", {2, 1280});
       for (int i = 0; i < 3; ++i) x = Maker{g, w}.resnet(g.concat({x, x}, 3), 1280, time);
       g.output("out", x);
     }},
    {"transformer320",
     [](Graph& g, PoolWeights& w) {
       auto x = g.input("x", {2, 4096, 320});
       const auto context = g.input("context", {2, 77, 768});
       for (int i = 0; i < 2; ++i) x = Maker{g, w}.transformer(x, context, 8);
       g.output("out", x);
     }},
    {"transformer640",
     [](Graph& g, PoolWeights& w) {
       auto x = g.input("x", {2, 1024, 640});
       const auto context = g.input("context", {2, 77, 768});
       for (int i = 0; i < 3; ++i) x = Maker{g, w}.transformer(x, context, 8);
       g.output("out", x);
     }},
    {"sdxl1280",
     [](Graph& g, PoolWeights& w) {
       auto x = g.input("x", {2, 256, 1280});
       const auto context = g.input("context", {2, 77, 2048});
       for (int i = 0; i < 6; ++i) x = Maker{g, w}.transformer(x, context, 20);
       g.output("out", x);
     }},
    {"flux1024", [](Graph& g, PoolWeights& w) { flux(g, w, 1024); }},
    {"flux4096", [](Graph& g, PoolWeights& w) { flux(g, w, 4096); }},
    {"vae",
     [](Graph& g, PoolWeights& w) {
       Maker m{g, w};
       auto x = g.input("x", {1, 256, 256, 256});
       x = m.resnet(x, 256, kNone);
       x = m.conv(g.upsample_nearest(x, 512, 512), 256);
       x = m.resnet(x, 128, kNone);
       x = m.resnet(x, 128, kNone);
       g.output("out", m.conv(m.group(x), 3));
     }},
};

struct Ready {
  std::unique_ptr<Program> program;
  double operations = 0;
  std::vector<std::vector<float>> data{};
  std::vector<Feed> feeds{};
  double seconds(bool processor) {
    const std::atomic<bool> stop = false;
    const auto begin = Clock::now();
    const auto used = std::clock();
    const auto done = program->run(feeds, {}, stop);
    CHECK(done.has_value(), "a run without an error");
    if (processor) return static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
};

Ready compile(Module& module, const Graph& graph) {
  CHECK(graph.status().has_value(), "a graph without mistakes");
  const std::string wanted[]{"out"};
  auto program = module.compile(graph, wanted);
  CHECK(program.has_value(), program ? "" : program.error().text());
  Ready out{.program = std::move(*program), .operations = useful_operations(graph)};
  for (const auto& node : graph.nodes()) {
    if (node.op != Op::input) continue;
    auto& data = out.data.emplace_back(static_cast<std::size_t>(node.shape.elements()));
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = static_cast<float>((i * 2654435761u >> 7) % 2001) * 1e-3f - 1;
  }
  std::size_t at = 0;
  for (const auto& node : graph.nodes())
    if (node.op == Op::input)
      out.feeds.push_back({node.names[0], std::span<const float>(out.data[at++])});
  return out;
}

void measure(const Stack& stack, int threads, bool processor) {
  PoolWeights weights(80 << 20);
  auto executor = make_onednn_executor({.threads = threads, .profile = true});
  CHECK(executor.has_value(), "oneDNN starts");
  const auto peak_module = (*executor)->open(weights);
  Graph product(weights);
  product.output("out", product.linear(product.input("x", {processor ? 1024 : 4096, 4096}),
                                       weights.weight(product, {4096, 4096})));
  Graph graph(weights);
  stack.build(graph, weights);
  auto yard = compile(**peak_module, product);
  const auto module = (*executor)->open(weights);
  const auto begin = Clock::now();
  const auto used = std::clock();
  auto ready = compile(**module, graph);
  const double load = processor ? static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC
                                : std::chrono::duration<double>(Clock::now() - begin).count();
  ready.seconds(processor);
  yard.seconds(processor);
  OnednnProfile profile{};
  double best = 0, rate = 0, peak = 0;
  for (int i = 0; i < 3; ++i) {
    const double around =
        yard.operations / std::min(yard.seconds(processor), yard.seconds(processor));
    const auto before = onednn_profile(**executor);
    const double own = ready.operations / ready.seconds(processor);
    const auto after = onednn_profile(**executor);
    for (std::size_t op = 0; op < profile.size(); ++op) profile[op] += after[op] - before[op];
    peak = std::max(peak, around);
    rate = std::max(rate, own);
    best = std::max(best, own / around);
  }
  const auto memory = ready.program->memory();
  std::println(
      "{:16} {:7.1f} GFLOP {:6.1f} GFLOPS of {:6.1f}: {:.2f} (best pair {:.2f}); activations {} "
      "MiB,"
      " scratch {} MiB, weights {} MiB in {:.2f} s",
      stack.name, ready.operations / 1e9, rate / 1e9, peak / 1e9, rate / peak, best,
      memory.activations_bytes >> 20, memory.scratch_bytes >> 20,
      (*module)->memory().weights_bytes >> 20, load);
  const double sum = std::ranges::fold_left(profile, 0.0, std::plus());
  for (std::size_t op = 0; op < profile.size(); ++op)
    if (profile[op] > 0.005 * sum)
      std::print("  {} {:.1f}%", op_name(static_cast<Op>(op)), 100 * profile[op] / sum);
  std::println("");
}

}  // namespace
}  // namespace ingle::tensor

// --processor: one thread, by the processor's time: what a crowded machine can still measure.
int main(int argc, char** argv) {
  auto wanted = std::vector<std::string_view>(argv + 1, argv + argc);
  const bool processor = std::erase(wanted, "--processor") > 0;
  for (const auto& stack : ingle::tensor::kStacks)
    if (wanted.empty() || std::ranges::contains(wanted, stack.name))
      ingle::tensor::measure(stack, processor ? 1 : 0, processor);
  return 0;
}
