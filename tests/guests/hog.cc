// SPDX-License-Identifier: Apache-2.0
// Uses memory.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"mib", "MiB to use, the whole heap unless given"},
    {"exit", "exit when done, instead of keeping the memory"},
};

constexpr size_t kPage = 4096;
constexpr size_t kMiB = 1 << 20;
constexpr size_t kReportEvery = 8 * kMiB;

}  // namespace

int Main() {
  const Options options("hog", kOptions);
  const std::span<std::byte> heap = Heap();
  const size_t wanted =
      options.Number("mib", heap.size() / kMiB, size_t{1} << 20) * kMiB;
  const size_t size = wanted < heap.size() ? wanted : heap.size();
  if (size < wanted) {
    Print("hog: the heap has only ", heap.size() / kMiB, " MiB");
  }
  for (size_t used = 0; used < size; used += kPage) {
    // Different in every page, so that no host can merge them.
    const uint64_t value = 0x9e3779b97f4a7c15 * (used + 1);
    __builtin_memcpy(&heap[used], &value, sizeof(value));
    if (used != 0 && used % kReportEvery == 0) {
      Print("hog: using ", used / kMiB, " MiB");
    }
  }
  Print("hog: done, using ", size / kMiB, " MiB");
  if (options.Flag("exit")) return 0;
  while (true) Poll(3600 * kSecond);
}

}  // namespace serai::guest
