#include "models/joint_cases.h"

#include <algorithm>
#include <format>

#include "models/flux.h"
#include "models/flux2.h"
#include "models/z_image.h"

namespace ingle::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

std::vector<float> time_sinusoid(const GoldenTensor& times, float factor) {
  std::vector<float> scaled;
  for (const auto time : times.data) scaled.push_back(time * factor);
  return sinusoid(scaled, {.channels = kTimeChannels});
}

Result<JointSizes> read_tokens(const GoldenCase& golden, FeedStore& inputs) {
  for (const auto* name : {"hidden_states", "encoder_hidden_states", "pooled_projections"})
    if (const auto found = golden.tensors.find(std::format("in.{}", name));
        found != golden.tensors.end())
      inputs.add(name, found->second.data);
  TRY_ASSIGN(const auto time, golden.read("in.timestep"));
  inputs.add("time", time_sinusoid(time, 1000));
  if (golden.tensors.contains("in.guidance"))
    inputs.add("guidance", time_sinusoid(golden.tensors.at("in.guidance"), 1000));
  TRY_ASSIGN(const auto image, golden.read("in.hidden_states", 3));
  TRY_ASSIGN(const auto text, golden.read("in.encoder_hidden_states", 3));
  return JointSizes{image.shape[0], text.shape[1], image.shape[1]};
}

// Rows of [.., rows, channels] from `begin` on, `count` of them, of item `item`; none where the
// case has fewer.
GoldenTensor rows_of(const GoldenTensor& from, std::int64_t item, std::int64_t begin,
                     std::int64_t count) {
  if (from.shape.rank() == 0) return {};
  const auto channels = from.shape.last();
  const auto rows = from.shape.rank() > 1 ? from.shape.last(1) : 1;
  if ((item * rows + begin + count) * channels > static_cast<std::int64_t>(from.data.size()))
    return {};
  const auto at = from.data.begin() + (item * rows + begin) * channels;
  return {.shape = {1, count, channels}, .data = {at, at + count * channels}};
}

// Sizes of an item: its picture in patches, its caption in tokens.
struct Item {
  std::int64_t rows = 0, columns = 0, caption = 0, begin_image = 0, begin_caption = 0;
  std::int64_t image() const { return rows * columns; }
};

Result<Item> item_of(const GoldenCase& golden, std::int64_t item) {
  Item out;
  for (std::int64_t i = 0; i <= item; ++i) {
    out.begin_image += z_image_padded(out.image());
    out.begin_caption += z_image_padded(out.caption);
    TRY_ASSIGN(const auto picture, golden.read(std::format("in.x.{}", i), 4));
    TRY_ASSIGN(const auto caption, golden.read(std::format("in.cap_feats.{}", i), 2));
    if (picture.shape[2] % 2 != 0 || picture.shape[3] % 2 != 0)
      return fail(ErrorCode::malformed, "a picture of the case is not of whole patches");
    out.rows = picture.shape[2] / 2;
    out.columns = picture.shape[3] / 2;
    out.caption = caption.shape[0];
  }
  return out;
}

// The rows of a case's tensor that item `item` has, and how they are called there. The case holds
// embedded tokens of all items one after the other, other tensors padded to the longest item.
GoldenTensor expected_rows(std::string_view name, const GoldenTensor& all, const Item& size,
                           std::int64_t item) {
  if (name == "act.x_embedder") return rows_of(all, 0, size.begin_image, size.image());
  if (name == "act.cap_embedder") return rows_of(all, 0, size.begin_caption, size.caption);
  if (name == "act.t_embedder") return rows_of(all, 0, item, 1);
  auto rows = z_image_padded(size.image()) + z_image_padded(size.caption);
  if (name == "act.final_layer") rows = size.image();
  if (name.starts_with("act.noise_refiner")) rows = z_image_padded(size.image());
  if (name.starts_with("act.context_refiner")) rows = z_image_padded(size.caption);
  return rows_of(all, item, 0, rows);
}

