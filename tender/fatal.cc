// SPDX-License-Identifier: Apache-2.0
#include "tender/fatal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace serai::tender {
namespace {

const char* program_name = "serai-tender";

[[gnu::format(printf, 1, 0)]] void WriteLine(const char* format,
                                             std::va_list arguments) {
  char line[512];
  const size_t room = sizeof(line) - 1;  // for the newline
  const auto clamp = [room](int written, size_t at) {
    return std::min(room, at + static_cast<size_t>(std::max(written, 0)));
  };
  size_t length = clamp(std::snprintf(line, room, "%s: ", program_name), 0);
  length = clamp(
      std::vsnprintf(line + length, sizeof(line) - length, format, arguments),
      length);
  line[length++] = '\n';
  // One write, so that the lines of several tenders do not mix.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line, length);
}

}  // namespace

void SetProgramName(const char* argv0) {
  const char* slash = std::strrchr(argv0, '/');
  program_name = slash == nullptr ? argv0 : slash + 1;
}

const char* ProgramName() { return program_name; }

void Warn(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  WriteLine(format, arguments);
  va_end(arguments);
}

void Fatal(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  WriteLine(format, arguments);
  va_end(arguments);
  ::_exit(1);
}

}  // namespace serai::tender
