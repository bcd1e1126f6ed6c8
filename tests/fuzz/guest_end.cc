// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/guest_end.h"

#include <cstdarg>
#include <cstdio>

#include "tests/fuzz/check.h"

namespace serai::tender {
namespace {

using fuzz::GuestEnd;

}  // namespace

void SetProgramName(const char* /*argv0*/) {}
const char* ProgramName() { return "fuzzer"; }
void SetStatusFd(int /*fd*/) {}
int StatusFd() { return -1; }
void WriteStatus(std::string_view /*line*/) {}
void Warn(const char* /*format*/, ...) {}
void SetEndHook(EndHook /*hook*/, void* /*context*/) {}

// Nothing that a guest does may come to this.
void Fatal(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::abort();
}

void Violation(const char* /*format*/, ...) { throw GuestEnd{End::kViolation}; }
void EndWithStatus(int32_t /*status*/) { throw GuestEnd{End::kExit}; }
void EndWithSignal(int /*number*/) { throw GuestEnd{End::kSignal}; }
void EndWithAbort(const Trap* /*trap*/, const uint64_t* /*registers*/) {
  throw GuestEnd{End::kAbort};
}

}  // namespace serai::tender
