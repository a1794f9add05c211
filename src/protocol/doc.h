// DOC("..."): the meaning of a wire field, type or enum value, with its unit. It is an annotation
// (P3394) that the generator reads by reflection; compilers without reflection see nothing.
#pragma once

#ifdef __cpp_impl_reflection
#include <meta>
#include <string_view>

namespace ingle::protocol {

struct Doc {
  const char* text;
  consteval Doc(const char* words) : text(std::define_static_string(std::string_view(words))) {}
};

}  // namespace ingle::protocol

#define DOC(words) [[= ::ingle::protocol::Doc(words)]]
#else
#define DOC(words)
#endif
