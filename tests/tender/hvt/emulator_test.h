// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest's memory with an emulator on it, for tests.

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "gtest/gtest.h"
#include "tender/hvt/emulate.h"

namespace serai::tender::hvt {

inline constexpr uint64_t kSize = 4 << 20;
inline constexpr uint64_t kCode = 0x100000;
inline constexpr uint64_t kGdt = 0x210000;
inline constexpr uint64_t kIdt = 0x220000;
inline constexpr uint64_t kTss = 0x230000;
inline constexpr uint64_t kPointer = 0x240000;
inline constexpr uint64_t kStack = 0x280008;
inline constexpr uint64_t kTrapStack = 0x300000;

class EmulatorTest : public ::testing::Test {
 protected:
  EmulatorTest() {
    regs_.rip = kCode;
    regs_.rsp = kStack;
    regs_.rflags = kIoAtLevel3 | kAlwaysSet;
  }

  template <typename T>
  void Put(uint64_t address, const T& value) {
    std::memcpy(bytes_.data() + address, &value, sizeof(value));
  }
  template <typename T>
  T Get(uint64_t address) const {
    T value;
    std::memcpy(&value, bytes_.data() + address, sizeof(value));
    return value;
  }

  Emulator::Outcome Step(std::initializer_list<uint8_t> code) {
    regs_.rip = kCode;
    std::copy(code.begin(), code.end(), bytes_.begin() + kCode);
    return emulator_.Step(&regs_, &sregs_, &io_);
  }

  void PutTablePointer(uint16_t limit, uint64_t base) {
    Put(kPointer, limit);
    Put(kPointer + 2, base);
    regs_.rax = kPointer;
  }

  // A GDT with a TSS in it, and an IDT whose gates lead to 0x110000 plus 16 for
  // each vector, on the second of the TSS's stacks.
  void LoadTables() {
    Put(kGdt + 0x18, uint64_t{0x67} | (kTss & 0xffffff) << 16 |
                         uint64_t{0x89} << 40 | (kTss >> 24) << 56);
    Put(kGdt + 0x20, uint64_t{0});
    Put(kTss + 0x24 + 8, kTrapStack);
    for (uint64_t vector = 0; vector < 32; ++vector) {
      const uint64_t handler = 0x110000 + vector * 16;
      Put(kIdt + vector * 16, (handler & 0xffff) | uint64_t{8} << 16 |
                                  uint64_t{2} << 32 | uint64_t{0x8e} << 40 |
                                  (handler >> 16) << 48);
    }
    PutTablePointer(0x27, kGdt);
    ASSERT_EQ(Step({0x0f, 0x01, 0x10}),
              Emulator::Outcome::kDone);  // lgdt (%rax)
    PutTablePointer(32 * 16 - 1, kIdt);
    ASSERT_EQ(Step({0x0f, 0x01, 0x18}),
              Emulator::Outcome::kDone);  // lidt (%rax)
    regs_.rax = 0x18;
    ASSERT_EQ(Step({0x0f, 0x00, 0xd8}), Emulator::Outcome::kDone);  // ltr %ax
  }

  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSize);
  std::vector<solo5::Segment> segments_ = {
      {0, kCode, 0x1000, 0x1000, true, false, true}};
  GuestMemory memory_{bytes_.data(), kSize, segments_};
  Emulator emulator_{&memory_};
  kvm_regs regs_ = {};
  kvm_sregs sregs_ = {};
  Emulator::Io io_;
};

}  // namespace serai::tender::hvt
