// show_file: what a GGUF file says about itself, as text for people or as JSON. Reads the file and
// nothing else; whatever it holds comes out escaped. Blocking.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"

namespace ingle::cli {

enum class ShowForm {
  card,     // what matters, on one screen
  json,     // the typed facts and all metadata; arrays are cut to their first elements
  tensors,  // a table of every tensor
  raw,      // every key with its type and value; long values are cut
};

// Errors: those of platform::MappedFile::open and gguf::parse, with the path; for `card` and `json`
// those of gguf::facts_of too.
base::Result<std::string> show_file(const std::filesystem::path& path, ShowForm form);

}  // namespace ingle::cli
