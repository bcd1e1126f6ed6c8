// SPDX-License-Identifier: Apache-2.0
// Reads the first block of its device and writes the last one.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(BlockDevice("storage"));

namespace {

constexpr OptionSpec kOptions[] = {
    {"read-only", "do not write"},
};

constexpr int kExitReadError = 2;
constexpr int kExitWriteError = 3;
constexpr size_t kMaxBlockSize = 65536;
constexpr size_t kMaxText = 80;

alignas(4096) std::byte block[kMaxBlockSize];
alignas(4096) std::byte expected[kMaxBlockSize];

// The first run of printable characters.
std::string_view FirstText(std::string_view data) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  while (!data.empty() && !printable(data.front())) data.remove_prefix(1);
  size_t size = 0;
  while (size < data.size() && size < kMaxText && printable(data[size])) ++size;
  return {data.data(), size};
}

void Check(IoResult result, std::string_view what, uint64_t offset,
           int exit_status) {
  if (result == IoResult::kOk) return;
  Print("block: ", what, " at ", offset, ": ", Name(result));
  Exit(exit_status);
}

void WriteAndReadBack(const Device& storage, uint64_t offset) {
  const size_t size = storage.block_size;
  for (size_t i = 0; i < size; ++i) {
    expected[i] = static_cast<std::byte>(i * 7 + i / 256 + 1);
  }
  Check(BlockWrite(storage, offset, expected, size), "write", offset,
        kExitWriteError);
  __builtin_memset(block, 0, size);
  Check(BlockRead(storage, offset, block, size), "read", offset,
        kExitReadError);
  if (__builtin_memcmp(block, expected, size) != 0) {
    Print("block: what was written at ", offset, " was not read back");
    Exit(kExitWriteError);
  }
  Print("block: wrote ", size, " bytes at ", offset, " and read them back");
}

}  // namespace

int Main() {
  const Options options("block", kOptions);
  const Device storage = FindDevice("storage", kBlockDevice);
  const size_t size = storage.block_size;
  Print("block: capacity ", storage.capacity, ", block size ", size);
  if (size == 0 || size > kMaxBlockSize || storage.capacity < size) {
    Print("block: sizes make no sense");
    return kExitReadError;
  }
  Check(BlockRead(storage, 0, block, size), "read", 0, kExitReadError);
  Print("block: begins with '",
        FirstText({reinterpret_cast<const char*>(block), size}), "'");
  const IoResult beyond = BlockRead(storage, storage.capacity, block, size);
  if (beyond != IoResult::kInvalid) {
    Print("block: read past the end: ", Name(beyond));
    return kExitReadError;
  }
  if (!options.Flag("read-only")) {
    WriteAndReadBack(storage, (storage.capacity / size - 1) * size);
  }
  Print("SUCCESS");
  return 0;
}

}  // namespace serai::guest
