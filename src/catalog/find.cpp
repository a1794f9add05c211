// Names into models, as people type them.
#include <algorithm>
#include <format>
#include <ranges>

#include "catalog/names.h"
#include "catalog/snapshot.h"
#include "catalog/text.h"

namespace ingle::catalog {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using protocol::ModelState;

constexpr std::size_t kNameShownMax = 128;
constexpr std::size_t kAmbiguousShownMax = 4;

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

// The models that go by this name at the first rank that has any; usable ones before others.
std::vector<std::size_t> candidates(const Snapshot& snapshot, const std::string& folded) {
  std::vector<std::size_t> out;
  auto it = std::ranges::lower_bound(snapshot.aliases, folded, {}, &Snapshot::Alias::name);
  for (int rank = -1; it != snapshot.aliases.end() && it->name == folded; ++it) {
    if (!out.empty() && it->rank != rank) break;
    rank = it->rank;
    out.push_back(it->model);
  }
  const auto usable = [&](std::size_t i) {
    return snapshot.models[i].info.state == ModelState::usable;
  };
  if (std::ranges::any_of(out, usable))
    std::erase_if(out, [&](std::size_t i) { return !usable(i); });
  return out;
}

Result<ModelRecord> checked(const ModelRecord& model) {
  if (model.info.kind == protocol::ModelKind::component) {
    const auto& users = model.info.used_by;
    return fail(
        ErrorCode::unsupported,
        std::format("'{}' is a part of picture models and no model by itself; {}", model.info.id,
                    users.empty() ? "no model here uses it" : "it is used by " + join(users)));
  }
  if (model.info.state == ModelState::usable) return model;
  return fail(ErrorCode::model_broken,
              std::format("model '{}' is {}: {}", model.info.id,
                          model.info.state == ModelState::broken ? "broken" : "incomplete",
                          model.info.problem));
}

std::string nothing_here(const std::vector<std::filesystem::path>& searched) {
  std::vector<std::string> folders;
  for (const auto& folder : searched) folders.push_back(printable(folder.native(), 512));
  return std::format("for {} {}; put a .gguf file there, or start ingle with --models DIR",
                     folders.empty() ? "no folder is searched" : "there are no models in",
                     join(folders));
}

}  // namespace

Result<ModelRecord> Snapshot::find(std::string_view name,
                                   const std::vector<std::filesystem::path>& searched) const {
  if (const auto it = by_id.find(std::string(name)); it != by_id.end())
    return checked(models[it->second]);
  std::string folded = lower(name.substr(0, 2 * kIdBytesMax));
  auto found = candidates(*this, folded);
  if (found.empty() && folded.ends_with(".gguf")) {
    if (const auto parsed = parse_file_name(folded)) folded = parsed->stem;
    found = candidates(*this, folded);
  }
  if (found.size() == 1) return checked(models[found.front()]);

  const std::string shown = printable(name, kNameShownMax);
  if (found.size() > 1) {
    std::vector<std::string> ids;
    for (const auto i : found | std::views::take(kAmbiguousShownMax))
      ids.push_back(models[i].info.id);
    return fail(ErrorCode::model_not_found,
                std::format("'{}' could be {} models; say which: {}{}", shown, found.size(),
                            join(ids), found.size() > kAmbiguousShownMax ? ", ..." : ""));
  }
  if (std::ranges::all_of(models, [](const ModelRecord& model) {
        return model.info.source == protocol::ModelSource::starter;
      }))
    return fail(ErrorCode::model_not_found,
                std::format("no model '{}' here, {}", shown, nothing_here(searched)));
  std::vector<std::string> ids;
  for (const ModelRecord& model : models) ids.push_back(model.info.id);
  const auto near = near_ids(name, ids);
  return fail(ErrorCode::model_not_found,
              std::format("no model '{}' here{}. 'ingle ls' lists all", shown,
                          near.empty() ? "" : "; near names: " + join(near)));
}

}  // namespace ingle::catalog
