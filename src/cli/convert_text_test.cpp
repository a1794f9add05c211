// Goal: a conversion's outcome fits a terminal and can do it no harm. Method: texts of made-up
// results.
#include "cli/convert_text.h"

#include <gtest/gtest.h>

namespace ingle::cli {
namespace {

TEST(ConvertText, SaysSizesErrorsAndWhatIsOtherwise) {
  const protocol::ConvertResult result{
      .path = "/m/x.gguf",
      .tensors = 12,
      .size_bytes = 3 << 20,
      .source_bytes = 12 << 20,
      .took_ms = 2500,
      .types = {{.type = "Q4_K",
                 .tensors = 10,
                 .size_bytes = 2 << 20,
                 .error = 0.001,
                 .relative_error = 0.064,
                 .worst = "a.weight",
                 .worst_relative_error = 0.09},
                {.type = "F32", .tensors = 2, .size_bytes = 1 << 20}},
      .fallbacks = {{.wanted = "Q4_K", .type = "Q8_0", .tensors = 3, .names = {"b", "c"}}},
      .unused_rules = {"*.nothing"}};
  EXPECT_EQ(convert_text(result, 0),
            "/m/x.gguf: 3.0 MiB, 25 % of 12.0 MiB, in 2.5 s\n"
            "TYPE  TENSORS     SIZE  ERROR  WORST  TENSOR\n"
            "Q4_K       10  2.0 MiB  6.4 %    9 %  a.weight\n"
            "F32         2  1.0 MiB      -      -  -\n"
            "3 tensors became Q8_0 instead of Q4_K, whose blocks do not fit the rows: b, c, ...\n"
            "no tensor fits the rule '*.nothing'\n");
}

TEST(ConvertText, HostileNamesSteerNothing) {
  const auto text = convert_text({.path = "/m/\x1b[2J",
                                  .types = {{.type = "Q4_K", .worst = "\x1b]0;x\a"}},
                                  .fallbacks = {{.names = {"\x1b[1m\n"}}}},
                                 80);
  EXPECT_FALSE(text.contains('\x1b'));
  EXPECT_FALSE(text.contains('\a'));
}

}  // namespace
}  // namespace ingle::cli
