// Goal: parts that lie about are recognised by what is in them, models that lack parts get the
// nearest that fit, what somebody named wins, and what is missing or wrong is said. Method: files
// with headers alone (their data are holes), read as a scan reads them.
#include "catalog/choose_parts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "catalog/reading.h"
#include "catalog/snapshot.h"
#include "catalog/walk.h"
#include "make_gguf/gguf_writer.h"
#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

namespace fs = std::filesystem;
using protocol::ModelState;

struct Entry {
  std::string name{};
  std::vector<std::uint64_t> shape{};
};
using Entries = std::vector<Entry>;

Entries flux(std::uint64_t text = 32, std::string prefix = "") {
  return {{prefix + "double_blocks.0.img_mod.lin.weight", {6, 4}},
          {prefix + "img_in.weight", {4, 64}},
          {prefix + "txt_in.weight", {4, text}},
          {prefix + "vector_in.in_layer.weight", {4, 24}},
          {prefix + "final_layer.linear.weight", {64, 4}}};
}
Entries unet(std::string prefix, std::uint64_t text, std::uint64_t pooled = 0) {
  Entries out{{prefix + "input_blocks.0.0.weight", {8, 4, 3, 3}},
              {prefix + "middle_block.1.transformer_blocks.0.attn2.to_k.weight", {8, text}},
              {prefix + "out.2.weight", {4, 8, 3, 3}}};
  if (pooled > 0) out.push_back({prefix + "label_emb.0.0.weight", {4, pooled}});
  return out;
}
Entries clip(std::uint64_t width, std::uint64_t words = 50, std::uint64_t pooled = 0) {
  Entries out{{"text_model.embeddings.token_embedding.weight", {words, width}}};
  if (pooled > 0) out.push_back({"text_projection.weight", {pooled, width}});
  return out;
}
Entries t5(std::uint64_t width, std::uint64_t words = 100) {
  return {{"encoder.block.0.layer.0.SelfAttention.q.weight", {width, width}},
          {"shared.weight", {words, width}}};
}
Entries vae(std::uint64_t channels, std::string prefix = "") {
  return {{prefix + "decoder.conv_in.weight", {8, channels, 3, 3}},
          {prefix + "decoder.conv_out.weight", {3, 8, 3, 3}}};
}

class Parts : public ::testing::Test {
 protected:
  void safetensors(const fs::path& name, const Entries& entries) {
    std::string header = "{";
    std::uint64_t at = 0;
    for (const auto& [tensor, shape] : entries) {
      std::uint64_t elements = 1;
      std::string sides;
      for (const auto side : shape) {
        elements *= side;
        sides += (sides.empty() ? "" : ",") + std::to_string(side);
      }
      header += std::format(R"({}"{}":{{"dtype":"F16","shape":[{}],"data_offsets":[{},{}]}})",
                            header.size() > 1 ? "," : "", tensor, sides, at, at + 2 * elements);
      at += 2 * elements;
    }
    header += "}";
    std::string bytes;
    for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
    put(name, bytes + header);
    fs::resize_file(folder_.path() / name, 8 + header.size() + at);
  }
  void put(const fs::path& name, std::string_view text) {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  void clip_words(const fs::path& folder, int words) {
    std::string text = "{";
    for (int i = 0; i < words; ++i)
      text += std::format(R"({}"w{}</w>": {})", i > 0 ? "," : "", i, i);
    put(folder / "vocab.json", text + "}");
    put(folder / "merges.txt", "#version\n");
  }
  void unigram_words(const fs::path& folder, int words) {
    std::string text = R"({"added_tokens": [{"id": 0}], "model": {"type": "Unigram", "vocab": [)";
    for (int i = 0; i < words; ++i) text += std::format(R"({}["w]{}", -1.5])", i > 0 ? "," : "", i);
    put(folder / "tokenizer.json", text + "]}}");
  }
  // A FLUX transformer alone with all that it needs beside it.
  void whole_flux(const fs::path& at = "flux") {
    safetensors(at / "flux-dev.safetensors", flux());
    safetensors(at / "ae.safetensors", vae(16));
    safetensors(at / "clip_l.safetensors", clip(24));
    safetensors(at / "t5xxl.safetensors", t5(32));
    clip_words(at / "tokenizer", 50);
    unigram_words(at / "tokenizer_2", 99);
  }

