// Chooses the parts that picture models lack among those that lie in the folders: what somebody
// named; else the nearest that fits (in the model's folder, in a folder whose name begins like the
// model's, below the model's folder, anywhere), the first by path among equals. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "catalog/catalog.h"

namespace ingle::catalog {

inline constexpr std::size_t kFittingMax = 16;  // kept for each role

// A part that could be given to models that lack it.
struct LoosePart {
  std::string id{};      // in the catalogue: its own, or of the model that it is in
  std::string folder{};  // what counts as near
  PicturePart part{};    // with a path
};

// Fills in the parts of every picture model in `models` (info, picture, facts) and what uses what;
// a model that lacks a part, or is given a wrong one, becomes incomplete. `loose` in any order.
void choose_parts(std::vector<ModelRecord>& models, std::vector<LoosePart> loose,
                  const std::vector<NamedPart>& named);

}  // namespace ingle::catalog
