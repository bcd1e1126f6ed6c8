// SPDX-License-Identifier: Apache-2.0
// An hvt guest's registers and memory, at an instruction that level 3 may not
// do, as an attacker would have them.
#include <linux/kvm.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tender/hvt/emulate.h"
#include "tests/fuzz/check.h"

namespace {

using namespace serai::tender::hvt;  // NOLINT(google-build-using-namespace)
using serai::solo5::kMinLoadAddress;
using serai::solo5::kPageSize;
using serai::solo5::Segment;

// One page of text, three of data. The input ends up in both.
constexpr uint64_t kData = kMinLoadAddress + kPageSize;
constexpr uint64_t kSize = kData + 3 * kPageSize;
constexpr uint64_t kInput = kData - 0x100;
// Of what lies below, the last page is looked at.
constexpr uint64_t kBelow = kMinLoadAddress - kPageSize;
constexpr int kSteps = 8;

constexpr Segment kText = {0,    kMinLoadAddress, kPageSize, kPageSize,
                           true, false,           true};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvm_regs regs = {};
  if (size < sizeof(regs)) return 0;
  std::memcpy(&regs, data, sizeof(regs));
  // Kept from input to input, for fresh memory costs more than all the rest:
  // all zeros below the input, since nothing writes there.
  static std::vector<uint8_t> bytes(kSize);
  std::fill(bytes.begin() + kInput, bytes.end(), uint8_t{0});
  std::copy_n(data + sizeof(regs),
              std::min<size_t>(size - sizeof(regs), kSize - kInput),
              bytes.begin() + kInput);
  const std::vector<uint8_t> text(bytes.begin() + kInput,
                                  bytes.begin() + kData);

  const GuestMemory memory(bytes.data(), bytes.size(), {&kText, 1});
  Emulator emulator(&memory);
  kvm_sregs sregs = {};
  Emulator::Io io;
  for (int i = 0; i < kSteps; ++i) {
    const Emulator::Outcome outcome = emulator.Step(&regs, &sregs, &io);
    if (outcome == Emulator::Outcome::kRefuse) {
      if (!emulator.Deliver({kGeneralProtection, 0}, &regs)) break;
      FUZZ_CHECK((regs.rflags & kIoAtLevel3) == kIoAtLevel3);
    }
    FUZZ_CHECK(sregs.fs.base >> 47 == 0 && sregs.gs.base >> 47 == 0);
  }
  // What the guest can't write, nothing writes for it.
  FUZZ_CHECK(std::equal(text.begin(), text.end(), bytes.begin() + kInput));
  FUZZ_CHECK(std::all_of(bytes.begin() + kBelow, bytes.begin() + kInput,
                         [](uint8_t byte) { return byte == 0; }));
  return 0;
}
