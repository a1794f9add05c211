// Goal: whatever bytes go in, valid and harmless UTF-8 comes out, and good text stays as it is.
// Method: cases from RFC 3629, and every single byte.
#include "catalog/text.h"

#include <gtest/gtest.h>

namespace ingle::catalog {
namespace {

TEST(Text, GoodTextStays) {
  for (const char* text : {"", "tiny.gguf", "käse 模型 🔥", "a b\\c"}) {
    EXPECT_EQ(printable(text, 100), text);
    EXPECT_TRUE(is_printable(text));
    EXPECT_EQ(valid_utf8(text), text);
  }
}

TEST(Text, ControlCharactersAreShownAsBytes) {
  EXPECT_EQ(printable("a\nb\x1b[31m", 100), "a\\x0ab\\x1b[31m");
  EXPECT_EQ(printable(std::string_view("\0\x7f", 2), 100), "\\x00\\x7f");
  EXPECT_EQ(printable("\xc2\x9b", 100), "\\xc2\\x9b");           // C1: CSI
  EXPECT_EQ(printable("\xe2\x80\xae", 100), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(valid_utf8("line\n\ttab"), "line\n\ttab");
}

TEST(Text, InvalidSequencesAreShownByteByByte) {
  EXPECT_EQ(printable("a\xff", 100), "a\\xff");
  EXPECT_EQ(printable("\xc0\xaf", 100), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(printable("\xe0\x80\xaf", 100), "\\xe0\\x80\\xaf");  // overlong
  EXPECT_EQ(printable("\xed\xa0\x80", 100), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80", 100), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(printable("\xe6\xa8", 100), "\\xe6\\xa8");  // cut short
  EXPECT_EQ(valid_utf8("a\xff\xe6\xa8z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(Text, EveryByteComesOutPrintable) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_TRUE(is_printable(printable(text, 100))) << byte;
    EXPECT_EQ(is_printable(text), byte >= 0x20 && byte < 0x7f) << byte;
  }
}

TEST(Text, LongTextIsCutOnAWholeCharacter) {
  EXPECT_EQ(printable("äää", 5), "ää...");
  EXPECT_EQ(printable(std::string(1000, 'x'), 10).size(), 13u);
}

}  // namespace
}  // namespace ingle::catalog
