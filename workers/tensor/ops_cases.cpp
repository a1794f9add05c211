#include "tensor/ops_cases.h"

#include <array>
#include <cmath>
#include <format>
#include <limits>

namespace ingle::tensor {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

std::string plain(std::string name) {
  for (auto& letter : name)
    if (letter == ',' || letter == ' ') letter = '_';
  std::erase_if(name, [](char letter) { return letter == '[' || letter == ']'; });
  return name;
}

void add_elementwise(std::vector<OpsCase>& out) {
  const std::array<std::pair<Shape, Shape>, 12> pairs{{{{7}, {7}},
                                                       {{1}, {5}},
                                                       {{3, 5}, {5}},
                                                       {{5}, {3, 5}},
                                                       {{3, 1}, {1, 4}},
                                                       {{2, 5, 1, 7}, {1, 3, 1}},
                                                       {{2, 3, 4, 5}, {2, 1, 1, 5}},
                                                       {{1, 9, 8}, {3, 1, 8}},
                                                       {{2, 3, 2, 3, 2}, {3, 1, 3, 1}},
                                                       {{2, 1, 2, 1, 2}, {1, 3, 1, 3, 1}},
                                                       {{3, 33, 17}, {3, 33, 1}},
                                                       {{2, 2, 3, 2, 5}, {2, 1, 1, 2, 5}}}};
  for (const auto& [a, b] : pairs) {
    const auto name = a.text() + "_" + b.text();
    out.push_back(
        {"add_" + plain(name), [=](CaseMaker& m) { m.out(m.graph.add(m.input(a), m.input(b))); }});
    out.push_back(
        {"mul_" + plain(name), [=](CaseMaker& m) { m.out(m.graph.mul(m.input(a), m.weight(b))); }});
  }
  out.push_back({"mul_add", [](CaseMaker& m) {
                   const auto a = m.input({2, 6, 5});
                   m.out(m.graph.mul_add(a, m.input({2, 1, 5}), m.input({5})));
                   m.out(m.graph.mul_add(a, m.input({2, 6, 1}), m.weight({6, 5})));
                 }});
  out.push_back({"affine", [](CaseMaker& m) {
                   m.out(m.graph.affine(m.input({3, 7}), -1.5f, 0.25f));
                   m.out(m.graph.affine(m.input({2, 2, 2, 3, 2}), 2, 0));
                 }});
  out.push_back({"constants", [](CaseMaker& m) {
                   const auto c = m.constant({3, 4});
                   m.out(c);
                   m.out(m.graph.add(m.input({2, 3, 4}), c));
                 }});
  out.push_back({"inputs_and_weights_are_outputs", [](CaseMaker& m) {
                   const auto a = m.input({3, 4});
                   const auto w = m.weight({5, 4});
                   m.out(a);
                   m.out(w);
                   m.out(m.graph.unary(m.graph.linear(a, w), Unary::silu));
                   m.out(m.graph.reshape(a, {2, 6}));
                 }});
}

void add_functions(std::vector<OpsCase>& out) {
  constexpr std::array names{"silu", "gelu_tanh", "gelu_erf", "gelu_quick", "tanh", "sigmoid"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto function = static_cast<Unary>(i);
    out.push_back({std::format("unary_{}", names[i]), [=](CaseMaker& m) {
                     m.out(m.graph.unary(m.input({3, 33}, 3), function));
                     m.out(m.graph.unary(m.input({2, 2, 3, 2, 5}, 0.1f), function));
                     m.out(m.graph.unary(m.input({5}, {-90, -12, 0, 12, 90}), function));
                   }});
    for (const auto gate : {Gate::first, Gate::second})
      out.push_back({std::format("gated_{}_{}", names[i], gate == Gate::first ? "first" : "second"),
                     [=](CaseMaker& m) {
                       m.out(m.graph.gated(m.input({2, 5, 34}, 2), function, gate));
                       m.out(m.graph.gated(m.input({1, 2}), function, gate));
                     }});
  }
}

void add_shapes(std::vector<OpsCase>& out) {
  out.push_back({"reshape", [](CaseMaker& m) {
                   m.out(m.graph.affine(m.graph.reshape(m.input({2, 6, 5}), {3, 4, 5}), 2, 1));
                   m.out(m.graph.reshape(m.input({2, 3, 4, 5, 1}), {120}));
                 }});
  out.push_back({"permute_small", [](CaseMaker& m) {
                   m.out(m.graph.permute(m.input({3, 7}), {1, 0}));
                   m.out(m.graph.permute(m.input({3, 7, 2}), {0, 1, 2}));
                   m.out(m.graph.permute(m.input({3, 7, 2}), {2, 0, 1}));
                   m.out(m.graph.permute(m.input({3, 1, 7}), {2, 1, 0}));
                   m.out(m.graph.permute(m.input({1, 5, 1, 4}), {3, 2, 1, 0}));
                   m.out(m.graph.permute(m.input({2, 3, 4, 5}), {3, 1, 0, 2}));
                   m.out(m.graph.permute(m.input({2, 3, 4, 5}), {0, 3, 1, 2}));
                 }});
  out.push_back({"permute_five", [](CaseMaker& m) {
                   const auto a = m.input({2, 3, 4, 5, 6});
                   m.out(m.graph.permute(a, {0, 3, 1, 4, 2}));
                   m.out(m.graph.permute(a, {4, 3, 2, 1, 0}));
                   m.out(m.graph.permute(a, {2, 0, 4, 1, 3}));
                   m.out(m.graph.permute(a, {1, 0, 3, 2, 4}));
                   m.out(m.graph.permute(a, {0, 1, 2, 4, 3}));
                   m.out(m.graph.permute(a, {3, 4, 0, 1, 2}));
                 }});
  out.push_back({"slice", [](CaseMaker& m) {
                   const auto a = m.input({3, 5, 7});
                   m.out(m.graph.slice(a, 0, 1, 2));
                   m.out(m.graph.slice(a, 1, 2, 5));
                   m.out(m.graph.slice(a, 2, 1, 6));
                   m.out(m.graph.slice(a, 2, 0, 7));
                   m.out(m.graph.slice(m.weight({4, 3, 5}), 0, 1, 3));
                   m.out(m.graph.slice(m.input({2, 3, 2, 5, 3}), 3, 2, 4));
                   m.out(m.graph.unary(m.graph.slice(m.input({64, 4}), 0, 16, 40), Unary::tanh));
                 }});
  out.push_back(
      {"concat", [](CaseMaker& m) {
         m.out(m.graph.concat({m.input({2, 3}), m.input({5, 3})}, 0));
         m.out(m.graph.concat({m.input({2, 3, 4}), m.input({2, 1, 4})}, 1));
         m.out(m.graph.concat({m.input({2, 3}), m.input({2, 4}), m.input({2, 1})}, 1));
         m.out(m.graph.concat(
             {m.input({2, 2, 2, 3, 2}), m.input({2, 2, 2, 1, 2}), m.weight({2, 2, 2, 2, 2})}, 3));
         m.out(m.graph.concat({m.input({4})}, 0));
       }});
  out.push_back({"repeat", [](CaseMaker& m) {
                   m.out(m.graph.repeat(m.input({5}), {3, 5}));
                   m.out(m.graph.repeat(m.input({2, 1, 3, 1, 2}), {2, 4, 3, 5, 2}));
                   m.out(m.graph.repeat(m.input({1, 1, 3}), {2, 4, 3}));
                   m.out(m.graph.repeat(m.input({3, 1}), {3, 7}));
                   m.out(m.graph.repeat(m.input({1}), {2, 3, 4}));
                 }});
  for (const auto& [h, w] : {std::pair{6, 10}, {7, 9}, {3, 5}, {4, 15}, {13, 5}, {2, 4}})
    out.push_back({std::format("upsample_3_5_to_{}_{}", h, w), [=](CaseMaker& m) {
                     m.out(m.graph.upsample_nearest(m.input({2, 3, 5, 4}), h, w));
                   }});
}

void add_products(std::vector<OpsCase>& out) {
  struct Linear {
    Shape a;
    std::int64_t out;
  };
  for (const auto& [a, width] : {Linear{{1, 1}, 1},
                                 {{7}, 5},
                                 {{3, 64}, 32},
                                 {{2, 5, 33}, 17},
                                 {{1, 2, 3, 2, 32}, 64},
                                 {{2, 77, 96}, 130},
                                 {{1, 160}, 96}})
    for (const bool bias : {false, true})
      out.push_back({plain(std::format("linear_{}_{}{}", a.text(), width, bias ? "_bias" : "")),
                     [=](CaseMaker& m) {
                       m.out(m.graph.linear(m.input(a), m.weight({width, a.last()}),
                                            bias ? m.weight({width}) : kNone));
                     }});
  out.push_back({"linear_joined_shared_and_sliced", [](CaseMaker& m) {
                   const auto a = m.input({2, 6, 32});
                   m.weight({48, 32});
                   m.weight({16, 32});
                   const std::string names[]{"w0", "w1"};
                   m.out(m.graph.linear(a, m.graph.weight_joined(names, {64, 32})));
                   const auto w = m.weight({40, 32});
                   m.out(m.graph.linear(a, w));
                   m.out(m.graph.linear(a, m.graph.slice(w, 0, 8, 24)));
                   // The weight is the result of an operation.
                   m.out(m.graph.linear(a, m.input({5, 32})));
                 }});
  struct Conv {
    Shape a;
    std::int64_t out, kh, kw, stride;
    Padding padding;
  };
  for (const auto& [a, width, kh, kw, stride, padding] :
       {Conv{{1, 8, 8, 32}, 32, 3, 3, 1, Padding::same(1)},
        {{2, 9, 7, 16}, 24, 3, 3, 1, Padding::same(1)},
        {{1, 9, 12, 5}, 7, 3, 3, 2, Padding::same(1)},
        {{2, 8, 8, 6}, 8, 3, 3, 2, {0, 0, 1, 1}},
        {{1, 6, 5, 3}, 4, 1, 1, 1, {}},
        {{2, 6, 5, 3}, 4, 1, 1, 2, {}},
        {{1, 6, 5, 3}, 4, 1, 1, 1, Padding::same(1)},
        {{3, 16, 8, 4}, 8, 4, 4, 4, {}},
        {{1, 5, 9, 1}, 1, 5, 3, 1, {2, 1, 2, 1}},
        {{1, 10, 10, 2}, 3, 7, 2, 3, {3, 0, 1, 2}},
        {{1, 3, 3, 4}, 4, 3, 3, 1, {}}})
    for (const bool bias : {false, true})
      out.push_back({plain(std::format("conv_{}_{}_k{}x{}_s{}_p{}{}{}{}{}", a.text(), width, kh, kw,
                                       stride, padding.top, padding.left, padding.bottom,
                                       padding.right, bias ? "_bias" : "")),
                     [=](CaseMaker& m) {
                       m.out(m.graph.conv2d(m.input(a), m.weight({width, a[3], kh, kw}),
                                            bias ? m.weight({width}) : kNone, stride, padding));
                     }});
}

// Large enough that some executor makes its rows in parts.
void add_large(std::vector<OpsCase>& out) {
  out.push_back(
      {"large_conv", [](CaseMaker& m) {
         const auto a = m.input({2, 128, 130, 64});
         m.out(m.graph.conv2d(a, m.weight({3, 64, 3, 3}), m.weight({3}), 1, Padding::same(1)));
         m.out(m.graph.conv2d(m.input({1, 259, 256, 32}), m.weight({2, 32, 4, 5}), kNone, 2,
                              {0, 1, 2, 1}));
       }});
}

void add_norms(std::vector<OpsCase>& out) {
  struct Group {
    Shape a;
    std::int64_t groups;
  };
  for (const auto& [a, groups] : {Group{{1, 4, 4, 8}, 2},
                                  {{2, 5, 3, 12}, 4},
                                  {{3, 7, 6}, 6},
                                  {{1, 1, 1, 32}, 8},
                                  {{2, 2, 3, 2, 6}, 1},
                                  {{1, 33, 31, 32}, 16}})
    out.push_back({plain(std::format("group_norm_{}_{}", a.text(), groups)), [=](CaseMaker& m) {
                     const auto shifted = m.graph.affine(m.input(a), 1.5f, 3);
                     const auto channels = Shape{a.last()};
                     m.out(m.graph.group_norm(shifted, groups, m.weight(channels),
                                              m.weight(channels), 1e-5f));
                   }});
  for (const auto& a : {Shape{5}, Shape{2, 7, 33}, Shape{3, 1, 2, 64}, Shape{2, 2, 2, 2, 9}})
    out.push_back({plain("layer_and_rms_norm_" + a.text()), [=](CaseMaker& m) {
                     const auto x = m.graph.affine(m.input(a), 2, -1);
                     const auto scale = m.weight({a.last()}), shift = m.weight({a.last()});
                     m.out(m.graph.layer_norm(x, kNone, kNone, 1e-6f));
                     m.out(m.graph.layer_norm(x, scale, shift, 1e-5f));
                     m.out(m.graph.layer_norm(x, scale, kNone, 1e-5f));
                     m.out(m.graph.rms_norm(x, kNone, 1e-6f));
                     m.out(m.graph.rms_norm(x, scale, 1e-5f));
                   }});
}

struct Attention {
  std::string name{};
  std::int64_t n = 1, queries = 1, keys = 1, heads = 1, kv_heads = 1, d = 8;
  Shape bias{};  // of random values, every fourth hidden
  bool causal = false;
  bool hide_all = false;  // of the first query
};

void make_attention(CaseMaker& m, const Attention& a) {
  const auto q = m.input({a.n, a.queries, a.heads, a.d});
  const auto k = m.input({a.n, a.keys, a.kv_heads, a.d});
  const auto v = m.input({a.n, a.keys, a.kv_heads, a.d});
  Tensor bias = kNone;
  if (a.bias.rank() > 0) {
    std::vector<float> values(static_cast<std::size_t>(a.bias.elements()));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = i % 4 == 3 || (a.hide_all && i < static_cast<std::size_t>(a.keys))
                      ? kHidden
                      : static_cast<float>(m.pick(9)) / 4 - 1;
    bias = m.input(a.bias, values);
  }
  m.out(m.graph.attention(q, k, v, 1 / std::sqrt(static_cast<float>(a.d)), bias, a.causal));
}

void add_attention(std::vector<OpsCase>& out) {
  const std::vector<Attention> all{
      {"one", 1, 1, 1, 1, 1, 8},
      {"plain", 1, 16, 16, 4, 4, 32},
      {"cross", 2, 9, 77, 3, 3, 40},
      {"grouped", 2, 12, 12, 6, 2, 16},
      {"one_kv_head", 1, 5, 7, 4, 1, 64},
      {"odd_head", 1, 11, 13, 2, 2, 10},
      {"wide_head", 1, 20, 33, 1, 1, 160},
      {"causal", 2, 13, 13, 2, 2, 16, {}, true},
      {"causal_grouped", 1, 17, 17, 8, 4, 16, {}, true},
      {"causal_wide", 1, 5, 9, 2, 1, 16, {}, true},
      {"bias_keys", 2, 7, 12, 2, 2, 16, {2, 1, 1, 12}},
      {"bias_heads", 1, 8, 8, 4, 4, 16, {1, 4, 8, 8}},
      {"bias_full", 2, 6, 10, 3, 3, 8, {2, 3, 6, 10}},
      {"bias_causal", 2, 9, 9, 2, 2, 16, {2, 1, 1, 9}, true},
      {"all_hidden_keys", 2, 5, 6, 2, 2, 16, {2, 1, 1, 6}, false, true},
      {"all_hidden_query", 1, 5, 8, 2, 2, 16, {1, 1, 5, 8}, false, true},
      {"all_hidden_head", 2, 5, 8, 4, 2, 16, {1, 4, 5, 8}, true, true},
      {"long", 1, 130, 257, 2, 2, 64},
  };
  for (const auto& a : all)
    out.push_back({"attention_" + a.name, [=](CaseMaker& m) { make_attention(m, a); }});
  out.push_back({"attention_shared_and_constant_bias", [](CaseMaker& m) {
                   const auto q = m.input({2, 6, 2, 16}), k = m.input({2, 6, 2, 16});
                   const auto bias = m.constant({1, 2, 6, 6}), keys = m.input({1, 1, 1, 6});
                   const auto first = m.graph.attention(q, k, k, 0.25f, bias);
                   m.out(m.graph.attention(first, k, q, 0.25f, bias));
                   m.out(m.graph.attention(first, q, k, 0.5f, keys, true));
                   m.out(m.graph.attention(q, first, k, 0.5f, keys));
                   m.out(keys);
                 }});
  for (const auto style : {RopeStyle::pairs, RopeStyle::halves})
    for (const bool batched : {false, true})
      out.push_back({std::format("rope_{}{}", style == RopeStyle::pairs ? "pairs" : "halves",
                                 batched ? "_batched" : ""),
                     [=](CaseMaker& m) {
                       const Shape table = batched ? Shape{3, 5, 4} : Shape{5, 4};
                       const auto cos = m.input(table), sin = m.input(table);
                       m.out(m.graph.rope(m.input({3, 5, 2, 8}), cos, sin, style));
                       m.out(m.graph.rope(m.input({3, 5, 3, 8}), cos, sin, style));
                       const auto one = m.input({2, 1});
                       m.out(m.graph.rope(m.input({1, 2, 1, 2}), one, one, style));
                     }});
}

void add_tables(std::vector<OpsCase>& out) {
  out.push_back({"embedding", [](CaseMaker& m) {
                   const auto ids = m.ids({2, 4}, {0, 9, 3, 3, 10, -1, 5, 1 << 30});
                   m.out(m.graph.embedding(ids, m.weight({10, 32})));
                   m.out(m.graph.embedding(ids, m.weight({10, 7})));
                   m.out(m.graph.embedding(ids, m.weight({4, 5})));
                   m.out(m.graph.embedding(ids, m.input({6, 3})));
                   m.out(m.graph.embedding(m.ids({1, 2, 1, 1}, {1, 0}), m.weight({2, 3})));
                 }});
}

// One step of a chain: from [n, h, w, c] to the same shape, so that steps go in any order.
Tensor step(CaseMaker& m, Tensor x, Tensor other) {
  auto& g = m.graph;
  const Shape s = g.shape(x);
  const auto n = s[0], h = s[1], w = s[2], c = s[3];
  switch (m.pick(14)) {
    case 0:
      return g.add(x, m.input({n, 1, 1, c}));
    case 1:
      return g.mul_add(x, m.weight({c}), other);
    case 2:
      return g.unary(x, static_cast<Unary>(m.pick(6)));
    case 3:
      return g.gated(g.linear(x, m.weight({2 * c, c}), m.weight({2 * c})),
                     static_cast<Unary>(m.pick(6)), m.pick(2) ? Gate::first : Gate::second);
    case 4:
      return g.add(x, g.conv2d(x, m.weight({c, c, 3, 3}), m.weight({c}), 1, Padding::same(1)));
    case 5:
      return g.group_norm(x, 4, m.weight({c}), m.weight({c}), 1e-5f);
    case 6:
      return g.layer_norm(x, m.weight({c}), kNone, 1e-5f);
    case 7:
      return g.rms_norm(x, m.weight({c}), 1e-5f);
    case 8: {
      const auto heads = g.reshape(x, {n, h * w, 4, c / 4});
      const auto keys = g.reshape(g.slice(other, 1, 0, h / 2), {n, h / 2 * w, 4, c / 4});
      return g.reshape(g.attention(heads, keys, keys, 0.5f, kNone, m.pick(2) == 1), s);
    }
    case 9: {
      const Shape table{h * w, c / 8};
      return g.reshape(g.rope(g.reshape(x, {n, h * w, 4, c / 4}), m.input(table), m.input(table),
                              m.pick(2) ? RopeStyle::pairs : RopeStyle::halves),
                       s);
    }
    case 10: {
      const auto big = g.upsample_nearest(x, 2 * h, 2 * w);
      return g.conv2d(big, m.weight({c, c, 3, 3}), kNone, 2, {0, 0, 1, 1});
    }
    case 11: {
      const auto both = g.concat({x, other}, 3);
      return g.linear(both, m.weight({c, 2 * c}));
    }
    case 12: {
      const auto patches = g.permute(g.reshape(x, {n * h / 2, 2, w / 2, 2, c}), {0, 2, 1, 3, 4});
      return g.reshape(g.affine(patches, -0.5f, 0.1f), s);
    }
    default:
      return g.concat({g.slice(x, 2, w / 2, w), g.slice(other, 2, 0, w / 2)}, 2);
  }
}

}  // namespace

