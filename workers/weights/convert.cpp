#include "weights/convert.h"

#include <algorithm>
#include <cmath>
#include <format>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/lanes.h"
#include "gguf/reader.h"
#include "weights/convert_inputs.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
using base::fail;
namespace fs = std::filesystem;

// What a thread has at once: numbers as f32, or bytes that stay as they are.
constexpr std::int64_t kPieceElements = 1 << 20;
constexpr std::int64_t kPieceBytes = 8 << 20;
// The pages of the source are given back each time that so much of it has been read.
constexpr std::uint64_t kReleaseBytes = 256 << 20;

std::uint64_t source_bytes(const tensor::WeightInfo& info, std::int64_t elements) {
  const auto number = *number_type(info.type);
  return static_cast<std::uint64_t>(elements) * number.block_bytes / number.block_elements;
}

// One tensor of the source and what becomes of it.
struct Planned {
  const NamedWeights* weights = nullptr;
  std::string name{};  // in the source
  tensor::WeightInfo info{};
  TypeChoice choice{};
  // What stays of its type is copied byte by byte: quickly, and without rounding twice.
  std::optional<std::span<const std::byte>> copied{};

  std::int64_t rows() const {
    // A vector has rows of one number, which no blocks are made of: it is one row.
    return info.shape.rank() < 2 ? info.shape.elements() : info.shape[0];
  }
  std::int64_t width() const { return info.shape.elements() / rows(); }
};

// Rows [begin, end) of a tensor, or bytes of one that is copied.
struct Piece {
  std::size_t tensor = 0;
  std::int64_t begin = 0, end = 0;
  double squared_error = 0, squares = 0;  // once it is done
};

struct Plan {
  std::vector<Planned> tensors{};
  std::vector<GgufTensor> outputs{};
  std::vector<Piece> pieces{};
  std::uint64_t total_bytes = 0;
  std::vector<std::string> unused_rules{};
};

void cut_into_pieces(const Planned& tensor, std::size_t index, std::vector<Piece>& out) {
  const auto all = tensor.copied ? static_cast<std::int64_t>(tensor.copied->size()) : tensor.rows();
  const auto step =
      tensor.copied ? kPieceBytes : std::max<std::int64_t>(kPieceElements / tensor.width(), 1);
  for (std::int64_t at = 0; at < all; at += step)
    out.push_back({.tensor = index, .begin = at, .end = std::min(at + step, all)});
}

Plan make_plan(const ConvertInputs& inputs, const ConvertOptions& options) {
  Plan out;
  std::vector<bool> used(options.rules.size());
  for (const auto& input : inputs.sources)
    for (const auto& name : input.weights->names()) {
      Planned tensor{input.weights.get(), name, *input.weights->find(name)};
      const auto new_name = input.prefix + name;
      tensor.choice = choose_type(new_name, tensor.info, options.type, options.rules);
      if (tensor.choice.by_rule) used[tensor.choice.rule] = true;
      if (tensor.choice.type == tensor.info.type) tensor.copied = input.weights->stored(name);
      // Whole numbers that must be put together first.
      if (!tensor.copied && !quantisable(tensor.choice.type)) tensor.choice.type = tensor::kF32;
      out.total_bytes += source_bytes(tensor.info, tensor.info.shape.elements());
      out.outputs.push_back({new_name, tensor.info.shape, tensor.choice.type});
      cut_into_pieces(tensor, out.tensors.size(), out.pieces);
      out.tensors.push_back(std::move(tensor));
    }
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i]) out.unused_rules.push_back(options.rules[i].pattern);
  return out;
}

// Converts piece after piece, on as many threads as call work().
class Conversion {
 public:
  Conversion(Plan& plan, const GgufOut& out, const std::atomic<bool>& stop)
      : plan_(plan), out_(out), stop_(stop) {}

