#include "models/golden_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <format>
#include <fstream>
#include <limits>

#include "base/check.h"

namespace ingle::models {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kFileBytesMax = 1ull << 30;

Result<std::string> read_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored))
    return fail(ErrorCode::io_error, std::format("{} is no ordinary file", file.string()));
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return fail(ErrorCode::not_found, std::format("there is no file {}", file.string()));
  const auto size = in.tellg();
  if (size < 0 || static_cast<std::uint64_t>(size) > kFileBytesMax)
    return fail(ErrorCode::io_error, std::format("{} is too large to be a case", file.string()));
  std::string out(static_cast<std::size_t>(size), '\0');
  in.seekg(0);
  if (!in.read(out.data(), size))
    return fail(ErrorCode::io_error, std::format("{} could not be read", file.string()));
  return out;
}

template <class T>
std::vector<float> widened(std::string_view bytes) {
  std::vector<float> out(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<float>(value);
  }
  return out;
}

// One entry of a safetensors header: {"dtype", "shape", "data_offsets"}.
Result<GoldenTensor> read_entry(const weights::Config& entry, std::string_view data) {
  const auto type = entry.text("dtype");
  const auto axes = entry.integers("shape"), offsets = entry.integers("data_offsets");
  const std::size_t width = type == "F32" || type == "I32" ? 4 : type == "U8" ? 1 : 0;
  GoldenTensor out;
  if (width == 0 || axes.size() > tensor::kAxesMax || offsets.size() != 2)
    return fail(ErrorCode::malformed, std::format("type {} or its shape is not known", type));
  out.shape = tensor::Shape::of(axes);
  const auto begin = static_cast<std::size_t>(offsets[0]);
  const auto size = static_cast<std::size_t>(out.shape.elements()) * width;
  if (offsets[0] < 0 || offsets[1] < offsets[0] || begin > data.size() ||
      size > data.size() - begin || static_cast<std::size_t>(offsets[1]) - begin != size)
    return fail(ErrorCode::malformed, "its bytes are not those of its shape");
  const auto bytes = data.substr(begin, size);
  if (type == "F32") out.data = widened<float>(bytes);
  if (type == "I32") out.data = widened<std::int32_t>(bytes);
  if (type == "U8") out.data = widened<std::uint8_t>(bytes);
  return out;
}

// Rows and columns of each batch item changed over.
GoldenTensor turned(const GoldenTensor& from, tensor::Shape shape, std::size_t rows,
                    std::size_t columns) {
  GoldenTensor out{.shape = shape, .data = std::vector<float>(from.data.size())};
  for (std::size_t at = 0; at < out.data.size(); at += rows * columns)
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t column = 0; column < columns; ++column)
        out.data[at + column * rows + row] = from.data[at + row * columns + column];
  return out;
}

}  // namespace

std::vector<std::int32_t> GoldenTensor::ids() const {
  std::vector<std::int32_t> out;
  for (const auto value : data) out.push_back(static_cast<std::int32_t>(value));
  return out;
}

Result<GoldenTensors> load_tensors(const std::filesystem::path& file) {
  TRY_ASSIGN(const auto bytes, read_file(file));
  std::uint64_t header_bytes = 0;
  if (bytes.size() >= 8) std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes == 0 || header_bytes > bytes.size() - 8)
    return fail(ErrorCode::malformed, std::format("{} is no safetensors file", file.string()));
  const auto text = std::string_view(bytes).substr(8, header_bytes);
  TRY_ASSIGN(const auto header, weights::Config::parse(text));
  GoldenTensors out;
  for (const auto& name : header.keys()) {
    if (name == "__metadata__") continue;
    auto entry = read_entry(header.object(name), std::string_view(bytes).substr(8 + header_bytes));
    if (!entry)
      return fail(std::move(entry).error().with_context(
          std::format("tensor '{}' of {}", name, file.string())));
    out.emplace(name, *std::move(entry));
  }
  return out;
}

GoldenTensor channels_last(GoldenTensor from) {
  if (from.shape.rank() != 4) return from;
  const auto [n, c, h, w] = std::array{from.shape[0], from.shape[1], from.shape[2], from.shape[3]};
  return turned(from, {n, h, w, c}, static_cast<std::size_t>(c), static_cast<std::size_t>(h * w));
}

GoldenTensor channels_first(GoldenTensor from) {
  if (from.shape.rank() != 4) return from;
  const auto [n, h, w, c] = std::array{from.shape[0], from.shape[1], from.shape[2], from.shape[3]};
  return turned(from, {n, c, h, w}, static_cast<std::size_t>(h * w), static_cast<std::size_t>(c));
}

Result<GoldenTensor> GoldenCase::read(std::string_view tensor) const {
  const auto found = tensors.find(tensor);
  if (found == tensors.end())
    return fail(ErrorCode::not_found, std::format("case {} has no tensor '{}'", name, tensor));
  return found->second;
}

