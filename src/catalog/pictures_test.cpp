// Goal: diffusion models are recognised by what is in them, what is missing is named, and hostile
// headers cost nothing. Method: the golden folders, copies of them with parts taken away, and
// safetensors files made of a header alone.
#include "catalog/pictures.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <format>
#include <fstream>

#include "catalog/reading.h"
#include "catalog/snapshot.h"
#include "testing/temp_folder.h"

namespace ingle::catalog {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = INGLE_GOLDEN;

// A file of this header and `data_bytes` zeros.
std::string safetensors(std::string_view header, std::size_t data_bytes) {
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> (8 * i));
  out += header;
  out.append(data_bytes, '\0');
  return out;
}

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(Pictures, AWholeFolderIsAModel) {
  const auto reading = read_model_file(kGolden / "full_sd15" / kModelIndex).value();
  EXPECT_EQ(reading.problem, "");
  EXPECT_EQ(reading.facts.architecture, "sd1");
  EXPECT_EQ(reading.facts.quantization, "F32");
  ASSERT_TRUE(reading.picture);
  EXPECT_EQ(reading.picture->side, 64);
  EXPECT_TRUE(reading.picture->has("unet"));
  EXPECT_TRUE(reading.picture->has("vae"));
  EXPECT_TRUE(reading.picture->has("text_encoder"));
  EXPECT_EQ(reading.facts.parameters, reading.picture->elements());
  EXPECT_EQ(reading.facts.weight_bytes, 4 * reading.picture->elements());
  EXPECT_EQ(decode_reading(encode_reading(reading))->picture, reading.picture);
}

TEST(Pictures, TheSideOfATransformerIsThatOfItsDecoder) {
  const auto named = read_model_file(kGolden / "full_flux_schnell" / kModelIndex).value();
  EXPECT_EQ(named.picture->side, 64);
  ingle::testing::TempFolder folder;
  fs::copy(kGolden / "full_flux_schnell", folder / "m", fs::copy_options::recursive);
  for (const std::string_view side :
       {"0", "-64", "65", "1e9", "\"64\""}) {  // no sides: the family's
    write(folder / "m" / "vae" / "config.json", std::format("{{\"sample_size\": {}}}", side));
    EXPECT_EQ(read_model_file(folder / "m" / kModelIndex)->picture->side, 1024) << side;
  }
}

TEST(Pictures, WhatIsMissingIsNamed) {
  // Parts that are not there may come from elsewhere: the snapshot tells (choose_parts_test.cpp).
  const auto flux = read_model_file(kGolden / "pipe_flux_dev" / kModelIndex).value();
  EXPECT_EQ(flux.problem, "");
  EXPECT_FALSE(flux.picture->has("text_encoder"));
  EXPECT_FALSE(flux.lasting);

  ingle::testing::TempFolder folder;
  fs::copy(kGolden / "full_sd15", folder / "m", fs::copy_options::recursive);
  const auto vae = folder / "m" / "vae" / "diffusion_pytorch_model.safetensors";
  fs::resize_file(vae, fs::file_size(vae) - 100);
  const auto cut = read_model_file(folder / "m" / kModelIndex).value();
  EXPECT_TRUE(cut.problem.contains("'vae'")) << cut.problem;
  fs::remove(vae);
  const auto gone = read_model_file(folder / "m" / kModelIndex).value();
  EXPECT_TRUE(gone.problem.contains("'vae'")) << gone.problem;
  const auto words = folder / "m" / "tokenizer";
  fs::remove(words / "vocab.json");
  write(words / "words.bin", "of a kind that is not known");
  EXPECT_TRUE(read_model_file(folder / "m" / kModelIndex)->picture->has("tokenizer"));
  fs::remove_all(words);
  EXPECT_FALSE(read_model_file(folder / "m" / kModelIndex)->picture->has("tokenizer"));
  write(folder / "m" / kModelIndex, R"({"_class_name": "LaterPipeline"})");
  EXPECT_TRUE(read_model_file(folder / "m" / kModelIndex)->problem.contains("LaterPipeline"));
}

TEST(Pictures, FoldersAreNamedAndListed) {
  FileTable files;
  const auto add = [&](const std::string& path) {
    files[path] = {.size_bytes = 500,
                   .reading = std::make_shared<const FileReading>(
                       read_model_file(kGolden / "full_sd15" / kModelIndex).value())};
  };
  add("/m/my model/model_index.json");
  add("/c/models--who--what-1.5/snapshots/0123abcd/model_index.json");
  files["/m/part.safetensors"] = {.size_bytes = 9,
                                  .reading = std::make_shared<const FileReading>(
                                      FileReading{.type = std::string(kUnlistedType)})};
  const auto snapshot = make_snapshot(std::move(files));
  ASSERT_EQ(snapshot.models.size(), 2u);
  EXPECT_EQ(snapshot.models[0].info.id, "my-model");
  EXPECT_EQ(snapshot.models[1].info.id, "what-1.5");
  for (const auto& model : snapshot.models) {
    EXPECT_EQ(model.info.kind, protocol::ModelKind::image);
    EXPECT_EQ(model.info.state, protocol::ModelState::usable);
    EXPECT_EQ(model.info.size_bytes, static_cast<std::int64_t>(model.facts.weight_bytes));
    EXPECT_FALSE(model.picture.parts.empty());
  }
}

TEST(Pictures, SingleFilesAreToldApart) {
  ingle::testing::TempFolder folder;
  const auto read = [&](std::string_view header, std::size_t bytes) {
    write(folder / "a.safetensors", safetensors(header, bytes));
    return read_model_file(folder / "a.safetensors").value();
  };
  const auto unet = read(
      R"({"model.diffusion_model.input_blocks.0.0.weight":
      {"dtype":"F16","shape":[2],"data_offsets":[4096,4100]},
      "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight":
      {"dtype":"F16","shape":[2,1024],"data_offsets":[0,4096]}})",
      4100);
  EXPECT_EQ(unet.facts.architecture, "sd2");
  EXPECT_EQ(unet.problem, "");
  EXPECT_FALSE(unet.picture->has("vae"));
  const auto lora = read(
      R"({"lora_unet_x.lora_down.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})", 8);
  EXPECT_EQ(lora.type, "adapter");
  const auto other = read(
      R"({"model.embed_tokens.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})", 8);
  EXPECT_EQ(other.type, kUnlistedType);
}

TEST(Pictures, AHeaderThatLiesIsABrokenFile) {
  ingle::testing::TempFolder folder;
  const auto path = folder / "a.safetensors";
  const std::string_view good = R"({"a":{"dtype":"F3","shape":[2],"data_offsets":[0,8]}})";
  write(path, safetensors(good, 8));
  EXPECT_EQ(read_model_file(path)->problem, "");
  for (const std::string& bytes :
       {safetensors(good, 7), std::string(), std::string(8, '\xff'), safetensors("[]", 0)}) {
    write(path, bytes);
    const auto reading = read_model_file(path).value();
    EXPECT_TRUE(reading.problem.starts_with("it is no whole safetensors file")) << reading.problem;
    EXPECT_FALSE(reading.picture);
  }
}

}  // namespace
}  // namespace ingle::catalog