  // Until nothing is left or something failed. `progress` may be empty.
  void work(const std::function<void(const ConvertProgress&)>& progress) {
    Room room;
    while (!failed_.load()) {
      const auto next = next_.fetch_add(1);
      if (next >= plan_.pieces.size()) return;
      auto& piece = plan_.pieces[next];
      if (auto done = convert(piece, room); !done) return give_up(std::move(done).error());
      count(piece);
      if (progress) progress(now(plan_.outputs[piece.tensor].name));
    }
  }
  // Once all threads are back.
  base::Status result() && {
    if (first_error_) return fail(*std::move(first_error_));
    return {};
  }
  ConvertProgress now(std::string_view tensor) const {
    return {done_bytes_.load(), plan_.total_bytes, tensor};
  }

 private:
  // A thread's own.
  struct Room {
    std::vector<float> values{}, back{};
    std::vector<std::byte> bytes{};
  };

  void give_up(base::Error error) {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    if (!first_error_) first_error_ = std::move(error);
  }

  void count(const Piece& piece) {
    const auto& tensor = plan_.tensors[piece.tensor];
    const auto units = piece.end - piece.begin;
    const auto bytes = tensor.copied ? static_cast<std::uint64_t>(units)
                                     : source_bytes(tensor.info, units * tensor.width());
    const auto before = done_bytes_.fetch_add(bytes);
    if (before / kReleaseBytes != (before + bytes) / kReleaseBytes) tensor.weights->release_pages();
  }

  base::Status convert(Piece& piece, Room& room) {
    if (stop_.load()) return fail(ErrorCode::cancelled, "the conversion was stopped");
    const auto& tensor = plan_.tensors[piece.tensor];
    if (tensor.copied)
      return out_.write(piece.tensor, static_cast<std::uint64_t>(piece.begin),
                        tensor.copied->subspan(static_cast<std::size_t>(piece.begin),
                                               static_cast<std::size_t>(piece.end - piece.begin)));
    const auto type = tensor.choice.type;
    const auto number = *number_type(type);
    const auto size_of = [&](std::int64_t elements) {
      return static_cast<std::size_t>(elements) / number.block_elements * number.block_bytes;
    };
    const auto elements = (piece.end - piece.begin) * tensor.width();
    room.values.resize(static_cast<std::size_t>(elements));
    // A scalar has one row, and no axis to count rows on.
    TRY(tensor.weights->read(tensor.name, piece.begin, piece.end, room.values));
    room.bytes.resize(size_of(elements));
    const auto row = tensor.info.shape.rank() < 2 ? elements : tensor.info.shape.last();
    quantise(type, room.values, row, room.bytes);
    TRY(measure(piece, room));
    return out_.write(piece.tensor, size_of(piece.begin * tensor.width()), room.bytes);
  }

  // What the numbers lost, by reading them back.
  base::Status measure(Piece& piece, Room& room) const {
    const auto type = plan_.tensors[piece.tensor].choice.type;
    room.back.resize(room.values.size());
    plain_numbers(type) ? to_f32(type, room.bytes, room.back)
                        : blocks_to_f32(type, room.bytes, room.back);
    double squared_error = 0, squares = 0;
    for (std::size_t i = 0; i < room.values.size(); ++i) {
      const double value = room.values[i];
      const double error = value - room.back[i];
      squares += value * value;
      squared_error += error * error;
    }
    piece.squares = squares;
    piece.squared_error = squared_error;
    if (std::isfinite(squared_error) && std::isfinite(squares)) return {};
    const auto name = gguf::escaped(plan_.outputs[piece.tensor].name, 256);
    if (!std::isfinite(squares))
      return fail(
          ErrorCode::model_broken,
          std::format("tensor '{}' has numbers that are not finite; fetch the model again", name));
    return fail(ErrorCode::invalid_argument,
                std::format("tensor '{}' has numbers that {} cannot hold; add --rule '{}=bf16'",
                            name, number_type(type)->name, name));
  }

  Plan& plan_;  // each piece is written by the one thread that took it
  const GgufOut& out_;
  const std::atomic<bool>& stop_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::uint64_t> done_bytes_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  // guards first_error_, which whichever thread fails first writes
  std::optional<base::Error> first_error_;
};

