// The parts that a picture model borrows: which settings name them, and which files the worker is
// given for them. A setting named as a role (vae, text_encoder, tokenizer_2) replaces that part by
// another of the catalogue that fits. Pure.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "engines/launch_settings.h"

namespace ingle::engines {

inline constexpr std::array<std::string_view, 5> kPartSettings{
    "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"};
bool is_part_setting(std::string_view name);

// The model with the parts that `set` names (a component's name, or its path). Errors:
// invalid_argument (nothing that fits goes by that; with what does).
base::Result<catalog::ModelRecord> with_parts(catalog::ModelRecord model,
                                              const std::vector<std::string>& set);

// Of each part that the model borrows: its role, its path, and why that one.
std::vector<protocol::Setting> part_settings(const catalog::ModelRecord& model,
                                             const std::vector<std::string>& set);

// "--part", "ROLE=PATH" for each.
std::vector<std::string> part_arguments(const LaunchSettings& settings);

// What the worker has to read for them: the paths, and, in a hub's cache, the folder that the files
// are links into.
std::vector<std::filesystem::path> part_paths(const LaunchSettings& settings);

}  // namespace ingle::engines
