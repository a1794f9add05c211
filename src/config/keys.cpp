#include "config/keys.h"

#include <meta>

namespace ingle::config {
namespace {

constexpr auto kAccess = std::meta::access_context::unchecked();

// Does not compile for a key without a DOC.
consteval const char* doc_of(std::meta::info member) {
  return extract<protocol::Doc>(annotations_of_with_type(member, ^^protocol::Doc).at(0)).text;
}

std::string variable_of(std::string_view section, std::string_view key) {
  std::string out = "INGLE_" + std::string(section) + "_" + std::string(key);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

template <class Section>
void add_section(std::vector<Key>& out, std::string_view name, Section& section) {
  template for (constexpr auto member :
                std::define_static_array(nonstatic_data_members_of(^^Section, kAccess))) {
    constexpr std::string_view key = identifier_of(member);
    out.push_back({.name = std::string(name) + "." + std::string(key),
                   .variable = variable_of(name, key),
                   .doc = doc_of(member),
                   .target = &section.[:member:]});
  }
}

// A template, as GCC 16 warns of shadowing when it expands `template for` outside of one.
template <class Root>
void add_sections(std::vector<Key>& out, Root& root) {
  template for (constexpr auto member :
                std::define_static_array(nonstatic_data_members_of(^^Root, kAccess)))
      add_section(out, identifier_of(member), root.[:member:]);
}

}  // namespace

std::vector<Key> keys_of(protocol::Config& config) {
  std::vector<Key> out;
  add_sections(out, config);
  return out;
}

}  // namespace ingle::config
