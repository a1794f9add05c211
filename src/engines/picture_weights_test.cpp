// Goal: what weights take is right for every precision, and files of few bits are counted as they
// are only when they stay so. Method: parts of known sizes.
#include "engines/picture_weights.h"

#include <gtest/gtest.h>

namespace ingle::engines {
namespace {

using catalog::PartKind;
using catalog::PicturePart;

constexpr std::uint64_t kElements = 1'000'000'000;

PicturePart part(PartKind kind, std::uint64_t file_bytes) {
  return {.elements = kElements, .file_bytes = file_bytes, .kind = kind};
}

TEST(PictureWeights, PackedDependsOnThePrecisionAndThePart) {
  const auto bytes = [](PartKind kind, std::string_view precision) {
    return part_weight_bytes(part(kind, kElements / 2), precision, WeightsHeld::packed);
  };
  EXPECT_EQ(bytes(PartKind::flux1, "f32"), 4 * kElements);
  EXPECT_EQ(bytes(PartKind::flux1, "bf16"), 2 * kElements);
  EXPECT_LT(bytes(PartKind::flux1, "int8"), 2 * kElements);
  EXPECT_LT(bytes(PartKind::t5, "int8"), bytes(PartKind::flux1, "int8"));
  EXPECT_EQ(bytes(PartKind::vae, "int8"), 2 * kElements) << "convolutions stay in bf16";
}

TEST(PictureWeights, StoredIsTheFileWhereThatIsSmaller) {
  const auto bytes = [](std::uint64_t file_bytes) {
    return part_weight_bytes(part(PartKind::flux1, file_bytes), "bf16", WeightsHeld::stored);
  };
  EXPECT_EQ(bytes(kElements * 9 / 16), kElements * 9 / 16);
  EXPECT_EQ(bytes(kElements * 2), kElements * 2);
  EXPECT_EQ(bytes(kElements * 4), kElements * 2);
  EXPECT_EQ(bytes(0), kElements * 2) << "its size is not known";
}

TEST(PictureWeights, OnlyFilesOfFewBitsGain) {
  catalog::PictureFacts picture{.parts = {part(PartKind::vae, 2 * kElements)}};
  EXPECT_FALSE(gains_stored(picture, "bf16"));
  picture.parts.push_back(part(PartKind::flux1, kElements));
  EXPECT_TRUE(gains_stored(picture, "bf16"));
  EXPECT_TRUE(gains_stored(picture, "int8"));
}

}  // namespace
}  // namespace ingle::engines