Result<std::vector<Comparison>> run_item(const GoldenCase& golden, tensor::Executor& executor,
                                         std::int64_t item) {
  TRY_ASSIGN(const auto run, z_image_run(golden, item));
  TRY_ASSIGN(const auto size, item_of(golden, item));
  Graph graph(golden.weights);
  run.build(graph, Part::whole);
  TRY_ASSIGN(auto results, run_all(executor, golden.weights, graph, run.inputs.feeds()));
  const auto& sample = results["sample"];
  std::vector<Comparison> out;
  const auto compare_with = [&](std::string_view name, std::span<const float> computed,
                                const GoldenTensor& expected) -> base::Status {
    const auto values = computed.first(std::min(computed.size(), expected.data.size()));
    TRY_ASSIGN(auto comparison, compare(name, values, expected, golden.allowed()));
    out.push_back(std::move(comparison));
    return {};
  };
  const auto picture_name = std::format("out.sample.{}", item);
  TRY_ASSIGN(const auto picture, golden.read(picture_name));
  if (picture.shape.rank() == 0)
    return fail(ErrorCode::malformed, std::format("'{}' is no picture", picture_name));
  TRY(compare_with(picture_name,
                   unpack_latents(sample, picture.shape[0], 2 * size.rows, 2 * size.columns,
                                  PatchOrder::row_column_channel),
                   picture));
  results["final_layer"] = sample;
  for (const auto& [name, computed] : results)
    if (const auto found = golden.tensors.find("act." + name); found != golden.tensors.end())
      TRY(compare_with(found->first, computed,
                       expected_rows(found->first, found->second, size, item)));
  return out;
}

}  // namespace

void FeedStore::add(std::string_view name, std::vector<float> data) {
  const auto& value = values_.emplace_back(name, std::move(data));
  feeds_.push_back({value.first, std::span<const float>(value.second)});
}

Result<std::vector<tensor::Feed>> FeedStore::for_graph(const tensor::Graph& graph) const {
  std::vector<tensor::Feed> out;
  for (const auto& node : graph.nodes()) {
    if (node.op != tensor::Op::input) continue;
    const auto found = std::ranges::find(feeds_, node.names[0], &tensor::Feed::name);
    if (found == feeds_.end())
      return fail(ErrorCode::not_found, std::format("the case has no input '{}'", node.names[0]));
    out.push_back(*found);
  }
  return out;
}

Result<JointRun> joint_run(const GoldenCase& golden) {
  JointRun out;
  TRY_ASSIGN(const auto sizes, read_tokens(golden, out.inputs));
  TRY_ASSIGN(const auto text_ids, golden.read("in.txt_ids"));
  TRY_ASSIGN(const auto image_ids, golden.read("in.img_ids"));
  RopeTables tables;
  if (golden.kind == "flux_transformer") {
    TRY_ASSIGN(const auto config, flux_config(golden.config));
    tables = flux_rope(config, text_ids.ids(), image_ids.ids());
    out.build = [=](Graph& graph, Part part) { build_flux(graph, config, sizes, part); };
  } else if (golden.kind == "flux2_transformer") {
    TRY_ASSIGN(const auto config, flux2_config(golden.config));
    tables = flux2_rope(config, text_ids.ids(), image_ids.ids());
    out.build = [=](Graph& graph, Part part) { build_flux2(graph, config, sizes, part); };
  } else {
    return fail(ErrorCode::unsupported, std::format("a case of kind '{}'", golden.kind));
  }
  out.inputs.add("rope_cos", std::move(tables.cos));
  out.inputs.add("rope_sin", std::move(tables.sin));
  return out;
}

