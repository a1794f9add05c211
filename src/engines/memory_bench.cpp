// memory_bench: prints what was predicted and what was measured of real workers, for the five
// shapes whose memory differs, at several sizes and settings, each loaded twice. Prints one line
// per load: shape, file MB, settings, predicted MB, measured MB when loaded and when used, error of
// the first prediction and, of the second load, of what was measured in the first. Usage:
// memory_bench [MEGABYTES...]   (100 when none is given; 3000 needs 8 GB free and minutes)
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <print>
#include <span>

#include "engines/memory_rig_test.h"

namespace {

using namespace ingle;
using engines::MemoryCase;
using gguf_writer::TensorType;

struct Variant {
  const char* words;
  std::vector<std::string> set;
  TensorType type = TensorType::q8_0;
  std::uint64_t megabytes_max = 100'000;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> kAll{
      {"512 x1", {"context_tokens=512", "parallel=1"}},
      {"512 x4", {"context_tokens=512", "parallel=4"}, TensorType::q8_0, 600},
      {"1024 x2 kv q8_0",
       {"context_tokens=1024", "parallel=2", "kv_type_k=q8_0", "kv_type_v=q8_0"},
       TensorType::q8_0,
       200},
      {"2048 x1 no flash",
       {"context_tokens=2048", "parallel=1", "flash_attention=off"},
       TensorType::q8_0,
       200},
      {"1024 x1 batch 512",
       {"context_tokens=1024", "parallel=1", "batch_tokens=512", "ubatch_tokens=512"},
       TensorType::q8_0,
       1500},
      {"512 x1 q4_0", {"context_tokens=512", "parallel=1"}, TensorType::q4_0},
  };
  return kAll;
}

int error_count = 0;

void run(engines::MemoryRig& rig, std::string_view preset, std::uint64_t megabytes,
         const Variant& variant) {
  const auto told = [&](const base::Error& error) {
    ++error_count;
    std::println(stderr, "{} {} MB {}: {}", preset, megabytes, variant.words, error.text());
  };
  auto base_options = gguf_writer::preset(preset);
  if (!base_options) return told(base_options.error());
  base_options->type = variant.type;
  auto options = gguf_writer::scaled_to(*base_options, megabytes * 1'000'000);
  if (!options) return told(options.error());
  MemoryCase what{.sample = *options, .set = variant.set};
  // The cache of prompts fills in time and is reserved beside what is predicted.
  what.set.emplace_back("cache_ram_mib=0");
  if (auto made = rig.make(what); !made) return told(made.error());
  double known = 0;
  for (int load = 1; load <= 2; ++load) {
    const auto outcome = rig.measure(what);
    if (!outcome) return told(outcome.error());
    const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    const double used = mb(outcome->used_bytes);
    const double predicted = load == 1 ? mb(outcome->predicted_bytes) : known;
    std::println("{:14} {:6.0f} {:18} {:>5} {:9.1f} {:9.1f} {:9.1f} {:+7.1f} %", preset,
                 mb(outcome->file_bytes), variant.words, load == 1 ? "file" : "known", predicted,
                 mb(outcome->loaded_bytes), used, 100 * (predicted - used) / used);
    std::fflush(stdout);
    known = used;
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::array<std::string_view, 5> kShapes{"mem-dense", "mem-gqa", "mem-swa", "mem-moe",
                                                    "mem-recurrent"};
  std::vector<std::uint64_t> sizes;
  std::vector<std::string_view> shapes;
  for (const std::string_view text : std::span(argv + 1, argv + argc)) {
    std::uint64_t megabytes = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), megabytes);
    const bool number = error == std::errc{} && end == text.data() + text.size();
    if (number && megabytes > 0 && megabytes <= 100'000) {
      sizes.push_back(megabytes);
    } else if (std::ranges::contains(kShapes, text)) {
      shapes.push_back(text);
    } else {
      std::println(stderr,
                   "usage: memory_bench [MEGABYTES | SHAPE]...   (1 to 100000; mem-dense, "
                   "mem-gqa, mem-swa, mem-moe, mem-recurrent)");
      return 2;
    }
  }
  if (sizes.empty()) sizes.push_back(100);
  if (shapes.empty()) shapes.assign_range(kShapes);
  engines::MemoryRig rig;
  std::println("{:14} {:>6} {:18} {:>5} {:>9} {:>9} {:>9} {:>9}", "shape", "MB", "settings",
               "basis", "predicted", "loaded", "used", "error");
  for (const auto size : sizes)
    for (const auto shape : shapes)
      for (const auto& variant : variants())
        if (size <= variant.megabytes_max) run(rig, shape, size, variant);
  return error_count == 0 ? 0 : 1;
}
