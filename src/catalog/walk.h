// Walk: looks for model files (GGUF, safetensors, diffusers folders, tokenizers) in folders and
// below, one folder a step, so that no step holds a lane for long. Bounded in entries and depth; a
// folder or file that is reachable twice (links) counts once. Hidden files and folders are passed
// over, but for the folders that programs keep models in (kHiddenFolders). One thread at a time;
// blocking.
#pragma once

#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "platform/files.h"

namespace ingle::catalog {

inline constexpr std::array<std::string_view, 3> kHiddenFolders{".huggingface", ".lmstudio",
                                                                ".models"};

struct FoundFile {
  platform::FileInfo info;
  std::string unfinished{};  // why its download is not whole; empty: it is
};

struct WalkLimits {
  std::size_t entries_max = 20'000;
  int depth_max = 8;
};

class Walk {
 public:
  // `more`: files, and folders that are looked at but not into those below; before the others. One
  // that is not there is no problem here.
  Walk(const std::vector<std::filesystem::path>& folders, WalkLimits limits,
       std::vector<std::filesystem::path> more = {});

  bool done() const { return waiting_.empty() && more_.empty(); }
  // Lists the next folder, or looks at what was named beside them.
  void step(const platform::Files& files);

  // What was found, in the order of the folders, then by path.
  std::vector<FoundFile> take_found() { return std::move(found_); }
  // Folders that could not be looked at, and why.
  const std::vector<base::Error>& problems() const { return problems_; }

 private:
  struct Folder {
    std::filesystem::path path;
    int depth = 0;
    bool known = false;  // its identity was looked at already
  };
  // A file's or folder's identity: device and inode.
  using Identity = std::pair<std::uint64_t, std::uint64_t>;

  void step_more(const platform::Files& files);
  bool enter(const platform::Files& files, const Folder& folder);
  bool see(const platform::FileInfo& info);
  void look_at(platform::FileInfo entry, const std::set<std::string>& names);

  const WalkLimits limits_;
  std::size_t entries_left_;
  std::vector<Folder> waiting_;  // the next one last
  std::vector<std::filesystem::path> more_;
  std::set<Identity> seen_;
  std::vector<FoundFile> found_;
  std::vector<base::Error> problems_;
};

}  // namespace ingle::catalog