Result<JointRun> z_image_run(const GoldenCase& golden, std::int64_t item) {
  JointRun out;
  TRY_ASSIGN(const auto config, z_image_config(golden.config));
  TRY_ASSIGN(const auto size, item_of(golden, item));
  TRY_ASSIGN(const auto picture, golden.read(std::format("in.x.{}", item)));
  TRY_ASSIGN(auto caption, golden.read(std::format("in.cap_feats.{}", item)));
  TRY_ASSIGN(const auto times, golden.read("in.t"));
  if (item < 0 || item >= static_cast<std::int64_t>(times.data.size()))
    return fail(ErrorCode::malformed, std::format("the case has no time of item {}", item));
  const auto padded = z_image_padded(size.caption);
  const ZImageSizes sizes{size.image(), padded};
  out.build = [=](Graph& graph, Part part) { build_z_image(graph, config, sizes, part); };

  out.inputs.add("tokens", pack_latents(picture.data, picture.shape[0], picture.shape[2],
                                        picture.shape[3], PatchOrder::row_column_channel));
  // What stands in the padding must not matter.
  caption.data.resize(static_cast<std::size_t>(padded * caption.shape[1]), 3);
  out.inputs.add("caption", std::move(caption.data));
  std::vector<float> mask(static_cast<std::size_t>(padded));
  std::ranges::fill(std::span(mask).first(static_cast<std::size_t>(size.caption)), 1.0f);
  out.inputs.add("caption_mask", std::move(mask));
  const GoldenTensor time{.shape = {1}, .data = {times.data[static_cast<std::size_t>(item)]}};
  out.inputs.add("time", time_sinusoid(time, static_cast<float>(config.time_scale)));
  auto rope = z_image_rope(config, padded, size.rows, size.columns);
  out.inputs.add("image_cos", std::move(rope.image.cos));
  out.inputs.add("image_sin", std::move(rope.image.sin));
  out.inputs.add("caption_cos", std::move(rope.caption.cos));
  out.inputs.add("caption_sin", std::move(rope.caption.sin));
  return out;
}

Result<std::vector<Comparison>> run_joint_case(const GoldenCase& golden,
                                               tensor::Executor& executor) {
  if (golden.kind == "z_image_transformer") {
    std::vector<Comparison> out;
    for (std::int64_t item = 0; golden.tensors.contains(std::format("in.x.{}", item)); ++item) {
      TRY_ASSIGN(const auto more, run_item(golden, executor, item));
      out.insert(out.end(), more.begin(), more.end());
    }
    return out;
  }
  TRY_ASSIGN(const auto run, joint_run(golden));
  Graph graph(golden.weights);
  run.build(graph, Part::whole);
  TRY_ASSIGN(auto out, run_graph(golden, executor, golden.weights, graph, run.inputs.feeds()));
  // Tables of positions: FLUX.1 has every number twice, side by side.
  const auto feed = [&](std::string_view name) {
    const auto found = std::ranges::find(run.inputs.feeds(), name, &tensor::Feed::name);
    return std::get<std::span<const float>>(found->data);
  };
  for (const auto& [cos_name, sin_name, begins_at_image] :
       {std::tuple("act.pos_embed.0", "act.pos_embed.1", false),
        std::tuple("act.rope_txt.cos", "act.rope_txt.sin", false),
        std::tuple("act.rope_img.cos", "act.rope_img.sin", true)})
    for (const auto* name : {cos_name, sin_name}) {
      const auto found = golden.tensors.find(name);
      if (found == golden.tensors.end()) continue;
      const auto table = feed(name == cos_name ? "rope_cos" : "rope_sin");
      std::vector<float> doubled;
      for (const auto value : table) doubled.insert(doubled.end(), {value, value});
      const auto size = found->second.data.size();
      if (size > doubled.size())
        return fail(ErrorCode::malformed, std::format("'{}' has other sizes than its ids", name));
      const auto begin = begins_at_image ? doubled.size() - size : 0;
      TRY_ASSIGN(auto comparison, compare(name, std::span(doubled).subspan(begin, size),
                                          found->second, golden.allowed()));
      out.push_back(std::move(comparison));
    }
  return out;
}

}  // namespace ingle::models
