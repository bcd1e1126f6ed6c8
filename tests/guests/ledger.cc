// SPDX-License-Identifier: Apache-2.0
// Writes numbered blocks, one after the other, and reads all of them back at
// the end.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(BlockDevice("storage"), NetDevice("service"));

namespace {

constexpr OptionSpec kOptions[] = {
    {"pause-ms", "milliseconds between two blocks, 50 unless given"},
};

alignas(4096) std::byte block[65536];

void Check(IoResult result, std::string_view what, uint64_t number) {
  if (result == IoResult::kOk) return;
  Print("ledger: ", what, " of block ", number, ": ", Name(result));
  Exit(1);
}

}  // namespace

int Main() {
  const Options options("ledger", kOptions);
  const uint64_t pause =
      options.Number("pause-ms", 50, 3'600'000) * kMillisecond;
  const Device storage = FindDevice("storage", kBlockDevice);
  const uint64_t blocks = storage.capacity / storage.block_size;
  for (uint64_t number = 0; number < blocks; ++number) {
    __builtin_memcpy(block, &number, sizeof(number));
    Check(BlockWrite(storage, number * storage.block_size, block,
                     storage.block_size),
          "writing", number);
    Print("ledger: block ", number);
    Poll(pause);
  }
  for (uint64_t number = 0; number < blocks; ++number) {
    Check(BlockRead(storage, number * storage.block_size, block,
                    storage.block_size),
          "reading", number);
    if (__builtin_memcmp(block, &number, sizeof(number)) != 0) {
      Print("ledger: block ", number, " is not what was written");
      return 2;
    }
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
