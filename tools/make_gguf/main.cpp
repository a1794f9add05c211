// ingle-make-gguf: writes a sample model to a file.
#include <charconv>
#include <cstdio>
#include <functional>
#include <map>
#include <print>
#include <span>
#include <string_view>

#include "make_gguf/sample_model.h"

namespace {

using namespace ingle;
using gguf_writer::Architecture;
using gguf_writer::SampleOptions;

constexpr std::string_view kUsage =
    R"(usage: ingle-make-gguf [PRESET] --out FILE [OPTIONS]
  PRESET             tiny (default), tiny-qwen2, embedding, reranker, bench150m, vocab150k;
                     of about 100 MB: mem-dense, mem-gqa, mem-swa, mem-moe, mem-recurrent
  --arch NAME        llama, qwen2, gemma3, qwen3moe, mamba, bert, reranker
  --layers N         --embd N (a multiple of the head length)   --ffn N   --head N
  --vocab N          at least so many tokens (filler makes up the rest)
  --ctx N            trained context, in tokens
  --type TYPE        f32, f16, q8_0, q4_0, q4_k
  --window N         of gemma3, in tokens   --experts N, --experts-used N   of qwen3moe
  --rows WHICH       all, or repeated: a few come again, so that gigabytes are made in seconds
  --output WHICH     own, or tied: the embedding serves as output head
  --size MB          scales the lengths above, so that the file has about so many megabytes
  --seed N           the same options and seed, the same bytes
  --name TEXT        general.name
)";

base::Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max)
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("'{}' is not a whole number up to {}", text, max));
  return value;
}

base::Status set_number(std::uint32_t& field, std::string_view text) {
  TRY_ASSIGN(const auto value, parse_number(text, UINT32_MAX));
  field = static_cast<std::uint32_t>(value);
  return {};
}

base::Status set_architecture(SampleOptions& options, std::string_view text) {
  static const std::map<std::string_view, Architecture> kNames{
      {"llama", Architecture::llama},      {"qwen2", Architecture::qwen2},
      {"gemma3", Architecture::gemma3},    {"qwen3moe", Architecture::qwen3moe},
      {"mamba", Architecture::mamba},      {"bert", Architecture::bert},
      {"reranker", Architecture::reranker}};
  const auto found = kNames.find(text);
  if (found == kNames.end())
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("no architecture '{}': see --arch in --help", text));
  options.architecture = found->second;
  return {};
}

base::Status set_choice(auto& field, std::string_view text, std::string_view first,
                        auto first_value, std::string_view second, auto second_value) {
  if (text != first && text != second)
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("'{}' is neither '{}' nor '{}'", text, first, second));
  field = text == first ? first_value : second_value;
  return {};
}

struct Target {
  std::string path{};
  std::uint32_t megabytes = 0;  // 0: as large as the options make it
};

base::Status apply(SampleOptions& options, Target& target, std::string_view flag,
                   std::string_view value) {
  if (flag == "--out") return target.path = value, base::Status{};
  if (flag == "--size") return set_number(target.megabytes, value);
  if (flag == "--window") return set_number(options.window_tokens, value);
  if (flag == "--experts") return set_number(options.experts, value);
  if (flag == "--experts-used") return set_number(options.experts_used, value);
  if (flag == "--rows")
    return set_choice(options.rows, value, "all", gguf_writer::Rows::all, "repeated",
                      gguf_writer::Rows::repeated);
  if (flag == "--output")
    return set_choice(options.output, value, "own", gguf_writer::Output::own, "tied",
                      gguf_writer::Output::tied);
  if (flag == "--name") return options.name = value, base::Status{};
  if (flag == "--arch") return set_architecture(options, value);
  if (flag == "--layers") return set_number(options.layers, value);
  if (flag == "--embd") return set_number(options.embedding_length, value);
  if (flag == "--ffn") return set_number(options.feed_forward_length, value);
  if (flag == "--head") return set_number(options.head_length, value);
  if (flag == "--vocab") return set_number(options.vocabulary_size_min, value);
  if (flag == "--ctx") return set_number(options.context_tokens, value);
  if (flag == "--type") {
    TRY_ASSIGN(options.type, gguf_writer::parse_tensor_type(value));
    return {};
  }
  if (flag == "--seed") {
    TRY_ASSIGN(options.seed, parse_number(value, UINT64_MAX));
    return {};
  }
  return base::fail(base::ErrorCode::invalid_argument, std::format("no option '{}'", flag));
}

base::Status run(std::span<char*> arguments) {
  std::string_view preset = "tiny";
  if (!arguments.empty() && *arguments.front() != '-') {
    preset = arguments.front();
    arguments = arguments.subspan(1);
  }
  TRY_ASSIGN(auto options, gguf_writer::preset(preset));
  Target target;
  for (; arguments.size() >= 2; arguments = arguments.subspan(2))
    TRY(apply(options, target, arguments[0], arguments[1]));
  if (!arguments.empty())
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("'{}' needs a value", arguments.front()));
  if (target.path.empty())
    return base::fail(base::ErrorCode::invalid_argument, "--out FILE is missing");
  if (target.megabytes != 0) {
    TRY_ASSIGN(options, gguf_writer::scaled_to(options, 1'000'000ull * target.megabytes));
  }
  TRY_ASSIGN(const auto model, gguf_writer::make_sample(options));
  TRY(model.write(target.path));
  std::println("{}: {:.1f} million parameters", target.path,
               static_cast<double>(model.parameter_count()) / 1e6);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv + 1, argv + argc);
  if (!arguments.empty() && std::string_view(arguments[0]) == "--help") {
    std::print("{}", kUsage);
    return 0;
  }
  if (const auto done = run(arguments); !done) {
    std::print(stderr, "ingle-make-gguf: {}\n{}", done.error().text(), kUsage);
    return 2;
  }
  return 0;
}
