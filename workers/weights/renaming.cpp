#include "weights/renaming.h"

#include <algorithm>
#include <format>
#include <utility>
#include <vector>

#include "gguf/reader.h"

namespace ingle::weights {
namespace {

constexpr std::size_t kNumbersMax = 4;

struct Captured {
  std::array<std::string_view, kNumbersMax> numbers{};
  std::size_t count = 0;
  std::string_view rest{};
};

std::optional<Captured> match(std::string_view name, std::string_view pattern) {
  Captured out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*' && i + 1 == pattern.size()) {
      out.rest = name.substr(at);
      return out;
    }
    if (pattern[i] == '#') {
      const auto begin = at;
      while (at < name.size() && name[at] >= '0' && name[at] <= '9') ++at;
      if (at == begin || out.count == kNumbersMax) return std::nullopt;
      out.numbers[out.count++] = name.substr(begin, at - begin);
    } else if (at < name.size() && name[at] == pattern[i]) {
      ++at;
    } else {
      return std::nullopt;
    }
  }
  return at == name.size() ? std::optional(out) : std::nullopt;
}

std::string fill(std::string_view to, const Captured& captured) {
  std::string out;
  std::size_t number = 0;
  for (const char c : to) {
    if (c == '#' && number < captured.count)
      out += captured.numbers[number++];
    else if (c == '*')
      out += captured.rest;
    else
      out += c;
  }
  return out;
}

std::int64_t rows_of(const tensor::Shape& shape) { return shape.rank() == 0 ? 1 : shape[0]; }

std::unexpected<base::Error> uncuttable(std::string_view name, const tensor::Shape& shape) {
  return base::fail(
      base::ErrorCode::model_broken,
      std::format("tensor '{}' of shape {} cannot be taken apart as its name promises",
                  gguf::escaped(name), shape.text()));
}

// Single numbers beside a weight: its scale, and that of what goes in.
bool scale(std::string_view name) {
  return name.ends_with(".scale_weight") || name.ends_with(".weight_scale") ||
         name.ends_with(".scale_input") || name.ends_with(".input_scale");
}

// The number that a weight of an fp8 checkpoint is multiplied with; empty when there is none.
std::string scale_of(const NamedWeights& source, std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  if (!name.ends_with(kWeight)) return {};
  const auto stem = name.substr(0, name.size() - kWeight.size());
  for (const std::string_view end : {".scale_weight", ".weight_scale"}) {
    auto scale = std::string(stem) + std::string(end);
    const auto info = source.find(scale);
    if (info && info->shape.elements() == 1) return scale;
  }
  return {};
}

// Collects the renamed tensors of one source.
class Renaming {
 public:
  explicit Renaming(const SharedWeights& source) : source_(source) {}

  base::Status add(std::string_view name, const Rule& rule, const Captured& captured,
                   std::int64_t hidden) {
    const auto shape = source_->find(name)->shape;
    const auto rows = rows_of(shape);
    const auto count = std::ranges::count_if(rule.to, [](auto to) { return !to.empty(); });
    const auto make = [&](std::size_t to, tensor::Shape out, std::vector<Piece> pieces) {
      return put(fill(rule.to[to], captured),
                 {std::move(out), std::move(pieces), rule.cut == Cut::transposed,
                  scale_of(*source_, name)});
    };
    switch (rule.cut) {
      case Cut::whole:
        return make(0, shape, {piece(name, 0, rows)});
      case Cut::squeezed: {
        std::vector<std::int64_t> axes(shape.begin(), shape.end());
        while (axes.size() > 2 && axes.back() == 1) axes.pop_back();
        return make(0, tensor::Shape::of(axes), {piece(name, 0, rows)});
      }
      case Cut::transposed:
        if (shape.rank() != 2) return uncuttable(name, shape);
        return make(0, {shape[1], shape[0]}, {piece(name, 0, rows)});
      case Cut::halves_swapped:
        if (rows % 2 != 0) return uncuttable(name, shape);
        return make(0, shape, {piece(name, rows / 2, rows / 2), piece(name, 0, rows / 2)});
      case Cut::equal:
      case Cut::hidden_and_rest: {
        const auto part = rule.cut == Cut::equal ? rows / count : hidden;
        const auto last = rows - part * (count - 1);
        if (part < 1 || last < 1 || shape.rank() == 0 || (rule.cut == Cut::equal && last != part))
          return uncuttable(name, shape);
        for (std::int64_t i = 0; i < count; ++i) {
          auto out = shape;
          out[0] = i + 1 < count ? part : last;
          TRY(make(static_cast<std::size_t>(i), out, {piece(name, i * part, out[0])}));
        }
        return {};
      }
    }
    return {};
  }

  base::Result<std::unique_ptr<NamedWeights>> finish() {
    return JoinedWeights::create(std::move(tensors_));
  }

 private:
  Piece piece(std::string_view name, std::int64_t first_row, std::int64_t rows) const {
    return {source_, std::string(name), first_row, rows};
  }
  base::Status put(std::string name, JoinedTensor tensor) {
    const auto [place, added] = tensors_.emplace(std::move(name), std::move(tensor));
    if (added) return {};
    return base::fail(
        base::ErrorCode::model_broken,
        std::format("two tensors of the file are both '{}'", gguf::escaped(place->first)));
  }

  const SharedWeights& source_;
  std::map<std::string, JoinedTensor, std::less<>> tensors_;
};

}  // namespace

std::optional<std::string> rewritten(std::string_view name, std::string_view from,
                                     std::string_view to) {
  const auto captured = match(name, from);
  return captured ? std::optional(fill(to, *captured)) : std::nullopt;
}

base::Result<std::unique_ptr<NamedWeights>> rename(const SharedWeights& source,
                                                   std::string_view prefix,
                                                   std::span<const Rule> rules,
                                                   const RenamingOptions& options) {
  Renaming out(source);
  for (const auto& name : source->names()) {
    if (!name.starts_with(prefix) || scale(name)) continue;
    auto inner = std::optional(name.substr(prefix.size()));
    if (options.first) inner = options.first(*inner);
    if (!inner) continue;
    for (const auto& rule : rules) {
      const auto captured = match(*inner, rule.from);
      if (!captured) continue;
      TRY(out.add(name, rule, *captured, options.hidden));
      break;
    }
  }
  return out.finish();
}

}  // namespace ingle::weights
