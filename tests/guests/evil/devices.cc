// SPDX-License-Identifier: Apache-2.0
// Uses its devices (hvt) with each other's handles, and at places and in
// amounts that are not theirs.

#include "tests/guests/runtime/checks.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"), BlockDevice("storage"));

namespace {

constexpr size_t kBlock = 512;
constexpr size_t kMiB = 1 << 20;

Checks checks;
std::byte buffer[kBlock];

void Expect(std::string_view name, IoResult result, IoResult expected) {
  checks.Check(name, result == expected, Name(result));
}

void CheckHandles(const Device& net, const Device& block) {
  size_t size = kBlock;
  Expect("net-read-of-block", NetRead(block, buffer, size), IoResult::kInvalid);
  Expect("net-write-to-block", NetWrite(block, buffer, kBlock),
         IoResult::kInvalid);
  Expect("block-read-of-net", BlockRead(net, 0, buffer, kBlock),
         IoResult::kInvalid);
  Expect("block-write-to-net", BlockWrite(net, 0, buffer, kBlock),
         IoResult::kInvalid);
  Device none = block;
  for (const uint32_t handle : {0u, 3u, 63u, 64u, ~0u}) {
    none.handle = handle;
    Expect("block-read-of-none", BlockRead(none, 0, buffer, kBlock),
           IoResult::kInvalid);
    Expect("net-write-to-none", NetWrite(none, buffer, kBlock),
           IoResult::kInvalid);
  }
}

void CheckPlaces(const Device& block) {
  const auto capacity = block.capacity;
  const uint64_t offsets[] = {capacity,
                              capacity - 1,
                              capacity - kBlock + 1,
                              capacity + kBlock,
                              uint64_t{1} << 32,
                              uint64_t{1} << 63,
                              0 - uint64_t{kBlock},
                              ~uint64_t{0}};
  for (const uint64_t offset : offsets) {
    Expect("block-read-beyond", BlockRead(block, offset, buffer, kBlock),
           IoResult::kInvalid);
    Expect("block-write-beyond", BlockWrite(block, offset, buffer, kBlock),
           IoResult::kInvalid);
  }
  // More than there is, though it is in memory.
  const auto heap = Heap();
  Expect("block-read-too-much", BlockRead(block, 0, heap.data(), heap.size()),
         IoResult::kInvalid);
  Expect("block-write-too-much", BlockWrite(block, 0, heap.data(), heap.size()),
         IoResult::kInvalid);
  // What upstream's tender lets pass, though it is no whole block.
  Expect("block-read-nothing", BlockRead(block, 0, buffer, 0), IoResult::kOk);
  Expect("block-read-byte", BlockRead(block, capacity - 1, buffer, 1),
         IoResult::kOk);
  Expect("block-read-all", BlockRead(block, 0, heap.data(), capacity),
         IoResult::kOk);
}

// A network takes anything, and may lose it.
void CheckFrames(const Device& net) {
  const auto heap = Heap();
  for (const size_t size : {size_t{0}, size_t{1}, size_t{5}, size_t{13},
                            size_t{60}, size_t{9000}, size_t{65535}, kMiB}) {
    Expect("net-write", NetWrite(net, heap.data(), size), IoResult::kOk);
  }
  size_t size = 0;
  Expect("net-read-nothing", NetRead(net, buffer, size), IoResult::kAgain);
  size = heap.size();
  Expect("net-read-none", NetRead(net, heap.data(), size), IoResult::kAgain);
}

}  // namespace

int Main() {
  const Device net = FindDevice("service", kNetDevice);
  const Device block = FindDevice("storage", kBlockDevice);
  CheckHandles(net, block);
  CheckPlaces(block);
  CheckFrames(net);
  return checks.Finish();
}

}  // namespace serai::guest
