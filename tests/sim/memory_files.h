// Files in memory, for simulations that write thousands of them. One thread only.
#pragma once

#include <map>
#include <string>

#include "platform/files.h"

namespace ingle::sim {

class MemoryFiles final : public platform::Files {
 public:
  base::Result<std::string> read(const std::filesystem::path& path, std::uint64_t) const override {
    const auto found = files_.find(path.native());
    if (found == files_.end()) return base::fail(base::ErrorCode::not_found, "no such file");
    return found->second;
  }
  base::Status write_atomic(const std::filesystem::path& path, std::string_view content,
                            platform::FileMode) override {
    files_[path.native()] = content;
    return {};
  }
  base::Result<platform::FileInfo> info(const std::filesystem::path& path) const override {
    const auto found = files_.find(path.native());
    if (found == files_.end()) return base::fail(base::ErrorCode::not_found, "no such file");
    return platform::FileInfo{.path = path, .is_file = true, .size_bytes = found->second.size()};
  }
  base::Result<std::vector<platform::FileInfo>> list(const std::filesystem::path& folder,
                                                     std::size_t) const override {
    std::vector<platform::FileInfo> out;
    for (const auto& [path, content] : files_)
      if (std::filesystem::path(path).parent_path() == folder)
        out.push_back({.path = path, .is_file = true, .size_bytes = content.size()});
    return out;
  }
  base::Result<std::vector<platform::FileInfo>> list_as_is(const std::filesystem::path& folder,
                                                           std::size_t limit) const override {
    return list(folder, limit);
  }
  base::Status make_folder(const std::filesystem::path&) override { return {}; }
  base::Status remove(const std::filesystem::path& path) override {
    files_.erase(path.native());
    return {};
  }
  base::Status remove_tree(const std::filesystem::path& path) override {
    std::erase_if(files_, [&](const auto& file) {
      return file.first == path.native() || file.first.starts_with(path.native() + "/");
    });
    return {};
  }
  base::Result<std::uint64_t> free_bytes(const std::filesystem::path&) const override {
    return std::uint64_t{1} << 40;
  }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace ingle::sim