Result<GoldenTensor> GoldenCase::read(std::string_view tensor, std::size_t rank) const {
  TRY_ASSIGN(auto out, read(tensor));
  if (out.shape.rank() != rank || out.data.empty())
    return fail(ErrorCode::malformed,
                std::format("tensor '{}' of case {} has the shape {}, {} axes were expected",
                            tensor, name, out.shape.text(), rank));
  return out;
}

double GoldenCase::allowed(std::string_view what) const {
  const auto errors = about.object("max_abs_error");
  return errors.number(what, errors.number("default", 0));
}

Result<GoldenCase> load_case(const std::filesystem::path& folder) {
  GoldenCase out;
  out.folder = folder;
  TRY_ASSIGN(out.about, weights::Config::load(folder / "case.json"));
  out.name = out.about.text("case");
  out.kind = out.about.text("kind");
  std::error_code ignored;
  if (std::filesystem::exists(folder / "config.json", ignored)) {
    TRY_ASSIGN(out.config, weights::Config::load(folder / "config.json"));
  }
  if (std::filesystem::exists(folder / "io.safetensors", ignored)) {
    TRY_ASSIGN(out.tensors, load_tensors(folder / "io.safetensors"));
  }
  if (std::filesystem::exists(folder / "model.safetensors", ignored)) {
    TRY_ASSIGN(auto model, load_tensors(folder / "model.safetensors"));
    for (auto& [name, weight] : model) out.weights.add(name, weight.shape, std::move(weight.data));
  }
  return out;
}

std::string Comparison::text() const {
  return std::format("{}: largest error {:.1e}, allowed {:.1e}, relative {:.1e}", name, largest,
                     allowed, relative);
}

Result<Comparison> compare(std::string_view name, std::span<const float> computed,
                           const GoldenTensor& expected, double allowed) {
  if (expected.data.empty() || computed.size() < expected.data.size() ||
      computed.size() % expected.data.size() != 0)
    return fail(ErrorCode::invalid_argument,
                std::format("'{}' has {} values, {} were expected", name, computed.size(),
                            expected.data.size()));
  Comparison out{.name = std::string(name), .allowed = allowed};
  double squares = 0, reference = 0;
  for (std::size_t i = 0; i < expected.data.size(); ++i) {
    const double difference = std::abs(double{computed[i]} - double{expected.data[i]});
    out.largest = std::isnan(difference) ? std::numeric_limits<double>::infinity()
                                         : std::max(out.largest, difference);
    squares += difference * difference;
    reference += double{expected.data[i]} * double{expected.data[i]};
  }
  out.relative = std::sqrt(squares / std::max(reference, 1e-30));
  return out;
}

Result<std::map<std::string, std::vector<float>>> run_all(tensor::Executor& executor,
                                                          const tensor::WeightSource& source,
                                                          const tensor::Graph& graph,
                                                          std::span<const tensor::Feed> feeds) {
  TRY(graph.status());
  TRY_ASSIGN(const auto module, executor.open(source));
  std::vector<std::string> names;
  std::map<std::string, std::vector<float>> out;
  for (const auto& output : graph.outputs()) {
    names.push_back(output.name);
    out[output.name].resize(static_cast<std::size_t>(graph.shape(output.tensor).elements()));
  }
  TRY_ASSIGN(const auto program, module->compile(graph, names));
  std::vector<tensor::Fetch> fetches;
  for (auto& [name, data] : out) fetches.push_back({name, data});
  const std::atomic<bool> stop = false;
  TRY(program->run(feeds, fetches, stop));
  return out;
}

Result<std::vector<Comparison>> run_graph(const GoldenCase& golden, tensor::Executor& executor,
                                          const tensor::WeightSource& source,
                                          const tensor::Graph& graph,
                                          std::span<const tensor::Feed> feeds) {
  TRY_ASSIGN(const auto results, run_all(executor, source, graph, feeds));
  std::vector<Comparison> out;
  for (const auto& [name, computed] : results)
    for (const auto* prefix : {"out.", "act."}) {
      const auto found = golden.tensors.find(prefix + name);
      if (found == golden.tensors.end()) continue;
      TRY_ASSIGN(auto comparison,
                 compare(found->first, computed, channels_last(found->second), golden.allowed()));
      out.push_back(std::move(comparison));
    }
  if (out.empty())
    return fail(ErrorCode::not_found,
                std::format("case {} has none of the graph's outputs", golden.name));
  return out;
}

std::vector<std::string> not_compared(const GoldenCase& golden,
                                      std::span<const Comparison> comparisons) {
  std::vector<std::string> out;
  for (const auto& [name, ignored] : golden.tensors)
    if (!name.starts_with("in.") && !std::ranges::contains(comparisons, name, &Comparison::name))
      out.push_back(name);
  return out;
}

const Comparison& worst(std::span<const Comparison> comparisons) {
  CHECK(!comparisons.empty(), "something was compared");
  return *std::ranges::max_element(comparisons, {}, [](const Comparison& comparison) {
    return comparison.largest / std::max(comparison.allowed, 1e-30);
  });
}

}  // namespace ingle::models
