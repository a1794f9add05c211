// Goal: settings are read from files as other programs write them, and hostile files are refused
// within bounds. Method: files made by hand, cut at every length and broken at every byte.
#include "pixels/texts.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "pixels/encode.h"

namespace ingle::pixels {
namespace {

using base::ErrorCode;
using namespace std::string_literals;

const std::string kPngHead = "\x89PNG\r\n\x1a\n";

std::string big(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string png_chunk(const std::string& kind, const std::string& content) {
  return big(content.size(), 4) + kind + content + "\0\0\0\0"s;
}
std::string packed(const std::string& text) {
  auto size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
           text.size());
  out.resize(size);
  return out;
}
std::string jpeg_exif(const std::string& tiff) {
  const auto content = "Exif\0\0"s + tiff;
  return "\xff\xd8\xff\xe1" + big(content.size() + 2, 2) + content + "\xff\xd9";
}
// A little-endian EXIF block whose comment is these bytes.
std::string little_exif(const std::string& comment) {
  const auto size = static_cast<char>(comment.size());
  return "II*\0\x08\0\0\0"s + "\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0"s +
         "\x01\0\x86\x92\x07\0"s + size + "\0\0\0\x2c\0\0\0\0\0\0\0"s + comment;
}

TEST(Texts, OfPngsAsOthersWriteThem) {
  const auto parameters = [](const std::string& kind, const std::string& content) {
    const auto texts = read_texts(kPngHead + png_chunk(kind, "parameters\0"s + content));
    return texts ? texts->parameters : std::string(base::error_code_name(texts.error().code));
  };
  EXPECT_EQ(parameters("tEXt", "a cat\nSteps: 4"), "a cat\nSteps: 4");
  EXPECT_EQ(parameters("tEXt", "caf\xe9"), "caf\u00e9") << "Latin-1";
  EXPECT_EQ(parameters("tEXt", "caf\u00e9"), "caf\u00e9") << "UTF-8 all the same";
  EXPECT_EQ(parameters("iTXt", "\0\0en\0Parameter\0caf\u00e9"s), "caf\u00e9");
  EXPECT_EQ(parameters("zTXt", "\0"s + packed("caf\xe9")), "caf\u00e9");
  EXPECT_EQ(parameters("iTXt", "\1\0\0\0"s + packed("caf\u00e9")), "caf\u00e9");
  EXPECT_EQ(parameters("zTXt", "\0"s + packed("a cat").substr(0, 6)), "malformed");
  EXPECT_EQ(parameters("zTXt", "\0no zlib"s), "malformed");
  EXPECT_EQ(parameters("tEXt", std::string(kTextBytesMax + 1, 'x')), "limit_exceeded");
  EXPECT_EQ(read_texts(kPngHead + png_chunk("tEXt", "Comment\0x"s))->parameters, "");
}

TEST(Texts, PackedTextsAreBounded) {
  const auto of = [](std::size_t length, std::size_t cut) {
    const auto file = packed(std::string(length, 'a'));
    EXPECT_LT(file.size(), 4000u);
    return read_texts(kPngHead +
                      png_chunk("zTXt", "parameters\0\0"s + file.substr(0, file.size() - cut)));
  };
  EXPECT_EQ(of(kTextBytesMax, 0)->parameters.size(), kTextBytesMax);
  EXPECT_EQ(of(kTextBytesMax + 1, 0).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(of(kTextBytesMax / 2, 8).error().code, ErrorCode::malformed);
}

TEST(Texts, OneOfEachKeywordIsUnpacked) {
  // The first unpacks to nothing; the second is damaged, and must not be looked at.
  const auto texts = read_texts(kPngHead + png_chunk("zTXt", "parameters\0\0"s + packed("")) +
                                png_chunk("zTXt", "parameters\0\0no zlib"s));
  ASSERT_TRUE(texts) << texts.error().text();
  EXPECT_EQ(texts->parameters, "");
}

TEST(Texts, OfExifAsOthersWriteIt) {
  const auto comment = [](const std::string& bytes) {
    return read_texts(jpeg_exif(little_exif(bytes)))->parameters;
  };
  EXPECT_EQ(comment("UNICODE\0a\0b\0"s), "ab") << "in the block's order";
  EXPECT_EQ(comment("UNICODE\0\0a\0b"s), "ab") << "big-endian all the same";
  EXPECT_EQ(comment("UNICODE\0\xfe\xff\0a\0b"s), "ab");
  EXPECT_EQ(comment("UNICODE\0\x3d\xd8\x25\xdd"s), "\U0001F525");
  EXPECT_EQ(comment("UNICODE\0\x3d\xd8"s), "\uFFFD") << "half a pair";
  EXPECT_EQ(comment("ASCII\0\0\0plain"s), "plain");
  EXPECT_EQ(comment("\0\0\0\0\0\0\0\0plain"s), "plain");
  EXPECT_EQ(comment("UNICODE\0"s), "");
  EXPECT_EQ(read_texts(jpeg_exif("XX")).error().code, ErrorCode::malformed);
  auto far = little_exif("ASCII\0\0\0plain"s);
  far[36] = '\x7f';  // where the comment is said to lie
  EXPECT_EQ(read_texts(jpeg_exif(far)).error().code, ErrorCode::malformed);
}

TEST(Texts, OtherFilesAreRefused) {
  for (const std::string file : {"", "GIF89a", "\x89PNG", "RIFF\0\0\0\0WAVE"})
    EXPECT_EQ(read_texts(file).error().code, ErrorCode::unsupported);
}

TEST(Texts, CutAndBrokenFilesEndInAnAnswer) {
  const std::string data(3 * 8 * 8, 'p');
  const Texts texts{"a hearth", "{}"};
  for (const auto format : {Format::png, Format::jpeg, Format::webp}) {
    const auto file = encode(format, {8, 8, data}, 90, texts).value();
    for (std::size_t size = 0; size < file.size(); ++size) {
      const auto cut = read_texts(std::string_view(file).substr(0, size));
      const bool found = cut && !cut->parameters.empty();
      EXPECT_TRUE(!found || cut->parameters == texts.parameters) << size;
    }
    for (std::size_t at = 0; at < file.size(); ++at)
      for (const char with : {'\0', '\x7f', '\xff'}) {
        auto broken = file;
        broken[at] = with;
        const auto read = read_texts(broken);
        EXPECT_TRUE(read || !read.error().message.empty());
      }
  }
}

}  // namespace
}  // namespace ingle::pixels
