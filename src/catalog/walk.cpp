#include "catalog/walk.h"

#include <algorithm>
#include <format>
#include <ranges>

#include "catalog/names.h"
#include "catalog/text.h"
#include "catalog/tokenizers.h"

namespace ingle::catalog {
namespace {

constexpr std::size_t kNameShownMax = 128;
constexpr std::string_view kFolderFile = "model_index.json";

bool is_hidden(std::string_view name) { return name.starts_with('.'); }

// Why the download of this file is not whole; empty: it is.
std::string why_unfinished(const std::string& name, const ModelFileName& parsed,
                           const std::set<std::string>& names) {
  if (parsed.partial)
    return std::format("its download has not finished: '{}' is a partial file",
                       printable(name, kNameShownMax));
  if (const std::string control = name + ".aria2"; names.contains(control))
    return std::format("its download has not finished: '{}' lies beside it",
                       printable(control, kNameShownMax));
  return {};
}

// Whether it is the one of its folder's files that counts.
bool stands_for_tokenizer(const std::string& name, const std::set<std::string>& names) {
  for (const auto file : kTokenizerFiles)
    if (names.contains(std::string(file)))
      return file == name && (file != "vocab.json" || names.contains("merges.txt"));
  return false;
}

}  // namespace

Walk::Walk(const std::vector<std::filesystem::path>& folders, WalkLimits limits,
           std::vector<std::filesystem::path> more)
    : limits_(limits), entries_left_(limits.entries_max), more_(std::move(more)) {
  for (const auto& folder : folders | std::views::reverse) waiting_.push_back({folder});
}

void Walk::step_more(const platform::Files& files) {
  for (const auto& path : std::exchange(more_, {})) {
    auto info = files.info(path);
    if (!info) continue;
    if (!info->is_folder)
      look_at(*std::move(info), {});
    else
      waiting_.push_back({path, limits_.depth_max, true});
  }
}

void Walk::step(const platform::Files& files) {
  if (!more_.empty()) return step_more(files);
  const Folder folder = std::move(waiting_.back());
  waiting_.pop_back();
  if (!enter(files, folder)) return;
  auto entries = files.list(folder.path, entries_left_);
  if (!entries) {
    problems_.push_back(std::move(entries).error());
    return;
  }
  entries_left_ -= std::min(entries_left_, entries->size());
  std::set<std::string> names;
  for (const auto& entry : *entries) names.insert(entry.path.filename().native());
  // A diffusers folder is one model: what lies in it and below are its parts.
  if (names.contains(std::string(kFolderFile))) {
    std::erase_if(*entries, [](const auto& entry) {
      return entry.is_folder || entry.path.filename().native() != kFolderFile;
    });
  }
  std::vector<Folder> below;
  for (auto& entry : *entries) {
    const std::string name = entry.path.filename().native();
    if (!entry.is_folder) {
      if (!is_hidden(name)) look_at(std::move(entry), names);
    } else if (folder.depth < limits_.depth_max &&
               (!is_hidden(name) || std::ranges::contains(kHiddenFolders, name)) && see(entry)) {
      below.push_back({std::move(entry.path), folder.depth + 1, true});
    }
  }
  std::ranges::move(below | std::views::reverse, std::back_inserter(waiting_));
}

// False when the folder was listed before, under this or another name, or cannot be looked at.
bool Walk::enter(const platform::Files& files, const Folder& folder) {
  if (folder.known) return true;
  const auto info = files.info(folder.path);
  if (!info) {
    problems_.push_back(info.error());
    return false;
  }
  if (!info->is_folder) {
    problems_.push_back({base::ErrorCode::invalid_argument,
                         std::format("{} is no folder; --models wants a folder with models",
                                     folder.path.native())});
    return false;
  }
  return see(*info);
}

// True the first time. Some file systems have no inodes (0): there nothing is known to be the same.
bool Walk::see(const platform::FileInfo& info) {
  return info.inode == 0 || seen_.emplace(info.device, info.inode).second;
}

void Walk::look_at(platform::FileInfo entry, const std::set<std::string>& names) {
  const std::string name = entry.path.filename().native();
  const auto parsed = parse_file_name(name);
  if (!parsed) return;
  // A partial file beside the whole one is a later download of it: the whole one counts.
  if (parsed->partial && names.contains(name.substr(0, name.find_last_of('.')))) return;
  if (is_tokenizer_file(name) && !stands_for_tokenizer(name, names)) return;
  if (!see(entry)) return;
  std::string unfinished = why_unfinished(name, *parsed, names);
  found_.push_back({std::move(entry), std::move(unfinished)});
}

}  // namespace ingle::catalog
