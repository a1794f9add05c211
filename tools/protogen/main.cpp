// ingle-protogen: writes what follows from the wire structs, and checks that it is current.
#include <filesystem>
#include <format>
#include <fstream>
#include <iterator>
#include <optional>
#include <print>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/version.h"
#include "protogen/generate.h"

namespace ingle::protogen {
namespace {

namespace fs = std::filesystem;

struct GeneratedFile {
  fs::path path;  // from the root of the checkout
  std::string text;
};

fs::path golden_folder() {
  return fs::path("tests/golden/protocol") / std::format("v{}", protocol::kProtocolVersion);
}

constexpr std::string_view kPage = "docs/protocol.md";

// A version's samples carry this file once the version is released; nothing here writes it.
fs::path frozen_mark() { return golden_folder() / "FROZEN"; }

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The page is left out when it has no marks for its tables: lacks_marks().
std::vector<GeneratedFile> generated_files(const WireModel& model, const fs::path& root) {
  std::vector<GeneratedFile> out{
      {"panel/src/protocol/wire.ts", typescript_module(model)},
      {"docs/openapi.json", protocol::print_json_pretty(openapi_document(model)) + "\n"}};
  if (auto page = page_with_tables(model, read_file(root / kPage).value_or("")))
    out.push_back({kPage, std::move(*page)});
  if (!fs::exists(root / frozen_mark()))
    for (const auto& type : model.structs)
      out.push_back({golden_folder() / (type.name + ".json"), golden_text(model, type)});
  return out;
}

bool lacks_marks(const WireModel& model, const fs::path& root) {
  return !page_with_tables(model, read_file(root / kPage).value_or(""));
}

std::string marks_fault() {
  return std::format("{} lacks the marks <!-- generated: routes --> and messages, with an end",
                     kPage);
}

int write(const WireModel& model, const fs::path& root) {
  for (const auto& [path, text] : generated_files(model, root)) {
    if (read_file(root / path) == text) continue;
    std::error_code error;
    fs::create_directories((root / path).parent_path(), error);
    std::ofstream out(root / path, std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    if (!out) {
      std::println(stderr,
                   "ingle-protogen: cannot write {}: is the folder writable, and is there "
                   "space left?",
                   (root / path).string());
      return 1;
    }
    std::println("wrote {}", path.string());
  }
  if (lacks_marks(model, root)) {
    std::println(stderr, "ingle-protogen: {}", marks_fault());
    return 1;
  }
  return 0;
}

int check(const WireModel& model, const fs::path& root) {
  std::vector<std::string> faults = wire_faults(model);
  for (const auto& [path, text] : generated_files(model, root))
    if (read_file(root / path) != text)
      faults.push_back(std::format("{} is not current: run ./dev gen", path.string()));
  if (lacks_marks(model, root)) faults.push_back(marks_fault());
  for (const auto& fault : faults) std::println("{}", fault);
  std::println("{} structs, {} faults", model.structs.size(), faults.size());
  return faults.empty() ? 0 : 1;
}

int print_schema(const WireModel& model, std::string_view name) {
  for (const auto& type : model.structs)
    if (type.name == name) {
      std::println("{}", protocol::print_json_pretty(standalone_schema(model, type)));
      return 0;
    }
  std::println(stderr, "ingle-protogen: there is no struct '{}' in the protocol", name);
  return 1;
}

constexpr std::string_view kUsage =
    "usage: ingle-protogen write ROOT   write TypeScript, OpenAPI and golden samples into a "
    "checkout\n"
    "       ingle-protogen check ROOT   say what of them is not current, and which field has no "
    "meaning\n"
    "       ingle-protogen openapi      print the OpenAPI document\n"
    "       ingle-protogen schema TYPE  print the JSON Schema of one struct\n";

int run(std::span<const char* const> arguments) {
  const std::string_view command = arguments.size() > 1 ? arguments[1] : "";
  const std::string_view operand = arguments.size() > 2 ? arguments[2] : "";
  const WireModel model = wire_model();
  if (command == "write" && !operand.empty()) return write(model, operand);
  if (command == "check" && !operand.empty()) return check(model, operand);
  if (command == "schema" && !operand.empty()) return print_schema(model, operand);
  if (command == "openapi") {
    std::println("{}", protocol::print_json_pretty(openapi_document(model)));
    return 0;
  }
  std::print(stderr, "{}", kUsage);
  return 2;
}

}  // namespace
}  // namespace ingle::protogen

int main(int argc, char** argv) {
  return ingle::protogen::run({argv, static_cast<std::size_t>(argc)});
}
