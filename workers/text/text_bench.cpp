// How long a text takes: CLIP-L in its published shape on random weights, and the opening of a
// tokenizer. Prints lines of "name value".
// Usage: text_bench [runs; 0: no encoder] [folder of a tokenizer] [clip | unigram | qwen]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tensor/onednn.h"
#include "text/random_clip.h"
#include "text/tokenizer.h"

namespace ingle::text {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

base::Status bench_clip(std::int64_t runs) {
  TRY_ASSIGN(const auto json, weights::Config::parse(R"({"hidden_size": 768,
    "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12})"));
  TRY_ASSIGN(const auto config, clip_text_config(json));
  const auto weights = random_clip_weights(config);
  TRY_ASSIGN(const auto executor, tensor::make_onednn_executor({}));
  TRY_ASSIGN(const auto module, executor->open(weights));
  TRY_ASSIGN(const auto encoder, ClipTextEncoder::create(json, weights, *module));
  const std::atomic<bool> stop = false;
  for (const std::int64_t items : {1, 2}) {
    const ClipTextSizes sizes{.items = items};
    const Ids ids(static_cast<std::size_t>(items * sizes.tokens), 1000);
    TRY(encoder->prepare(sizes, {}));
    std::vector<double> times;
    for (std::int64_t run = 0; run < runs; ++run) {
      const auto start = Clock::now();
      TRY(encoder->encode(ids, sizes, {}, stop));
      times.push_back(ms_since(start));
    }
    std::ranges::sort(times);
    std::printf("clip_l_items_%lld_ms %.1f\nclip_l_items_%lld_best_ms %.1f\n",
                static_cast<long long>(items), times[times.size() / 2],
                static_cast<long long>(items), times[0]);
  }
  return {};
}

base::Status bench_tokenizer(const std::filesystem::path& folder, std::string_view kind) {
  const auto start = Clock::now();
  TRY_ASSIGN(const auto tokenizer,
             open_tokenizer(folder, kind == "clip"   ? TokenizerKind::clip
                                    : kind == "qwen" ? TokenizerKind::qwen
                                                     : TokenizerKind::unigram));
  std::printf("tokenizer_open_ms %.1f\n", ms_since(start));
  const auto encoding = Clock::now();
  TRY(tokenizer->encode("a photo of a cat on a red chair, highly detailed, 4k"));
  std::printf("tokenizer_encode_ms %.3f\n", ms_since(encoding));
  return {};
}

}  // namespace
}  // namespace ingle::text

int main(int count, char** arguments) {
  const auto runs = count > 1 ? std::atoll(arguments[1]) : 9;
  auto done = runs > 0 ? ingle::text::bench_clip(runs) : ingle::base::Status();
  if (done && count > 3) done = ingle::text::bench_tokenizer(arguments[2], arguments[3]);
  if (!done) std::fprintf(stderr, "text_bench: %s\n", done.error().text().c_str());
  return done ? 0 : 1;
}
