// Goal: untrusted output is shown safely, a flood is bounded and counted, and a dead worker's last
// lines yield words and a remedy. Method: lines into OutputLog on virtual time; the remedy table
// case by case, with the words that engines really write.
#include "supervisor/output.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "supervisor/remedy.h"
#include "testing/fake_loop.h"
#include "testing/memory_log.h"

namespace ingle::supervisor {
namespace {

using base::LogLevel;

class OutputTest : public ::testing::Test {
 protected:
  testing::FakeLoop loop;
  testing::MemoryLog log;
  OutputLog output{loop, {log, loop.clock(), "worker.tiny"}};
};

TEST_F(OutputTest, PrintableEscapesControlsAndBrokenUtf8) {
  EXPECT_EQ(printable("a\tb\n\x1b[31m\x7f"), "a\\x09b\\x0a\\x1b[31m\\x7f");
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\xa5"),
            "gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\xa5");
  EXPECT_EQ(printable("\xff\xc3.\xed\xa0\x80\xc0\x80"), "??.?????");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST_F(OutputTest, FloodIsCountedAndToldOnceAWindow) {
  for (int i = 0; i < 1000; ++i) output.add({LogLevel::info, "line"});
  EXPECT_EQ(log.count("output"), OutputLog::kLinesPerWindow);
  loop.advance(OutputLog::kWindow);
  EXPECT_EQ(log.count("output_suppressed"), 1u);
  EXPECT_TRUE(log.last("output_suppressed")->message.contains("500 more"));
  output.add({LogLevel::info, "afterwards"});
  EXPECT_EQ(log.last("output")->message, "afterwards");
  loop.advance(base::Seconds(5));
  EXPECT_EQ(log.count("output_suppressed"), 1u);
}

TEST_F(OutputTest, FinishTellsWhatWasStillCounted) {
  for (int i = 0; i < 501; ++i) output.add({LogLevel::info, "line"});
  output.finish();
  output.finish();
  EXPECT_EQ(log.count("output_suppressed"), 1u);
  EXPECT_EQ(loop.timers(), 0u);
}

TEST_F(OutputTest, TailAndLastWordsAreBounded) {
  for (int i = 0; i < 100; ++i) output.add({LogLevel::info, std::string(5000, 'x')});
  EXPECT_EQ(output.tail().size(), OutputLog::kTailLines);
  EXPECT_LE(output.last_words().size(), 1000u);
}

TEST_F(OutputTest, LastWordsAreTheLastErrorsInOrderEachOnce) {
  EXPECT_EQ(output.last_words(), "");
  output.add({LogLevel::info, "chatter"});
  EXPECT_EQ(output.last_words(), "chatter");
  for (const auto* line : {"first", "second", "first"}) output.add({LogLevel::error, line});
  output.add({LogLevel::info, "cleaning up"});
  EXPECT_EQ(output.last_words(), "second | first");
}

std::string remedy(platform::ExitStatus status, std::string line = {},
                   LogLevel level = LogLevel::error) {
  std::deque<OutputLine> tail;
  if (!line.empty()) tail.push_back({level, std::move(line)});
  return remedy_for(status, tail, "tiny");
}

TEST(Remedy, FollowsTheOutput) {
  const platform::ExitStatus failed{.code = 1};
  EXPECT_TRUE(remedy(failed,
                     "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9 MiB on "
                     "device 0: cudaMalloc failed: out of memory")
                  .contains("ingle load tiny --set context_tokens"));
  EXPECT_TRUE(remedy(failed,
                     "llama_model_load: error loading model: tensor 'x' data is not within "
                     "the file bounds, model is corrupted or incomplete")
                  .contains("download it again"));
  EXPECT_TRUE(remedy(failed, "error loading model: unknown model architecture: 'new'")
                  .contains("newer llama-server"));
  EXPECT_TRUE(remedy({.code = 127},
                     "llama-server: error while loading shared libraries: "
                     "libllama.so.0: cannot open shared object file")
                  .contains("library"));
  EXPECT_TRUE(remedy(failed, "error: invalid argument: --log-jsonl").contains("option"));
  EXPECT_TRUE(remedy(failed,
                     "gguf_init_from_file: failed to open GGUF file (No such file or "
                     "directory)")
                  .contains("ingle ls"));
}

TEST(Remedy, FollowsTheSignalWhenTheOutputSaysNothing) {
  EXPECT_TRUE(remedy({.signal = SIGKILL}).contains("out of memory"));
  EXPECT_TRUE(remedy({.signal = SIGILL}).contains("processor lacks"));
  EXPECT_TRUE(remedy({.signal = SIGBUS}).contains("shrank"));
  EXPECT_TRUE(remedy({.signal = SIGSYS}).contains("text.sandbox"));
  EXPECT_TRUE(remedy({.signal = SIGSEGV}, "all is well").contains("ingle logs --grep worker.tiny"));
  EXPECT_TRUE(remedy({.code = 0}).contains("ingle logs"));
}

TEST(Remedy, ErrorsCountBeforeChatter) {
  const std::deque<OutputLine> tail{{LogLevel::error, "unknown model architecture: 'x'"},
                                    {LogLevel::info, "permission denied is not what happened"}};
  EXPECT_TRUE(remedy_for({.code = 1}, tail, "tiny").contains("architecture"));
}

}  // namespace
}  // namespace ingle::supervisor