  Snapshot scan(const std::vector<std::string>& named = {}, const fs::path& starters = {}) {
    const auto files = platform::create_files();
    std::vector<NamedPart> parts;
    std::vector<fs::path> more;
    for (const auto& text : named) {
      parts.push_back(parse_named_part(text).value());
      if (parts.back().what.starts_with('/')) more.emplace_back(parts.back().what);
    }
    Walk walk({folder_.path()}, {}, more);
    while (!walk.done()) walk.step(*files);
    FileTable table;
    for (auto& file : walk.take_found())
      table[file.info.path.native()] = {
          .size_bytes = file.info.size_bytes,
          // There and back through the database, too.
          .reading = std::make_shared<FileReading>(
              decode_reading(encode_reading(read_model_file(file.info.path).value())).value())};
    return make_snapshot(std::move(table), parts, starters);
  }
  static const ModelRecord& model(const Snapshot& snapshot, std::string_view id) {
    return snapshot.models.at(snapshot.by_id.at(std::string(id)));
  }
  static protocol::ModelPart part(const ModelRecord& record, std::string_view role) {
    const auto found = std::ranges::find(record.info.parts, role, &protocol::ModelPart::role);
    return found == record.info.parts.end() ? protocol::ModelPart{} : *found;
  }
  static std::string component(const ModelRecord& record, std::string_view role) {
    return part(record, role).component;
  }

  ingle::testing::TempFolder folder_;
};

TEST_F(Parts, ATransformerAloneIsMadeWhole) {
  whole_flux();
  const auto snapshot = scan();
  const auto& flux_dev = model(snapshot, "flux-dev");
  EXPECT_EQ(flux_dev.info.state, ModelState::usable) << flux_dev.info.problem;
  EXPECT_EQ(flux_dev.info.architecture, "flux1");
  EXPECT_EQ(component(flux_dev, "vae"), "ae");
  EXPECT_EQ(component(flux_dev, "text_encoder"), "clip_l");
  EXPECT_EQ(component(flux_dev, "text_encoder_2"), "t5xxl");
  EXPECT_EQ(part(flux_dev, "tokenizer").path, folder_ / "flux/tokenizer");
  EXPECT_EQ(part(flux_dev, "tokenizer_2").path, folder_ / "flux/tokenizer_2");
  EXPECT_EQ(part(flux_dev, "transformer").path, "");
  EXPECT_EQ(part(flux_dev, "vae").path, folder_ / "flux/ae.safetensors");
  // What it takes counts the parts.
  std::uint64_t bytes = 0;
  for (const auto& own : flux_dev.picture.parts) bytes += own.elements > 0 ? own.file_bytes : 0;
  EXPECT_EQ(flux_dev.facts.weight_bytes, bytes);
  EXPECT_GT(flux_dev.info.size_bytes, part(flux_dev, "transformer").size_bytes);
  EXPECT_EQ(flux_dev.info.parameters, static_cast<std::int64_t>(flux_dev.picture.elements()));

  const auto& ae = model(snapshot, "ae");
  EXPECT_EQ(ae.info.kind, protocol::ModelKind::component);
  EXPECT_EQ(ae.info.state, ModelState::usable) << ae.info.problem;
  EXPECT_EQ(ae.info.used_by, std::vector<std::string>{"flux-dev"});
  const auto used = snapshot.find("ae", {});
  EXPECT_EQ(used.error().code, base::ErrorCode::unsupported);
  EXPECT_TRUE(used.error().message.contains("flux-dev"));
}

TEST_F(Parts, WhatIsMissingIsNamedWithWhatWouldFit) {
  safetensors("flux-dev.safetensors", flux());
  safetensors("clip_l.safetensors", clip(24));
  safetensors("t5-small.safetensors", t5(16));
  safetensors("sd-vae.safetensors", vae(4));
  const auto snapshot = scan();
  const auto& lacking = model(snapshot, "flux-dev");
  EXPECT_EQ(lacking.info.state, ModelState::incomplete);
  const auto& problem = lacking.info.problem;
  for (const auto* text : {"'vae'", "16 channels", "'sd-vae'", "4 channels", "'text_encoder_2'",
                           "width 32", "'t5-small'", "width 16", "'tokenizer'", "50 words",
                           "images.parts = [\"flux-dev vae=/PATH\"]"})
    EXPECT_TRUE(problem.contains(text)) << text << " in: " << problem;
  EXPECT_FALSE(problem.contains("'text_encoder' is missing")) << problem;
  EXPECT_EQ(snapshot.find("flux-dev", {}).error().code, base::ErrorCode::model_broken);
}

TEST_F(Parts, WhatCameWithIngleIsLentToNobody) {
  whole_flux("own");
  whole_flux("starter");
  fs::remove(folder_ / "own/ae.safetensors");
  EXPECT_EQ(model(scan(), "flux-dev").info.state, ModelState::usable);
  const auto snapshot = scan({}, folder_ / "starter");
  EXPECT_EQ(model(snapshot, "flux-dev").info.state, ModelState::incomplete);
}

