#include "testing/temp_folder.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/check.h"

namespace ingle::testing {

TempFolder::TempFolder() {
  const char* parent = std::getenv("TMPDIR");
  std::string name = std::string(parent != nullptr ? parent : "/tmp") + "/ingle-XXXXXX";
  CHECK(mkdtemp(name.data()) != nullptr, "a test needs a folder for temporary files");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempFolder::write(std::string_view name, std::string_view content) const {
  const auto file = path_ / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  CHECK(out.good(), "a test could not write its file");
  return file;
}

}  // namespace ingle::testing
