// Goal: a GGUF gives its tensors with PyTorch's shapes and right numbers, quantised or not, and is
// told from other files by its first bytes. Method: files from the writer that shares no code.
#include "weights/gguf_weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "make_gguf/gguf_writer.h"
#include "testing/temp_folder.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using gguf_writer::GgufWriter;
using gguf_writer::TensorType;

void ramp(std::uint64_t row, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(row) + static_cast<float>(i) / 64.0f;
}

class GgufWeights : public ::testing::Test {
 protected:
  base::Result<WeightsFile> written(const GgufWriter& writer) {
    EXPECT_TRUE(writer.write(folder_ / "model.gguf").has_value());
    return open_weights_file(folder_ / "model.gguf");
  }
  testing::TempFolder folder_;
};

TEST_F(GgufWeights, ShapesAndNumbers) {
  GgufWriter writer;
  writer.add("general.architecture", std::string("flux"));
  writer.add_tensor("linear.weight", {64, 3}, TensorType::f32, ramp);
  writer.add_tensor("conv.weight", {3, 3, 2, 4}, TensorType::f16, ramp);
  writer.add_tensor("quantised.weight", {64, 5}, TensorType::q8_0, ramp);
  writer.add_tensor("vector", {64}, TensorType::q8_0, ramp);
  const auto file = written(writer);
  ASSERT_TRUE(file.has_value()) << file.error().text();
  EXPECT_EQ(file->metadata.at("general.architecture"), "flux");
  const auto& weights = *file->weights;
  EXPECT_EQ(weights.find("linear.weight")->shape, (tensor::Shape{3, 64}));
  EXPECT_EQ(weights.find("conv.weight")->shape, (tensor::Shape{4, 2, 3, 3}));
  EXPECT_EQ(weights.find("quantised.weight")->type, tensor::kQ8_0);
  std::vector<float> rows(2 * 64);
  ASSERT_TRUE(weights.read("linear.weight", 1, 3, rows).has_value());
  EXPECT_EQ(rows[0], 1.0f);
  EXPECT_EQ(rows[65], 2.0f + 1.0f / 64);
  ASSERT_TRUE(weights.read("quantised.weight", 3, 5, rows).has_value());
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_NEAR(rows[i], static_cast<float>(3 + i / 64) + static_cast<float>(i % 64) / 64.0f,
                0.03f);
  EXPECT_EQ(weights.stored("quantised.weight")->size(), 5u * 2 * 34);
  // A row of one number, in the middle of a block.
  std::vector<float> part(3);
  ASSERT_TRUE(weights.read("vector", 40, 43, part).has_value());
  EXPECT_NEAR(part[1], 41.0f / 64, 0.01f);
}

TEST_F(GgufWeights, FoldedShapes) {
  GgufWriter writer;
  writer.add("comfy.gguf.orig_shape.conv.weight", std::vector<std::int32_t>{4, 16, 2, 1});
  writer.add_tensor("conv.weight", {32, 4}, TensorType::q8_0, ramp);
  const auto file = written(writer);
  ASSERT_TRUE(file.has_value()) << file.error().text();
  EXPECT_EQ(file->weights->find("conv.weight")->shape, (tensor::Shape{4, 16, 2, 1}));
  std::vector<float> row(32);
  ASSERT_TRUE(file->weights->read("conv.weight", 2, 3, row).has_value());
  EXPECT_NEAR(row[1], 2.0f + 1.0f / 64, 0.02f);

  GgufWriter wrong;
  wrong.add("comfy.gguf.orig_shape.conv.weight", std::vector<std::int32_t>{4, 16, -2, 1});
  wrong.add_tensor("conv.weight", {32, 4}, TensorType::q8_0, ramp);
  EXPECT_EQ(written(wrong).error().code, ErrorCode::malformed);
}

TEST_F(GgufWeights, OtherFiles) {
  const auto pickled = open_weights_file(folder_.write("model.ckpt", "PK\x03\x04 and more"));
  EXPECT_EQ(pickled.error().code, ErrorCode::unsupported);
  EXPECT_EQ(open_weights_file(folder_.write("model.gguf", "GGUF")).error().code,
            ErrorCode::malformed);
  EXPECT_EQ(open_weights_file(folder_.write("empty", "")).error().code, ErrorCode::malformed);
  EXPECT_EQ(open_weights_file(folder_ / "absent").error().code, ErrorCode::not_found);
  EXPECT_TRUE(open_weights_file(INGLE_GOLDEN "/vae_sd/model.safetensors").has_value());
}

// Every type that can be written comes back close to what it was; those whose tables take seconds
// to make (IQ1 to IQ3) are left out.
TEST(GgmlNumbers, ThereAndBack) {
  std::vector<float> values(2 * 256);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(i) * 0.7f);
  std::size_t types = 0;
  for (tensor::StorageType type = 0; type < 64; ++type) {
    if (!quantisable(type)) continue;
    const auto number = *number_type(type);
    if (number.name.starts_with("IQ") && !number.name.starts_with("IQ4")) continue;
    std::vector<std::byte> bytes(values.size() / number.block_elements * number.block_bytes);
    quantise(type, values, 256, bytes);
    std::vector<float> back(values.size());
    plain_numbers(type) ? to_f32(type, bytes, back) : blocks_to_f32(type, bytes, back);
    double error = 0;
    double all = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      error += std::pow(back[i] - values[i], 2);
      all += std::pow(values[i], 2);
    }
    EXPECT_LT(std::sqrt(error / all),
              number.block_bytes * 8 / number.block_elements >= 4 ? 0.25 : 0.8)
        << number.name;
    ++types;
  }
  EXPECT_GE(types, 12u);
  EXPECT_FALSE(quantisable(999));
  EXPECT_FALSE(readable_blocks(999));
}

}  // namespace
}  // namespace ingle::weights