TEST_F(Parts, TheNearestIsTakenAndTiesAreSaid) {
  whole_flux("a");
  whole_flux("flux");  // "flux-dev" again, and a folder called alike
  fs::remove(folder_ / "a/ae.safetensors");
  safetensors("b/ae.safetensors", vae(16));
  const auto snapshot = scan();
  const auto& first = model(snapshot, "flux-dev");
  ASSERT_EQ(first.files.front(), folder_ / "a/flux-dev.safetensors");
  EXPECT_EQ(part(first, "text_encoder").path, folder_ / "a/clip_l.safetensors");
  EXPECT_TRUE(part(first, "text_encoder").reason.contains("nearest of 2"));
  EXPECT_EQ(part(first, "vae").path, folder_ / "flux/ae.safetensors");
  fs::remove_all(folder_ / "flux");
  safetensors("c/ae.safetensors", vae(16));
  const auto tied = scan();
  EXPECT_EQ(part(model(tied, "flux-dev"), "vae").path, folder_ / "b/ae.safetensors");
  EXPECT_TRUE(part(model(tied, "flux-dev"), "vae").reason.contains("first of 2"));
}

TEST_F(Parts, WhoNamesAPartIsObeyedOrToldWhatWouldFit) {
  whole_flux();
  ingle::testing::TempFolder elsewhere;
  safetensors("c/other-ae.safetensors", vae(16));
  fs::copy(folder_ / "flux/ae.safetensors", elsewhere / "far.safetensors");
  const auto by = [&](const std::string& what) { return scan({"flux-dev vae=" + what}); };
  EXPECT_EQ(component(model(by("other-ae"), "flux-dev"), "vae"), "other-ae");
  const auto far = by(elsewhere / "far.safetensors");
  EXPECT_EQ(part(model(far, "flux-dev"), "vae").path, elsewhere / "far.safetensors");
  EXPECT_EQ(model(far, "far").info.used_by, std::vector<std::string>{"flux-dev"});

  const auto wrong = by("t5xxl");
  EXPECT_EQ(model(wrong, "flux-dev").info.state, ModelState::incomplete);
  const auto& problem = model(wrong, "flux-dev").info.problem;
  EXPECT_TRUE(problem.contains("T5 text encoder of width 32")) << problem;
  EXPECT_TRUE(problem.contains("expected a VAE of 16 channels")) << problem;
  EXPECT_TRUE(model(by("/no/where"), "flux-dev").info.problem.contains("no such part"));
  const auto role = scan({"flux-dev brain=ae"});
  EXPECT_TRUE(model(role, "flux-dev").info.problem.contains("text_encoder_2"));
  for (const auto* text : {"", "flux", "flux vae", " vae=x", "flux vae=", "flux =x"})
    EXPECT_FALSE(parse_named_part(text)) << text;
  EXPECT_EQ(parse_named_part("flux vae=/a b/./c/")->what, "/a b/c");
}

TEST_F(Parts, OneFileWithEverythingLacksATokenizerOnly) {
  auto all = unet("model.diffusion_model.", 24);
  for (auto& entry : vae(4, "first_stage_model.")) all.push_back(entry);
  for (auto& [name, shape] : clip(24))
    all.push_back({"cond_stage_model.transformer." + name, shape});
  safetensors("dream.safetensors", all);
  EXPECT_TRUE(model(scan(), "dream").info.problem.contains("'tokenizer'"));
  clip_words("words", 50);
  clip_words("few", 30);
  const auto snapshot = scan();
  const auto& dream = model(snapshot, "dream");
  EXPECT_EQ(dream.info.state, ModelState::usable) << dream.info.problem;
  EXPECT_EQ(dream.info.architecture, "sd1");
  EXPECT_EQ(component(dream, "tokenizer"), "words");
  EXPECT_TRUE(snapshot.by_id.contains("words"));
  EXPECT_FALSE(snapshot.by_id.contains("few")) << "a tokenizer that nobody uses";
  // Another VAE in the place of its own: it counts once.
  safetensors("vae/other.safetensors", vae(4));
  const auto replaced = scan({"dream vae=other"});
  const auto& with_other = model(replaced, "dream");
  EXPECT_EQ(component(with_other, "vae"), "other");
  EXPECT_EQ(with_other.facts.parameters, dream.facts.parameters);
  EXPECT_EQ(with_other.facts.weight_bytes, dream.facts.weight_bytes);
  EXPECT_EQ(with_other.info.parameters, dream.info.parameters);
  EXPECT_EQ(component(dream, "vae"), "");
  // Its own decoder may be replaced all the same.
  safetensors("better.safetensors", vae(4));
  EXPECT_EQ(component(model(scan({"Dream vae=better"}), "dream"), "vae"), "better");
}

