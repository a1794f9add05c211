// A folder of a test's own, removed with everything in it when the object ends.
#pragma once

#include <filesystem>
#include <string_view>

namespace ingle::testing {

class TempFolder {
 public:
  // Under TMPDIR or /tmp, with a short path, so that sockets fit in it.
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  // Writes a file (with its folders) and returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace ingle::testing
