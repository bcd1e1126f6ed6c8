# SPDX-License-Identifier: Apache-2.0
# Everything comes from Debian's packages; scripts/deps.sh names them. Nothing
# is downloaded while configuring.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(ZLIB REQUIRED)
# Asio and Beast are headers.
find_package(Boost 1.74 REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_path(BOOST_BEAST_INCLUDE_DIR boost/beast.hpp REQUIRED)
# The core alone: its CMake package wants the HTTP server's packages as well.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
pkg_check_modules(NL REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
if(SERAI_BUILD_TESTS OR NOT DEFINED SERAI_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

# The part of abseil that lib/base and the shim use, by library name and not by
# path: the linker then takes the archive for a static program and the shared
# library for the others.
pkg_check_modules(SERAI_ABSL REQUIRED absl_status absl_statusor absl_strings
                  absl_cleanup absl_span absl_time)
add_library(serai_absl_base INTERFACE)
target_link_libraries(serai_absl_base INTERFACE ${SERAI_ABSL_LIBRARIES})

# gRPC and protobuf as archives: a program then has in memory what it uses of
# them, and saves some 4 MB. Without TLS, which a unix socket has no use for.
# Debian's package describes its shared libraries only.
foreach(name grpc++_unsecure grpc_unsecure gpr upb address_sorting)
  get_target_property(shared gRPC::${name} IMPORTED_LOCATION_NONE)
  string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${shared}")
  if(NOT EXISTS "${archive}")
    message(FATAL_ERROR "${archive} is missing (libgrpc++-dev, libgrpc-dev)")
  endif()
  set_target_properties(gRPC::${name} PROPERTIES
    IMPORTED_LOCATION_NONE "${archive}" IMPORTED_SONAME_NONE "")
endforeach()
