#include "catalog/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "base/near_names.h"
#include "catalog/text.h"

namespace ingle::catalog {
namespace {

constexpr std::array<std::string_view, 2> kEndings{".gguf", ".safetensors"};
// Files that stand for the folder they lie in: a model's, a tokenizer's.
constexpr std::array<std::string_view, 4> kFolderFiles{"model_index.json", "tokenizer.json",
                                                       "spiece.model", "vocab.json"};
constexpr std::array<std::string_view, 5> kPartialEndings{".part", ".partial", ".downloading",
                                                          ".incomplete", ".crdownload"};
constexpr std::size_t kNearMax = 3;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool fits_id(char c) {
  return is_digit(c) || is_letter(c) || c == '.' || c == '_' || c == '-' || c == ':';
}

// "-00002-of-00003" at the end of a stem: five digits each, as gguf-split writes them.
constexpr std::size_t kShardEndingBytes = 15;

void take_shard(ModelFileName& name) {
  if (name.stem.size() <= kShardEndingBytes) return;
  const std::string ending = lower(name.stem).substr(name.stem.size() - kShardEndingBytes);
  const auto digits = [&](std::size_t at) {
    return std::ranges::all_of(std::string_view(ending).substr(at, 5), is_digit);
  };
  if (ending[0] != '-' || !digits(1) || ending.substr(6, 4) != "-of-" || !digits(10)) return;
  std::uint32_t shard = 0;
  std::uint32_t count = 0;
  std::from_chars(ending.data() + 1, ending.data() + 6, shard);
  std::from_chars(ending.data() + 10, ending.data() + 15, count);
  if (shard == 0 || shard > count) return;
  name.shard = shard;
  name.shard_count = count;
  name.stem.resize(name.stem.size() - kShardEndingBytes);
}

// "q4_k_m", "iq2_xxs", "f16": a quantisation in lower case.
bool is_quantization(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords{"f16", "f32",   "bf16",  "fp16",     "fp32",
                                                   "fp8", "tq1_0", "tq2_0", "mxfp4_moe"};
  if (text.starts_with("ud-")) text.remove_prefix(3);
  if (std::ranges::contains(kWords, text) || text == "mxfp4") return true;
  if (text.starts_with('i')) text.remove_prefix(1);
  if (text.size() < 2 || text[0] != 'q' || !is_digit(text[1])) return false;
  text.remove_prefix(2);
  while (!text.empty()) {  // parts such as "_k", "_0", "_xxs"
    if (text[0] != '_') return false;
    text.remove_prefix(1);
    const auto end = std::min(text.find('_'), text.size());
    if (end == 0 || end > 3) return false;
    if (!std::ranges::all_of(text.substr(0, end),
                             [](char c) { return is_digit(c) || is_letter(c); }))
      return false;
    text.remove_prefix(end);
  }
  return true;
}

}  // namespace

std::optional<ModelFileName> parse_file_name(std::string_view name) {
  ModelFileName out;
  const std::string folded = lower(name);
  std::size_t size = name.size();
  for (const auto ending : kPartialEndings) {
    if (!folded.ends_with(ending)) continue;
    out.partial = true;
    size -= ending.size();
    break;
  }
  const auto whole = std::string_view(folded).substr(0, size);
  if (std::ranges::contains(kFolderFiles, name)) {
    out.stem = name == kFolderFiles[0] ? "model" : "tokenizer";
    return out;
  }
  const auto* const ending =
      std::ranges::find_if(kEndings, [&](const auto& known) { return whole.ends_with(known); });
  if (ending == kEndings.end()) return std::nullopt;
  size -= ending->size();
  if (size == 0) return std::nullopt;
  out.stem = name.substr(0, size);
  take_shard(out);
  return out;
}

std::optional<ModelFileName> parse_file_path(std::string_view path) {
  const auto cut_last = [](std::string_view& rest) {
    const auto at = rest.find_last_of('/');
    const auto last = rest.substr(at == std::string_view::npos ? 0 : at + 1);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(0, at);
    return last;
  };
  auto rest = path;
  const auto name = cut_last(rest);
  auto out = parse_file_name(name);
  if (!out || !std::ranges::contains(kFolderFiles, name)) return out;
  auto folder = cut_last(rest);
  if (auto above = rest; cut_last(above) == "snapshots") {
    const auto hub = cut_last(above);
    if (const auto at = hub.find_last_of('-'); hub.starts_with("models--") && at + 1 < hub.size()) {
      const auto mark = hub.rfind("--");
      folder = hub.substr(mark + 2);
    }
  }
  if (!folder.empty()) out->stem = folder;
  return out;
}

std::string shard_file_name(const ModelFileName& name, std::uint32_t shard) {
  return std::format("{}-{:05}-of-{:05}.gguf", name.stem, shard, name.shard_count);
}

std::string id_part(std::string_view name, std::size_t bytes_max) {
  std::string out;
  for (const char c : name) {
    if (fits_id(c))
      out += c;
    else if (!out.ends_with('-'))
      out += '-';
    if (out.size() == bytes_max) break;
  }
  // No leading "-": it would be taken for a flag on the command line.
  const auto first = out.find_first_not_of('-');
  if (first == std::string::npos) return "model";
  return out.substr(first, out.find_last_not_of('-') - first + 1);
}

bool lies_in(std::string_view path, std::span<const std::filesystem::path> folders) {
  return std::ranges::any_of(folders, [&](const auto& folder) {
    const std::string& start = folder.native();
    return path.starts_with(start) && (path.size() == start.size() || start.ends_with('/') ||
                                       path.substr(start.size()).starts_with('/'));
  });
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kIdBytesMax && text.front() != '-' &&
         std::ranges::all_of(text, [](char c) { return fits_id(c) || c == '/'; });
}

std::string_view without_quantization(std::string_view name) {
  const std::string folded = lower(name);
  for (std::size_t i = 1; i < name.size(); ++i)
    if ((name[i] == '-' || name[i] == '.' || name[i] == '_' || name[i] == ':') &&
        is_quantization(std::string_view(folded).substr(i + 1)))
      return name.substr(0, i);
  return name;
}

std::vector<std::string> near_ids(std::string_view asked, std::span<const std::string> ids) {
  ids = ids.first(std::min(ids.size(), kNearLookedAtMax));
  if (auto near = base::near_names(asked, ids); !near.empty()) return near;
  std::vector<std::string> starts;
  for (const std::string& id : ids)
    starts.push_back(id.substr(id.find_last_of('/') + 1).substr(0, asked.size()));
  std::vector<std::string> out;
  for (const std::string& start : base::near_names(asked, starts))
    for (std::size_t i = 0; i < ids.size() && out.size() < kNearMax; ++i)
      if (starts[i] == start && !std::ranges::contains(out, ids[i])) out.push_back(ids[i]);
  return out;
}

}  // namespace ingle::catalog
