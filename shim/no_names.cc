// SPDX-License-Identifier: Apache-2.0
// The C library's look-ups of names, which libnl could make of addresses and
// protocols and is never asked to. In a static program they would bring the
// resolver with them, which loads shared libraries. For static programs
// that use libnl.
#include <netdb.h>

extern "C" {

int getaddrinfo(const char* /*name*/, const char* /*service*/,
                const addrinfo* /*hints*/, addrinfo** /*result*/) {
  return EAI_FAIL;
}

void freeaddrinfo(addrinfo* /*list*/) noexcept {}

int getnameinfo(const sockaddr* /*address*/, socklen_t /*length*/,
                char* /*host*/, socklen_t /*host_size*/, char* /*service*/,
                socklen_t /*service_size*/, int /*flags*/) {
  return EAI_FAIL;
}

protoent* getprotobyname(const char* /*name*/) { return nullptr; }

protoent* getprotobynumber(int /*number*/) { return nullptr; }

}  // extern "C"