TEST_F(Parts, SdxlsEncodersAreToldApartAndItsDecoderFromOthers) {
  safetensors("xl.safetensors", unet("", 64, 40 + 6 * 8));
  safetensors("l.safetensors", clip(24));
  safetensors("g.safetensors", clip(40, 50, 40));
  safetensors("sdxl_vae.safetensors", vae(4));
  put("sd/config.json", R"({"_class_name": "AutoencoderKL", "scaling_factor": 0.18215})");
  safetensors("sd/vae.safetensors", vae(4));
  clip_words("words", 50);
  const auto snapshot = scan();
  const auto& xl = model(snapshot, "xl");
  EXPECT_EQ(xl.info.state, ModelState::usable) << xl.info.problem;
  EXPECT_EQ(xl.info.architecture, "sdxl");
  EXPECT_EQ(component(xl, "text_encoder"), "l");
  EXPECT_EQ(component(xl, "text_encoder_2"), "g");
  EXPECT_EQ(component(xl, "vae"), "sdxl_vae");
  EXPECT_EQ(component(xl, "tokenizer_2"), "words");
}

TEST_F(Parts, GgufFilesAreModelsAndParts) {
  const auto gguf = [&](const std::string& name, const std::string& architecture,
                        const Entries& entries, bool words) {
    gguf_writer::GgufWriter writer;
    writer.add("general.architecture", architecture);
    if (words) {
      writer.add("tokenizer.ggml.model", std::string("gpt2"));
      writer.add("tokenizer.ggml.tokens", std::vector<std::string>(60, "w"));
    }
    for (const auto& [tensor, shape] : entries)
      writer.add_tensor(tensor, {shape.rbegin(), shape.rend()}, gguf_writer::TensorType::f32,
                        [](std::uint64_t, std::span<float>) {});
    put(name, writer.bytes());
  };
  Entries z_image{{"cap_embedder.1.weight", {4, 40}},
                  {"context_refiner.0.feed_forward.w1.weight", {4, 4}},
                  {"x_embedder.weight", {4, 64}},
                  {"final_layer.linear.weight", {64, 4}}};
  gguf("z-Q4_K.gguf", "lumina2", z_image, false);
  gguf("qwen.gguf", "qwen3",
       {{"token_embd.weight", {60, 40}},
        {"blk.0.attn_q_norm.weight", {8}},
        {"blk.0.ffn_gate.weight", {8, 40}}},
       true);
  safetensors("ae.safetensors", vae(16));
  const auto snapshot = scan();
  const auto& z = model(snapshot, "z-Q4_K");
  EXPECT_EQ(z.info.kind, protocol::ModelKind::image);
  EXPECT_EQ(z.info.architecture, "z_image");
  EXPECT_EQ(z.info.state, ModelState::usable) << z.info.problem;
  EXPECT_EQ(component(z, "text_encoder"), "qwen");
  EXPECT_EQ(part(z, "tokenizer").path, folder_ / "qwen.gguf");
  // It chats as before, and the picture model has a share in it.
  EXPECT_EQ(model(snapshot, "qwen").info.used_by, std::vector<std::string>{"z-Q4_K"});
  EXPECT_NE(model(snapshot, "qwen").info.kind, protocol::ModelKind::component);

  Entries whole{{"transformer.double_blocks.0.img_mod.lin.weight", {6, 4}}};
  gguf("film.gguf", "wan", whole, false);
  gguf("far-film.gguf", "wan", {{"blocks.0.x.weight", {4, 4}}}, false);
  EXPECT_TRUE(model(scan(), "far-film").info.problem.contains("'wan'"));
}

TEST_F(Parts, PartsOfWholeFoldersAreLent) {
  fs::copy(fs::path(INGLE_GOLDEN) / "full_flux_schnell", folder_ / "schnell",
           fs::copy_options::recursive);
  fs::copy(fs::path(INGLE_GOLDEN) / "pipe_flux_dev", folder_ / "lacking",
           fs::copy_options::recursive);
  safetensors("alone.safetensors", flux());
  const auto snapshot = scan();
  const auto& alone = model(snapshot, "alone");
  EXPECT_EQ(alone.info.state, ModelState::usable) << alone.info.problem;
  for (const auto* role : {"vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"}) {
    EXPECT_TRUE(component(alone, role) == "schnell" || component(alone, role) == "lacking") << role;
    EXPECT_TRUE(part(alone, role).path.ends_with(std::string("/") + role)) << role;
  }
  EXPECT_TRUE(part(alone, "tokenizer_2").path.ends_with("schnell/tokenizer_2"));
  // A folder that lacks encoders borrows them.
  const auto& lacking = model(snapshot, "lacking");
  EXPECT_EQ(lacking.info.state, ModelState::usable) << lacking.info.problem;
  EXPECT_EQ(component(lacking, "text_encoder_2"), "schnell");
  EXPECT_EQ(component(lacking, "vae"), "");
}

}  // namespace
}  // namespace ingle::catalog
