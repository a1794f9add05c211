#include "catalog/choose_parts.h"

#include <algorithm>
#include <filesystem>
#include <format>
#include <map>
#include <set>

#include "catalog/text.h"
#include "catalog/tokenizers.h"

namespace ingle::catalog {
namespace {

using protocol::ModelPart;
using protocol::ModelState;

constexpr std::size_t kShownMax = 2;
constexpr std::size_t kNameShownMax = 200;

std::string_view last_of(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

std::string_view folder_of(std::string_view path) {
  const auto end = path.find_last_of('/');
  return end == std::string_view::npos ? "" : path.substr(0, end);
}

// The letters that a name begins with: "flux" of "FLUX.1-schnell".
std::string beginning_of(std::string_view name) {
  std::string out;
  for (const char c : lower(name)) {
    if (c < 'a' || c > 'z') break;
    out += c;
  }
  return out;
}

// A model's parts as they come together.
class Choosing {
 public:
  Choosing(ModelRecord& model, const std::vector<LoosePart>& loose,
           const std::vector<NamedPart>& named)
      : model_(model), loose_(loose), named_(named), family_(model.info.architecture) {
    const std::string_view path = model.files.front().native();
    folder_ = folder_of(path);
    name_ = path.ends_with(kModelIndex) ? last_of(folder_) : last_of(path);
    for (const auto& part : model.picture.parts) note(part, "", "its own");
  }

  void run() {
    for (const auto role : roles_needed(family_)) {
      auto fitting = ranked(role);
      const auto* name = find_name(role);
      if (name != nullptr)
        take_named(*name);
      else if (!model_.picture.has(role))
        take_nearest(role, fitting);
      for (const auto* part : std::span(fitting).first(std::min(fitting.size(), kFittingMax)))
        model_.picture.fitting.push_back({part->id, with_role(*part, role)});
    }
    for (const auto& name : named_)
      if (is_mine(name) && !std::ranges::contains(roles_needed(family_), name.role))
        complain(std::format("images.parts names its '{}', which is none of its parts: {}",
                             printable(name.role, kNameShownMax), roles_in_words()));
    if (!missed_.empty())
      complain(
          std::format("Put what is missing into a folder with models, or name it: "
                      "images.parts = [\"{} {}=/PATH\"]",
                      model_.info.id, missed_));
    if (problems_.empty()) return;
    model_.info.state = ModelState::incomplete;
    model_.info.problem = problems_;
  }

 private:
  bool is_mine(const NamedPart& name) const { return lower(name.model) == lower(model_.info.id); }

  const NamedPart* find_name(std::string_view role) const {
    for (const auto& name : named_)
      if (name.role == role && is_mine(name)) return &name;
    return nullptr;
  }

  static PicturePart with_role(const LoosePart& loose, std::string_view role) {
    auto out = loose.part;
    out.role = role;
    return out;
  }

  // Lower is nearer.
  int distance(const LoosePart& part, std::string_view role) const {
    // A tokenizer that came with the encoder is the encoder's.
    if (role.starts_with("tokenizer")) {
      const auto encoder = "text_encoder" + std::string(role.substr(9));
      for (const auto& taken : model_.info.parts)
        if (taken.role == encoder && !taken.component.empty() && taken.component == part.id)
          return 0;
    }
    if (part.folder == folder_) return 1;
    const auto beginning = beginning_of(name_);
    if (beginning.size() > 1 && beginning_of(last_of(part.folder)) == beginning) return 2;
    return part.folder.starts_with(std::string(folder_) + '/') ? 3 : 4;
  }

  // What fits, the nearest first.
  std::vector<const LoosePart*> ranked(std::string_view role) const {
    std::vector<const LoosePart*> out;
    for (const auto& part : loose_)
      if (part.id != model_.info.id && fits(family_, role, part.part, model_.picture.parts))
        out.push_back(&part);
    std::ranges::sort(out, {}, [&](const LoosePart* part) {
      return std::pair(distance(*part, role), std::string_view(part->part.path));
    });
    return out;
  }

  void take_nearest(std::string_view role, const std::vector<const LoosePart*>& fitting) {
    if (fitting.empty()) return miss(role);
    const auto nearest = distance(*fitting.front(), role);
    const auto equals = std::ranges::count_if(
        fitting, [&](const auto* part) { return distance(*part, role) == nearest; });
    std::string reason = "the only one that fits";
    if (equals > 1)
      reason = std::format("the first of {} that fit equally well; name another with images.parts",
                           equals);
    else if (fitting.size() > 1)
      reason = std::format("the nearest of {} that fit", fitting.size());
    take(*fitting.front(), role, reason);
  }

  void take_named(const NamedPart& name) {
    const auto refuse = [&](std::string_view why) {
      complain(std::format("images.parts names {} as its '{}': {}; expected {}",
                           printable(name.what, kNameShownMax), name.role, why,
                           wanted(family_, name.role, others(name.role))));
    };
    const LoosePart* wrong = nullptr;
    for (const auto& part : loose_) {
      if (!goes_by(part, name.what)) continue;
      if (fits(family_, name.role, part.part, others(name.role))) {
        drop(name.role);
        return take(part, name.role, "named in images.parts");
      }
      wrong = &part;
    }
    if (wrong != nullptr) return refuse("that is " + described(wrong->part));
    refuse(
        "there is no such part, or it is not known what it is (`ingle ls` lists those there "
        "are; a path must be absolute)");
  }

  static bool goes_by(const LoosePart& part, const std::string& what) {
    if (part.id == what || part.part.path == what || part.folder == what ||
        folder_of(part.part.path) == what)
      return true;
    return is_tokenizer_file(last_of(what)) && part.part.path == folder_of(what);
  }

  std::vector<PicturePart> others(std::string_view role) const {
    auto out = model_.picture.parts;
    std::erase_if(out, [&](const auto& part) { return part.role == role; });
    return out;
  }

  // The model's own part is not loaded, though its file is there as before.
  void drop(std::string_view role) {
    for (const auto& own : model_.picture.parts) {
      if (own.role != role) continue;
      model_.facts.parameters -= own.elements;
      if (own.elements > 0) model_.facts.weight_bytes -= own.file_bytes;
      model_.info.parameters -= static_cast<std::int64_t>(own.elements);
    }
    std::erase_if(model_.picture.parts, [&](const auto& own) { return own.role == role; });
    std::erase_if(model_.info.parts, [&](const auto& own) { return own.role == role; });
  }

  void take(const LoosePart& loose, std::string_view role, std::string_view reason) {
    auto part = with_role(loose, role);
    note(part, loose.id, reason);
    model_.facts.parameters += part.elements;
    if (part.elements > 0) model_.facts.weight_bytes += part.file_bytes;
    model_.info.parameters += static_cast<std::int64_t>(part.elements);
    model_.info.size_bytes += static_cast<std::int64_t>(part.file_bytes);
    model_.picture.parts.push_back(std::move(part));
  }

  void note(const PicturePart& part, std::string_view id, std::string_view reason) {
    model_.info.parts.push_back({.role = part.role,
                                 .component = std::string(id),
                                 .path = part.path,
                                 .size_bytes = static_cast<std::int64_t>(part.file_bytes),
                                 .reason = std::string(reason)});
  }

  void miss(std::string_view role) {
    std::string text =
        std::format("its '{}' is missing: {}", role, wanted(family_, role, model_.picture.parts));
    std::size_t shown = 0;
    const auto kind = wanted_kind(family_, role, model_.picture.parts);
    for (const auto& part : loose_)
      if (part.part.kind == kind && kind != PartKind::unknown && shown++ < kShownMax)
        text += std::format("; '{}' does not fit: it is {}", part.id, described(part.part));
    complain(text);
    if (missed_.empty()) missed_ = role;
  }

  void complain(std::string_view text) {
    if (!problems_.empty()) problems_ += ". ";
    problems_ += text;
  }

  std::string roles_in_words() const {
    std::string out;
    for (const auto role : roles_needed(family_))
      out += (out.empty() ? "" : ", ") + std::string(role);
    return out;
  }

  ModelRecord& model_;
  const std::vector<LoosePart>& loose_;
  const std::vector<NamedPart>& named_;
  const std::string family_;
  std::string_view folder_;
  std::string_view name_;
  std::string problems_;
  std::string_view missed_;  // the first role that nothing fits
};

}  // namespace

base::Result<NamedPart> parse_named_part(std::string_view text) {
  const auto space = text.find(' ');
  const auto equals = text.find('=');
  if (space == std::string_view::npos || equals == std::string_view::npos || space == 0 ||
      equals < space + 2 || equals + 1 == text.size())
    return base::fail(base::ErrorCode::invalid_argument,
                      std::format("'{}' names no part: write \"MODEL ROLE=PATH\", such as "
                                  "\"flux-dev vae=/models/ae.safetensors\"",
                                  printable(text, kNameShownMax)));
  NamedPart out{std::string(text.substr(0, space)),
                std::string(text.substr(space + 1, equals - space - 1)),
                std::string(text.substr(equals + 1))};
  if (out.what.starts_with('/')) {
    out.what = std::filesystem::path(out.what).lexically_normal().native();
    while (out.what.size() > 1 && out.what.ends_with('/')) out.what.pop_back();
  }
  return out;
}

void choose_parts(std::vector<ModelRecord>& models, std::vector<LoosePart> loose,
                  const std::vector<NamedPart>& named) {
  std::ranges::sort(loose, {}, [](const LoosePart& part) { return part.part.path; });
  for (auto& model : models)
    if (model.info.kind == protocol::ModelKind::image && model.info.state == ModelState::usable)
      Choosing(model, loose, named).run();
  std::map<std::string, std::set<std::string>> users;
  for (const auto& model : models)
    for (const auto& part : model.info.parts)
      if (!part.component.empty()) users[part.component].insert(model.info.id);
  for (auto& model : models)
    if (const auto found = users.find(model.info.id); found != users.end())
      model.info.used_by = {found->second.begin(), found->second.end()};
}

}  // namespace ingle::catalog
