// Files into models: shards grouped, kinds and problems told, ids given.
#include <algorithm>
#include <array>
#include <format>
#include <set>

#include "catalog/choose_parts.h"
#include "catalog/names.h"
#include "catalog/snapshot.h"
#include "catalog/text.h"
#include "catalog/tokenizers.h"

namespace ingle::catalog {
namespace {

using protocol::ModelKind;
using protocol::ModelState;

constexpr std::size_t kPathShownMax = 8192;
constexpr std::size_t kNameShownMax = 128;
constexpr std::size_t kMissingShownMax = 3;
constexpr std::uint32_t kPoolingRank = 4;  // llama.cpp's LLAMA_POOLING_TYPE_RANK

// Encoders whose files may not say how they pool.
constexpr std::array<std::string_view, 11> kEmbeddingArchitectures{
    "bert",     "nomic-bert", "nomic-bert-moe",  "jina-bert-v2", "jina-bert-v3", "modern-bert",
    "neo-bert", "eurobert",   "gemma-embedding", "t5encoder",    "llama-embed"};
// Text models that write by diffusion: not causal, and no embedders for that.
constexpr std::array<std::string_view, 4> kDiffusionTextArchitectures{"dream", "llada", "llada-moe",
                                                                      "rnd1"};

using FileItem = FileTable::value_type;  // path and entry

// The files of one model, by shard; an unsharded model is one file at 0.
struct Group {
  ModelFileName name{};
  std::map<std::uint32_t, FileItem*> files{};
};

std::string_view file_name_of(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string_view folder_of(std::string_view path) {
  const auto end = path.find_last_of('/');
  return end == std::string_view::npos ? "" : path.substr(0, end);
}

std::vector<Group> group_files(FileTable& files) {
  std::map<std::string, Group> groups;  // in the order of the paths
  for (FileItem& item : files) {
    const auto name = parse_file_path(item.first);
    if (!name) continue;
    std::string key = item.first;
    if (name->shard != 0)
      key = std::format("{}/{}\n{}", folder_of(item.first), name->stem, name->shard_count);
    Group& group = groups[key];
    group.name = *name;
    group.files.emplace(name->shard, &item);
  }
  std::vector<Group> out;
  for (auto& [key, group] : groups) out.push_back(std::move(group));
  return out;
}

ModelKind kind_of(const FileReading& reading, std::string_view file_name) {
  const gguf::ModelFacts& facts = reading.facts;
  const std::string name = lower(file_name);
  if (reading.type == kComponentType) return ModelKind::component;
  if (facts.architecture == "clip" || reading.type == "mmproj" || name.starts_with("mmproj-") ||
      name.starts_with("mmproj."))
    return ModelKind::projector;
  if (reading.type == "adapter") return ModelKind::adapter;
  if (reading.picture) return ModelKind::image;
  if (!reading.problem.empty() || facts.architecture.empty() || reading.type == "imatrix")
    return ModelKind::unknown;
  if (facts.has_classifier || facts.pooling_type == kPoolingRank) return ModelKind::reranker;
  const bool diffusion = std::ranges::contains(kDiffusionTextArchitectures, facts.architecture);
  if (facts.pooling_type != 0 || (!facts.causal && !diffusion) ||
      std::ranges::contains(kEmbeddingArchitectures, facts.architecture))
    return ModelKind::embedding;
  // Neither blocks nor a tokenizer: an image model's part, or something else that is no text model.
  if (facts.layers == 0 && facts.tokenizer.empty()) return ModelKind::unknown;
  return ModelKind::text;
}

void add_up(std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& more) {
  sum.resize(std::max(sum.size(), more.size()), 0);
  for (std::size_t i = 0; i < more.size(); ++i) sum[i] += more[i];
}

// The first shard's facts, with the tensors of all.
gguf::ModelFacts merge_facts(const Group& group) {
  gguf::ModelFacts out;
  std::uint64_t most = 0;
  bool first = true;
  for (const auto& [shard, item] : group.files) {
    const gguf::ModelFacts& facts = item->second.reading->facts;
    if (std::exchange(first, false)) {
      out = facts;
      most = facts.weight_bytes;
      continue;
    }
    out.parameters += facts.parameters;
    out.weight_bytes += facts.weight_bytes;
    out.expert_bytes += facts.expert_bytes;
    out.embedding_table_bytes += facts.embedding_table_bytes;
    out.token_embedding_bytes += facts.token_embedding_bytes;
    out.output_bytes += facts.output_bytes;
    out.repacked_bytes += facts.repacked_bytes;
    out.mapped_bytes += facts.mapped_bytes;
    add_up(out.layer_bytes, facts.layer_bytes);
    add_up(out.layer_expert_bytes, facts.layer_expert_bytes);
    out.has_classifier = out.has_classifier || facts.has_classifier;
    if (facts.weight_bytes > most) {
      most = facts.weight_bytes;
      out.quantization = facts.quantization;
    }
  }
  return out;
}

std::string missing_shards(const Group& group) {
  std::string names;
  std::size_t missing = 0;
  for (std::uint32_t shard = 1; shard <= group.name.shard_count; ++shard) {
    if (group.files.contains(shard)) continue;
    if (++missing > kMissingShownMax) continue;
    names += std::format("{}'{}'", names.empty() ? "" : ", ",
                         printable(shard_file_name(group.name, shard), kNameShownMax));
  }
  if (missing == 0) return {};
  if (missing > kMissingShownMax) names += std::format(" and {} more", missing - kMissingShownMax);
  return std::format("{} of its {} shards {} missing: {}", missing, group.name.shard_count,
                     missing == 1 ? "is" : "are", names);
}

std::string shard_problem(const Group& group, std::uint32_t shard, const FileReading& reading) {
  if (!reading.problem.empty()) return reading.problem;
  const gguf::ModelFacts& facts = reading.facts;
  const std::uint32_t count = std::max(1u, facts.split_count);
  if (shard == 0 && count > 1)
    return std::format(
        "it says that it is one of {} shards, but is not named so; name them "
        "'{}', and so on",
        count, printable(shard_file_name({group.name.stem, 0, count}, 1), kNameShownMax));
  if (shard != 0 && (count != group.name.shard_count || facts.split_index + 1 != shard))
    return std::format("it says that it is shard {} of {}: it has another shard's name",
                       facts.split_index + 1, count);
  return {};
}

// What keeps the model from use, if anything.
void judge(const Group& group, protocol::ModelInfo& info) {
  const auto say = [&](ModelState state, std::string problem) {
    info.state = state;
    info.problem = std::move(problem);
  };
  for (const auto& [shard, item] : group.files)
    if (!is_printable(item->first))
      return say(ModelState::broken,
                 "its path has control characters or is no valid UTF-8; rename the file or folder");
  if (auto missing = missing_shards(group); group.name.shard_count != 0 && !missing.empty())
    return say(ModelState::incomplete, std::move(missing));
  for (const auto& [shard, item] : group.files)
    if (!item->second.unfinished.empty())
      return say(ModelState::incomplete, item->second.unfinished);
  for (const auto& [shard, item] : group.files) {
    auto problem = shard_problem(group, shard, *item->second.reading);
    if (problem.empty()) continue;
    if (shard != 0)
      problem = std::format("shard {} ('{}'): {}", shard,
                            printable(file_name_of(item->first), kNameShownMax), problem);
    return say(ModelState::broken, std::move(problem));
  }
}

bool is_read(const Group& group) {
  return std::ranges::all_of(
      group.files, [](const auto& entry) { return entry.second->second.reading != nullptr; });
}

// Tensors of something else: only the first shard tells of what.
bool is_unlisted(const Group& group) {
  const auto& reading = group.files.begin()->second->second.reading;
  return reading != nullptr && reading->type == kUnlistedType;
}

ModelRecord record_of(const Group& group) {
  ModelRecord out;
  protocol::ModelInfo& info = out.info;
  const auto& [first_path, first_entry] = *group.files.begin()->second;
  info.path = printable(first_path, kPathShownMax);
  info.file_count = static_cast<std::int64_t>(group.files.size());
  std::int64_t modified_ns = INT64_MIN;
  for (const auto& [shard, item] : group.files) {
    out.files.emplace_back(item->first);
    info.size_bytes += static_cast<std::int64_t>(item->second.size_bytes);
    modified_ns = std::max(modified_ns, item->second.modified_ns);
  }
  info.modified_unix_ms = modified_ns / 1'000'000;
  if (first_entry.reading) info.kind = kind_of(*first_entry.reading, file_name_of(first_path));
  judge(group, info);
  if (!is_read(group)) return out;
  out.facts = merge_facts(group);
  const gguf::ModelFacts& facts = out.facts;
  const bool words = first_entry.reading->component && first_entry.reading->component->width == 0 &&
                     info.kind == ModelKind::component;  // a tokenizer has none
  if (info.state == ModelState::usable && facts.weight_bytes == 0 && !words) {
    info.state = ModelState::broken;
    info.problem = "it has no weights: a vocabulary, or metadata only";
  }
  if (facts.has_classifier && info.kind == ModelKind::text) info.kind = ModelKind::reranker;
  info.name = facts.name;
  info.architecture = facts.architecture;
  info.quantization = facts.quantization;
  info.parameters = static_cast<std::int64_t>(facts.parameters);
  info.context_tokens_max = facts.context_tokens_max;
  info.embedding_length = facts.embedding_length;
  info.has_chat_template = !facts.chat_template.empty();
  if (const auto& picture = first_entry.reading->picture) {
    out.picture = *picture;
    info.size_bytes = static_cast<std::int64_t>(facts.weight_bytes);
    info.file_count = std::max<std::int64_t>(
        1, std::ranges::count_if(picture->parts, [](auto& part) { return part.elements > 0; }));
  }
  return out;
}

// What the parts of a model could be for others that lack them.
void add_loose_parts(const Group& group, const ModelRecord& record, std::vector<LoosePart>& out) {
  if (record.info.state != ModelState::usable) return;
  const std::string& path = group.files.begin()->second->first;
  const auto folder = folder_of(path);
  const FileReading& reading = *group.files.begin()->second->second.reading;
  const auto add = [&](PicturePart part, std::string_view near) {
    out.push_back({record.info.id, std::string(near), std::move(part)});
  };
  if (file_name_of(path) == kModelIndex) {
    for (auto part : record.picture.parts) {
      part.path = std::format("{}/{}", folder, part.role);
      add(std::move(part), folder);
    }
    return;
  }
  const bool gguf = lower(path).ends_with(".gguf");
  if (!reading.component || (gguf && group.name.shard != 0)) return;
  auto part = *reading.component;
  const bool tokenizer = is_tokenizer_file(file_name_of(path));
  // Shards are opened through the folder that they lie in.
  part.path = tokenizer || group.name.shard != 0 ? folder : std::string_view(path);
  if (group.files.size() > 1) {
    part.elements = record.facts.parameters;
    part.file_bytes = record.facts.weight_bytes;
  }
  // A GGUF of a text model has its tokenizer in it.
  if (gguf && !record.facts.tokenizer.empty())
    add({.role = "tokenizer",
         .kind = words_for(part.kind),
         .words = record.facts.vocabulary_size,
         .path = path},
        folder);
  add(std::move(part), tokenizer ? folder_of(folder) : folder);
}

// A free id: the name; with its folder before it; with a number after that.
std::string new_id(const Group& group, const std::set<std::string>& taken) {
  constexpr std::size_t kFolderBytesMax = 48;
  constexpr std::size_t kStemBytesMax = kIdBytesMax - kFolderBytesMax - 8;
  const std::string_view path = group.files.begin()->second->first;
  // Files of components are all called alike, and their folders tell what they are.
  const bool nameless = group.name.stem == "model" || group.name.stem == "diffusion_pytorch_model";
  const auto own_folder = file_name_of(folder_of(path));
  std::string id =
      id_part(nameless && !own_folder.empty() ? own_folder : group.name.stem, kStemBytesMax);
  if (!taken.contains(id)) return id;
  const auto folder = file_name_of(folder_of(path));
  if (!folder.empty()) id = id_part(folder, kFolderBytesMax) + "/" + id;
  std::string numbered = id;
  for (int number = 2; taken.contains(numbered); ++number)
    numbered = std::format("{}-{}", id, number);
  return numbered;
}

void give_ids(std::vector<Group>& groups) {
  std::set<std::string> taken;
  std::vector<Group*> nameless;
  for (Group& group : groups) {
    std::string& kept = group.files.begin()->second->second.model_id;
    if (kept.empty() || !taken.insert(kept).second) nameless.push_back(&group);
    for (auto it = std::next(group.files.begin()); it != group.files.end(); ++it)
      it->second->second.model_id.clear();
  }
  for (Group* group : nameless) {
    std::string id = new_id(*group, taken);
    taken.insert(id);
    group->files.begin()->second->second.model_id = std::move(id);
  }
}

void index(Snapshot& snapshot) {
  constexpr int kById = 0;
  constexpr int kByFileName = 1;
  constexpr int kWithoutQuantization = 2;
  for (std::size_t i = 0; i < snapshot.models.size(); ++i) {
    const ModelRecord& model = snapshot.models[i];
    const std::string id = lower(model.info.id);
    const auto stem = parse_file_path(model.files.front().native())->stem;
    snapshot.by_id.emplace(model.info.id, i);
    if (model.info.kind == ModelKind::component) continue;  // nobody means one
    snapshot.aliases.push_back({id, kById, i});
    snapshot.aliases.push_back({lower(stem), kByFileName, i});
    snapshot.aliases.push_back({lower(id_part(stem, kIdBytesMax)), kByFileName, i});
    snapshot.aliases.push_back({std::string(without_quantization(id)), kWithoutQuantization, i});
    snapshot.aliases.push_back(
        {std::string(without_quantization(file_name_of(id))), kWithoutQuantization, i});
  }
  std::ranges::sort(snapshot.aliases);
  const auto repeated = std::ranges::unique(snapshot.aliases);
  snapshot.aliases.erase(repeated.begin(), repeated.end());
}

}  // namespace

Snapshot make_snapshot(FileTable files, const std::vector<NamedPart>& named,
                       const std::filesystem::path& starters) {
  Snapshot out;
  out.files = std::move(files);
  auto groups = group_files(out.files);
  std::erase_if(groups, is_unlisted);
  give_ids(groups);
  std::vector<LoosePart> loose;
  for (const Group& group : groups) {
    ModelRecord record = record_of(group);
    record.info.id = group.files.begin()->second->second.model_id;
    if (!starters.empty() && lies_in(group.files.begin()->second->first, {&starters, 1}))
      record.info.source = protocol::ModelSource::starter;
    else if (is_read(group))
      add_loose_parts(group, record, loose);
    out.models.push_back(std::move(record));
  }
  choose_parts(out.models, std::move(loose), named);
  // Folders of text models have tokenizers, too: those that nobody borrows would only be noise.
  std::erase_if(out.models, [](const ModelRecord& model) {
    return model.info.kind == ModelKind::component && model.facts.weight_bytes == 0 &&
           model.info.state == ModelState::usable && model.info.used_by.empty();
  });
  std::ranges::sort(out.models, {},
                    [](const ModelRecord& m) -> const std::string& { return m.info.id; });
  index(out);
  return out;
}

}  // namespace ingle::catalog
