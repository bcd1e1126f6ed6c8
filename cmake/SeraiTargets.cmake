# SPDX-License-Identifier: Apache-2.0
include(GoogleTest)

# serai_library(NAME SOURCES… [PUBLIC libs…] [PRIVATE libs…])
# A room's static library: our warnings, honest links.
function(serai_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name}
    PUBLIC serai_options ${ARG_PUBLIC}
    PRIVATE ${ARG_PRIVATE})
endfunction()

# serai_test_code(NAME [HEADERS target])
# Compiles a test's own code for short builds: little for a debugger, and the
# headers that many tests share, most of a test's compilation, once for all, by
# the target HEADERS (tests/CMakeLists.txt).
function(serai_test_code name)
  cmake_parse_arguments(ARG "" "HEADERS" "" ${ARGN})
  target_compile_options(${name} PRIVATE
    $<$<CONFIG:RelWithDebInfo>:-g1>
    # Some libraries ask for it, and all that share a header must agree.
    -pthread
    # Of a precompiled header gcc doesn't know that it is the system's, and tells
    # what it thinks of std::string.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds>
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overflow>
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overread>)
  if(ARG_HEADERS)
    target_precompile_headers(${name} REUSE_FROM ${ARG_HEADERS})
  endif()
endfunction()

# serai_test(NAME SOURCES… LIBS… [LABELS…] [TIMEOUT seconds] [SERIAL] [CRI])
# One test binary; each TEST in it becomes a ctest test. Labels: unit (default)
# or integration. SERIAL: no other test may run beside it. CRI: its files include
# the CRI's stubs.
function(serai_test name)
  cmake_parse_arguments(ARG "SERIAL;CRI" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE serai_options serai_test_support
                                        ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  if(ARG_CRI)
    serai_test_code(${name} HEADERS serai_cri_test_headers)
  else()
    serai_test_code(${name} HEADERS serai_test_headers)
  endif()
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
               RUN_SERIAL ${ARG_SERIAL}
               ENVIRONMENT "SERAI_BUILD_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# serai_fuzzer(NAME SOURCES… LIBS… SEEDS files and directories…)
# A libFuzzer target where fuzzers are built, with its seeds as binary files in
# fuzz/seeds/NAME; elsewhere a unit test that runs the target over its seeds and
# simple variations of them.
function(serai_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;SEEDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE serai_options serai_base ${ARG_LIBS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  if(SERAI_BUILD_FUZZERS)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(seeds "${CMAKE_BINARY_DIR}/fuzz/seeds")
    add_custom_target(${name}_seeds
      COMMAND write_seeds "${seeds}/${name}" ${ARG_SEEDS}
      VERBATIM)
    add_dependencies(${name} ${name}_seeds)
  else()
    target_link_libraries(${name} PRIVATE serai_fuzz_main)
    add_test(NAME fuzz.${name} COMMAND ${name} ${ARG_SEEDS})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()
