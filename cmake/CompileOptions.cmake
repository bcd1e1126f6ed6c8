# SPDX-License-Identifier: Apache-2.0
# Two interface targets: what every file of ours is compiled with, and the same
# without warnings for generated code.

set(SERAI_SANITIZE "" CACHE STRING "Comma separated sanitizers, e.g. address,undefined")
option(SERAI_COVERAGE "Instrument for gcov" OFF)

add_library(serai_codegen INTERFACE)
target_compile_options(serai_codegen INTERFACE
  -fstack-protector-strong
  -fcf-protection
  -ffunction-sections -fdata-sections
  $<$<COMPILE_LANGUAGE:CXX>:-D_GLIBCXX_ASSERTIONS>
  # glibc's; a target that is linked with another C library says so.
  $<$<AND:$<CONFIG:Release,RelWithDebInfo>,$<NOT:$<BOOL:$<TARGET_PROPERTY:SERAI_NO_FORTIFY>>>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>
  # No path of the build machine in what is shipped.
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
  -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
target_link_options(serai_codegen INTERFACE
  -Wl,--gc-sections -Wl,-z,relro,-z,now)

add_library(serai_options INTERFACE)
target_link_libraries(serai_options INTERFACE serai_codegen)
target_include_directories(serai_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(serai_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion
  -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wundef
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wlogical-op>
  # When it optimises, gcc 12 sees the value of an absl::StatusOr that holds an
  # error, and strings that overlap themselves; the sanitizers watch for real
  # ones.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<CONFIG:Release,RelWithDebInfo>>:-Wno-restrict>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wunreachable-code>)

if(SERAI_SANITIZE)
  add_compile_options(-fsanitize=${SERAI_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SERAI_SANITIZE})
endif()
if(SERAI_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(SERAI_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

find_program(SERAI_CCACHE ccache)
if(SERAI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${SERAI_CCACHE}")
  # What a precompiled header defines is part of what ccache compares.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros "${SERAI_CCACHE}")
endif()
