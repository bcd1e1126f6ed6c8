// SPDX-License-Identifier: Apache-2.0
// Writes a lot to the console.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"lines", "how many lines, 100000 unless given"},
    {"bytes", "bytes of a line without its newline, 64 unless given"},
    {"no-newline", "leave the newlines out"},
    {"wait", "seconds before the first line, 0 unless given"},
    {"rest", "seconds before the last line, 0 unless given"},
};

constexpr size_t kMinBytes = 8;  // the number
constexpr size_t kMaxBytes = 256 << 10;
constexpr uint64_t kMaxWait = 1000;

char line[kMaxBytes + 1];

void Sleep(uint64_t seconds) {
  const uint64_t end = MonotonicTime() + seconds * kSecond;
  for (uint64_t now = MonotonicTime(); now < end; now = MonotonicTime()) {
    Poll(end - now);
  }
}

}  // namespace

int Main() {
  const Options options("flood", kOptions);
  const uint64_t lines = options.Number("lines", 100'000, 99'999'999);
  const size_t bytes = options.Number("bytes", 64, kMaxBytes);
  if (bytes < kMinBytes) options.Reject("bytes", "at least 8");
  for (size_t i = 0; i < bytes; ++i) {
    line[i] = static_cast<char>('a' + i % 26);
  }
  size_t size = bytes;
  if (!options.Flag("no-newline")) line[size++] = '\n';
  const uint64_t rest = options.Number("rest", 0, kMaxWait);
  Sleep(options.Number("wait", 0, kMaxWait));
  for (uint64_t i = 1; i <= lines; ++i) {
    if (i == lines) Sleep(rest);
    // "00000001ijklm…"
    Writer(line, kMinBytes).AppendNumber(i, 10, kMinBytes);
    WriteConsole({line, size});
  }
  return 0;
}

}  // namespace serai::guest
