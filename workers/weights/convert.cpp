#include "weights/convert.h"

#include <algorithm>
#include <array>
#include <format>
#include <system_error>
#include <utility>

#include "gguf/reader.h"
#include "weights/component_folder.h"
#include "weights/convert_numbers.h"
#include "weights/ggml_numbers.h"
#include "weights/gguf_out.h"
#include "weights/gguf_weights.h"
#include "weights/model_files.h"

namespace ingle::weights {
namespace {

using base::ErrorCode;
namespace fs = std::filesystem;

// Numbers that are held as f32 at once.
constexpr std::int64_t kChunkElements = 4 << 20;

// What suffers most from few bits: where numbers come in and go out, and what all blocks depend on.
constexpr std::array<std::string_view, 19> kDelicate{
    "*img_in.*",         "*txt_in.*",          "*time_in.*",          "*vector_in.*",
    "*guidance_in.*",    "*final_layer.*",     "*x_embedder.*",       "*context_embedder.*",
    "*time_text_embed*", "*time_guidance_em*", "*norm_out.*",         "proj_out.*",
    "transformer.proj*", "*time_embed*",       "*label_emb*",         "*add_embedding*",
    "*t_embedder.*",     "*cap_embedder.*",    "*position_embedding*"};

bool fits(std::string_view pattern, std::string_view name) {
  // Where the last '*' was, and how far it reaches.
  auto star = std::string_view::npos;
  std::size_t at = 0, in = 0, reach = 0;
  while (in < name.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      reach = in;
    } else if (at < pattern.size() && pattern[at] == name[in]) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++reach;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

bool whole_blocks(tensor::StorageType type, std::int64_t width) {
  return width % number_type(type)->block_elements == 0;
}

tensor::StorageType half_of(tensor::StorageType type) {
  return type == tensor::kBf16 ? tensor::kBf16 : tensor::kF16;
}

// One source of tensors, with what is put before their names.
struct Input {
  std::string prefix{};
  std::unique_ptr<NamedWeights> weights{};
};
struct Inputs {
  std::vector<Input> sources{};
  std::vector<std::pair<std::string, std::string>> texts{};
};

void describe(const std::string& key, std::string_view kind, const Config& config, Inputs& out) {
  out.texts.emplace_back(key + std::string(kClassEnd), kind);
  out.texts.emplace_back(key + std::string(kConfigEnd), config.print());
}

base::Result<Inputs> gather_folder(const fs::path& model) {
  Inputs out;
  std::error_code ignored;
  if (!fs::exists(model / "model_index.json", ignored)) {
    TRY_ASSIGN(auto part, open_component(model, {}));
    if (!part.weights)
      return base::fail(ErrorCode::invalid_argument,
                        std::format("{} has no weights to convert", model.native()));
    out.texts.emplace_back("general.architecture", part.kind);
    describe(std::string(kPartKey), part.kind, part.config, out);
    out.sources.push_back({"", std::move(part.weights)});
    return out;
  }
  TRY_ASSIGN(auto files, open_model({.model = model}));
  out.texts.emplace_back("general.architecture", files.pipeline);
  out.texts.emplace_back(kIndexKey, files.index.print());
  for (auto& [role, part] : files.parts) {
    if (role.starts_with("tokenizer")) continue;
    describe(std::format("{}.{}", kPartKey, role), part.kind, part.config, out);
    if (part.weights) out.sources.push_back({role + ".", std::move(part.weights)});
  }
  return out;
}

base::Result<Inputs> gather(const fs::path& model) {
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return gather_folder(model);
  TRY_ASSIGN(auto file, open_weights_file(model));
  Inputs out;
  for (const auto& [key, text] : file.metadata)
    if (key.starts_with("modelspec.") || key.starts_with("general.") || key.starts_with(kPartKey) ||
        key == kIndexKey)
      out.texts.emplace_back(key, text);
  out.sources.push_back({"", std::move(file.weights)});
  return out;
}

struct Planned {
  const NamedWeights* weights = nullptr;
  std::string name{};  // in the source
  tensor::WeightInfo info{};
};

// What stays of its type is copied byte by byte: quickly, and without rounding twice.
base::Status copy_stored(std::span<const std::byte> bytes, std::int64_t elements, GgufOut& out,
                         const std::function<void(std::int64_t)>& done,
                         const std::atomic<bool>& stop) {
  constexpr std::size_t kStepBytes = 16 << 20;
  while (!bytes.empty()) {
    if (stop.load()) return base::fail(ErrorCode::cancelled, "the conversion was stopped");
    const auto step = std::min(kStepBytes, bytes.size());
    TRY(out.write(bytes.first(step)));
    bytes = bytes.subspan(step);
  }
  done(elements);
  return out.pad();
}

base::Status copy_tensor(const Planned& tensor, tensor::StorageType type, GgufOut& out,
                         const std::function<void(std::int64_t)>& done,
                         const std::atomic<bool>& stop) {
  const auto& shape = tensor.info.shape;
  if (type == tensor.info.type)
    if (const auto bytes = tensor.weights->stored(tensor.name))
      return copy_stored(*bytes, shape.elements(), out, done, stop);
  const auto rows = shape.rank() == 0 ? 1 : shape[0];
  const auto width = shape.elements() / rows;
  const auto number = *number_type(type);
  // Rows of axis 0 hold whole blocks, as each of their innermost rows does; a vector has rows of
  // one number, and is read at once.
  const auto step =
      shape.rank() < 2 ? rows : std::clamp<std::int64_t>(kChunkElements / width, 1, rows);
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (std::int64_t row = 0; row < rows; row += step) {
    if (stop.load()) return base::fail(ErrorCode::cancelled, "the conversion was stopped");
    const auto end = std::min(row + step, rows);
    values.resize(static_cast<std::size_t>((end - row) * width));
    TRY(tensor.weights->read(tensor.name, row, end, values));
    bytes.resize(values.size() / number.block_elements * number.block_bytes);
    quantise(type, values, shape.last(), bytes);
    TRY(out.write(bytes));
    done((end - row) * width);
  }
  return out.pad();
}

base::Status check_options(const fs::path& out, const ConvertOptions& options) {
  std::vector<tensor::StorageType> types{options.type};
  for (const auto& rule : options.rules) types.push_back(rule.type);
  for (const auto type : types)
    if (!quantisable(type)) {
      const auto number = number_type(type);
      return base::fail(ErrorCode::invalid_argument,
                        std::format("numbers of type {} cannot be written; try Q8_0, Q6_K, Q4_K, "
                                    "F16 or BF16",
                                    number ? number->name : "unknown"));
    }
  std::error_code ignored;
  if (!options.replace && fs::exists(out, ignored))
    return base::fail(ErrorCode::conflict, std::format("{} is there already", out.native()));
  return {};
}

}  // namespace

tensor::StorageType converted_type(std::string_view name, const tensor::WeightInfo& info,
                                   const ConvertOptions& options) {
  const auto width = info.shape.last();
  for (const auto& rule : options.rules)
    if (fits(rule.pattern, name) && whole_blocks(rule.type, width)) return rule.type;
  if (info.shape.rank() < 2) return tensor::kF32;
  if (options.type == tensor::kF32) return tensor::kF32;
  if (std::ranges::any_of(kDelicate, [name](auto pattern) { return fits(pattern, name); }))
    return half_of(info.type);
  if (whole_blocks(options.type, width)) return options.type;
  return whole_blocks(tensor::kQ8_0, width) ? tensor::kQ8_0 : half_of(info.type);
}

base::Result<ConvertSummary> convert_to_gguf(const fs::path& model, const fs::path& out,
                                             const ConvertOptions& options,
                                             const std::atomic<bool>& stop) {
  TRY(check_options(out, options));
  TRY_ASSIGN(const auto inputs, gather(model));
  std::vector<Planned> plan;
  std::vector<GgufTensor> tensors;
  ConvertProgress progress;
  for (const auto& input : inputs.sources)
    for (const auto& name : input.weights->names()) {
      const auto info = *input.weights->find(name);
      const auto new_name = input.prefix + name;
      tensors.push_back({new_name, info.shape, converted_type(new_name, info, options)});
      plan.push_back({input.weights.get(), name, info});
      progress.total_elements += static_cast<std::uint64_t>(info.shape.elements());
    }
  TRY_ASSIGN(const auto file, GgufOut::create(out, inputs.texts, tensors));
  for (std::size_t i = 0; i < plan.size(); ++i) {
    progress.tensor = tensors[i].name;
    const auto done = [&](std::int64_t elements) {
      progress.done_elements += static_cast<std::uint64_t>(elements);
      if (options.progress) options.progress(progress);
    };
    TRY(copy_tensor(plan[i], tensors[i].type, *file, done, stop));
  }
  TRY(file->finish());
  return ConvertSummary{tensors.size(), file->written_bytes()};
}

}  // namespace ingle::weights