std::vector<float> CaseMaker::values(std::int64_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (auto& value : out) value = normal(random_);
  return out;
}

std::int64_t CaseMaker::pick(std::int64_t count) {
  return std::uniform_int_distribution<std::int64_t>(0, count - 1)(random_);
}

Tensor CaseMaker::input(Shape shape, float scale) {
  return input(shape, values(shape.elements(), scale));
}

Tensor CaseMaker::input(Shape shape, std::vector<float> values) {
  auto& made = inputs_.emplace_back(std::format("in{}", inputs_.size()), std::move(values));
  return graph.input(made.name, shape);
}

Tensor CaseMaker::ids(Shape shape, std::vector<std::int32_t> values) {
  auto& made = inputs_.emplace_back(std::format("in{}", inputs_.size()));
  made.ids = std::move(values);
  return graph.input_ids(made.name, shape);
}

Tensor CaseMaker::weight(Shape shape) {
  int number = 0;
  while (graph.has_weight(std::format("w{}", number))) ++number;
  const auto name = std::format("w{}", number);
  const auto summed = shape.rank() < 2 ? 1 : shape.elements() / shape[0];
  weights.add(name, shape, values(shape.elements(), 1 / std::sqrt(static_cast<float>(summed))));
  return graph.weight(name, shape);
}