base::Status run(Plan& plan, const GgufOut& file, const ConvertOptions& options,
                 const std::atomic<bool>& stop) {
  Conversion conversion(plan, file, stop);
  {
    const auto others = static_cast<std::size_t>(std::max(options.threads, 1) - 1);
    std::optional<base::LanePool> pool;  // its end waits for those that work
    // A pool has two threads at least; one of them may then have nothing to do.
    if (others > 0)
      pool.emplace(base::LanePoolOptions{std::max<std::size_t>(others, 2), others, "convert"});
    for (std::size_t i = 0; i < others; ++i)
      TRY(pool->submit(base::Lane::normal, "convert", [&conversion] { conversion.work({}); }));
    conversion.work(options.progress);
  }
  if (options.progress) options.progress(conversion.now({}));
  return std::move(conversion).result();
}

// The errors of a tensor's pieces together.
struct TensorError {
  double squared_error = 0, squares = 0;
  double relative() const { return squares > 0 ? std::sqrt(squared_error / squares) : 0; }
};

std::vector<ConvertedType> summary_of_types(const Plan& plan) {
  std::vector<TensorError> errors(plan.tensors.size());
  for (const auto& piece : plan.pieces) {
    errors[piece.tensor].squared_error += piece.squared_error;
    errors[piece.tensor].squares += piece.squares;
  }
  struct Sum {
    ConvertedType out{};
    TensorError error{};
    double elements = 0;
  };
  std::map<tensor::StorageType, Sum> sums;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const auto& output = plan.outputs[i];
    auto& sum = sums[output.type];
    sum.out.type = output.type;
    ++sum.out.tensors;
    sum.out.size_bytes += output.size_bytes();
    sum.error.squared_error += errors[i].squared_error;
    sum.error.squares += errors[i].squares;
    sum.elements += static_cast<double>(output.shape.elements());
    if (errors[i].relative() <= sum.out.worst_relative_error) continue;
    sum.out.worst = output.name;
    sum.out.worst_relative_error = errors[i].relative();
  }
  std::vector<ConvertedType> out;
  for (auto& [type, sum] : sums) {
    sum.out.error = std::sqrt(sum.error.squared_error / sum.elements);
    sum.out.relative_error = sum.error.relative();
    out.push_back(std::move(sum.out));
  }
  std::ranges::sort(out, std::greater{}, &ConvertedType::size_bytes);
  return out;
}

base::Status check_options(const fs::path& out, const ConvertOptions& options) {
  std::vector<tensor::StorageType> types{options.type};
  for (const auto& rule : options.rules) types.push_back(rule.type);
  for (const auto type : types)
    if (!quantisable(type)) {
      const auto number = number_type(type);
      return fail(ErrorCode::invalid_argument,
                  std::format("numbers of type {} cannot be written; try Q8_0, Q6_K, Q4_K, F16 or "
                              "BF16",
                              number ? number->name : "unknown"));
    }
  std::error_code ignored;
  if (options.existing == Existing::keep && fs::exists(out, ignored))
    return fail(ErrorCode::conflict,
                std::format("{} is there already; --replace writes over it", out.native()));
  return {};
}

}  // namespace

base::Result<ConvertSummary> convert_to_gguf(const fs::path& model, const fs::path& out,
                                             const ConvertOptions& options,
                                             const std::atomic<bool>& stop) {
  TRY(check_options(out, options));
  TRY_ASSIGN(const auto inputs, open_convert_inputs(model));
  auto plan = make_plan(inputs, options);
  TRY_ASSIGN(const auto file, GgufOut::create(out, inputs.texts, plan.outputs));
  TRY(run(plan, *file, options, stop));
  TRY(file->finish(options.existing));
  ConvertSummary summary{.tensors = plan.tensors.size(),
                         .size_bytes = file->size_bytes(),
                         .source_bytes = plan.total_bytes,
                         .types = summary_of_types(plan),
                         .unused_rules = std::move(plan.unused_rules)};
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    if (const auto& choice = plan.tensors[i].choice; choice.reason == TypeReason::fallback)
      summary.fallbacks.push_back({plan.outputs[i].name, choice.wanted, choice.type});
  return summary;
}

}  // namespace ingle::weights
