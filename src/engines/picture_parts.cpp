#include "engines/picture_parts.h"

#include <algorithm>
#include <format>

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;

// The value of name=value entries; empty when there is none.
std::string_view value_of(const std::vector<std::string>& set, std::string_view name) {
  for (const auto& entry : set)
    if (const auto at = entry.find('='); entry.substr(0, at) == name)
      return std::string_view(entry).substr(at + 1);
  return {};
}

std::string fitting_in_words(const catalog::PictureFacts& picture, std::string_view role) {
  std::string out;
  for (const auto& [id, part] : picture.fitting)
    if (part.role == role) out += (out.empty() ? "" : ", ") + id;
  return out.empty() ? "nothing in the folders fits" : "these fit: " + out;
}

base::Status replace_part(catalog::ModelRecord& model, std::string_view role,
                          std::string_view what) {
  auto& picture = model.picture;
  const auto found = std::ranges::find_if(picture.fitting, [&](const auto& fitting) {
    return fitting.part.role == role && (fitting.id == what || fitting.part.path == what);
  });
  if (found == picture.fitting.end())
    return fail(ErrorCode::invalid_argument,
                std::format("setting {}={}: nothing of that name fits '{}'; {}", role, what,
                            model.info.id, fitting_in_words(picture, role)));
  std::erase_if(picture.parts, [&](const auto& part) { return part.role == role; });
  picture.parts.push_back(found->part);
  return {};
}

}  // namespace

bool is_part_setting(std::string_view name) { return std::ranges::contains(kPartSettings, name); }

base::Result<catalog::ModelRecord> with_parts(catalog::ModelRecord model,
                                              const std::vector<std::string>& set) {
  for (const auto role : kPartSettings)
    if (const auto what = value_of(set, role); !what.empty()) TRY(replace_part(model, role, what));
  return model;
}

std::vector<protocol::Setting> part_settings(const catalog::ModelRecord& model,
                                             const std::vector<std::string>& set) {
  std::vector<protocol::Setting> out;
  for (const auto& part : model.picture.parts) {
    if (part.path.empty()) continue;
    const bool given = !value_of(set, part.role).empty();
    const auto chosen = std::ranges::find(model.info.parts, part.role, &protocol::ModelPart::role);
    const auto reason = chosen == model.info.parts.end() ? std::string() : chosen->reason;
    out.push_back(
        {part.role, part.path, given ? "asked for" : reason, given ? "request" : "derived"});
  }
  return out;
}

std::vector<std::string> part_arguments(const LaunchSettings& settings) {
  std::vector<std::string> out;
  for (const auto& setting : settings.explained)
    if (is_part_setting(setting.name))
      out.insert(out.end(), {"--part", setting.name + "=" + setting.value});
  return out;
}

std::vector<std::filesystem::path> part_paths(const LaunchSettings& settings) {
  std::vector<std::filesystem::path> out;
  for (const auto& setting : settings.explained) {
    if (!is_part_setting(setting.name)) continue;
    const std::filesystem::path path(setting.value);
    out.push_back(path);
    // A configuration lies beside a file.
    if (path.has_extension()) out.push_back(path.parent_path() / "config.json");
    for (auto at = path; at.has_relative_path(); at = at.parent_path())
      if (at.parent_path().filename() == "snapshots")
        out.push_back(at.parent_path().parent_path() / "blobs");
  }
  return out;
}

}  // namespace ingle::engines