Tensor CaseMaker::constant(Shape shape) {
  return graph.constant(shape, values(shape.elements(), 1));
}

std::vector<Feed> CaseMaker::feeds() const {
  std::vector<Feed> out;
  for (const auto& [name, values, ids] : inputs_)
    if (ids.empty())
      out.push_back({name, std::span<const float>(values)});
    else
      out.push_back({name, std::span<const std::int32_t>(ids)});
  return out;
}

std::vector<OpsCase> operation_cases() {
  std::vector<OpsCase> out;
  add_elementwise(out);
  add_functions(out);
  add_shapes(out);
  add_products(out);
  add_large(out);
  add_norms(out);
  add_attention(out);
  add_tables(out);
  return out;
}

std::vector<OpsCase> chain_cases(int count) {
  std::vector<OpsCase> out;
  for (int i = 0; i < count; ++i)
    out.push_back({std::format("chain_{}", i), [](CaseMaker& m) {
                     const Shape shape{1 + m.pick(2), 2 * (1 + m.pick(3)), 2 * (1 + m.pick(3)),
                                       16 * (1 + m.pick(3))};
                     auto x = m.input(shape), other = m.input(shape);
                     for (int at = 0; at < 12; ++at) {
                       const auto next = step(m, x, other);
                       if (at % 4 == 3) m.out(next);
                       other = x;
                       x = next;
                     }
                   }});
  return out;
}

}  // namespace ingle::tensor
