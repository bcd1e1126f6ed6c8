// SPDX-License-Identifier: Apache-2.0
// Reads or writes its device from one end to the other, again and again. Says
// when it begins and ends, so that a host can take the time.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(BlockDevice("storage"));

namespace {

constexpr OptionSpec kOptions[] = {
    {"blocks", "how many, 1000 unless given"},
    {"how", "read (unless given) or write"},
};

constexpr int kExitError = 2;
constexpr size_t kMaxBlockSize = 65536;

alignas(4096) std::byte block[kMaxBlockSize];

}  // namespace

int Main() {
  const Options options("blockrate", kOptions);
  const uint64_t blocks = options.Number("blocks", 1000, uint64_t{1} << 40);
  const std::string_view how = options.Value("how").value_or("read");
  if (how != "read" && how != "write") options.Reject("how", "read or write");
  const Device storage = FindDevice("storage", kBlockDevice);
  const size_t size = storage.block_size;
  if (size == 0 || size > kMaxBlockSize || storage.capacity < size) {
    Print("blockrate: sizes make no sense");
    return kExitError;
  }
  Print("blockrate: begin");
  uint64_t offset = 0;
  for (uint64_t i = 0; i < blocks; ++i) {
    const IoResult result = how == "read"
                                ? BlockRead(storage, offset, block, size)
                                : BlockWrite(storage, offset, block, size);
    if (result != IoResult::kOk) {
      Print("blockrate: ", how, " at ", offset, ": ", Name(result));
      return kExitError;
    }
    offset += size;
    if (offset + size > storage.capacity) offset = 0;
  }
  Print("blockrate: end");
  return 0;
}

}  // namespace serai::guest
