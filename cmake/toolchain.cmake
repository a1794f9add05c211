# Warnings are errors; ccache and mold are used where they are there.
find_program(INGLE_CCACHE ccache)
if(INGLE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${INGLE_CCACHE})
endif()
find_program(INGLE_MOLD mold)
if(INGLE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Missing designated initialisers have defaults here; coroutine frames confuse dangling analysis.
  add_compile_options(-Wno-missing-field-initializers)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    # The sanitizers' own code makes GCC see uninitialised values where there are none.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
add_link_options(-Wl,--as-needed)
find_package(Threads REQUIRED)
