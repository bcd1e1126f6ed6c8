// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/emulate.h"

#include <initializer_list>
#include <vector>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

using Outcome = Emulator::Outcome;
using solo5::Segment;

constexpr uint64_t kSize = 4 << 20;
constexpr uint64_t kCode = 0x100000;
constexpr uint64_t kGdt = 0x210000;
constexpr uint64_t kIdt = 0x220000;
constexpr uint64_t kTss = 0x230000;
constexpr uint64_t kPointer = 0x240000;
constexpr uint64_t kStack = 0x280008;
constexpr uint64_t kTrapStack = 0x300000;

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

  Outcome Step(std::initializer_list<uint8_t> code) {
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
    ASSERT_EQ(Step({0x0f, 0x01, 0x10}), Outcome::kDone);  // lgdt (%rax)
    PutTablePointer(32 * 16 - 1, kIdt);
    ASSERT_EQ(Step({0x0f, 0x01, 0x18}), Outcome::kDone);  // lidt (%rax)
    regs_.rax = 0x18;
    ASSERT_EQ(Step({0x0f, 0x00, 0xd8}), Outcome::kDone);  // ltr %ax
  }

  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kSize);
  std::vector<Segment> segments_ = {
      {0, kCode, 0x1000, 0x1000, true, false, true}};
  GuestMemory memory_{bytes_.data(), kSize, segments_};
  Emulator emulator_{&memory_};
  kvm_regs regs_ = {};
  kvm_sregs sregs_ = {};
  Emulator::Io io_;
};

TEST_F(EmulatorTest, SetsAndReadsTheThreadPointer) {
  regs_.rcx = 0xc0000100;
  regs_.rax = 0x12345678;
  regs_.rdx = 0x1;
  EXPECT_EQ(Step({0x0f, 0x30}), Outcome::kDone);  // wrmsr
  EXPECT_EQ(sregs_.fs.base, 0x112345678u);
  EXPECT_EQ(regs_.rip, kCode + 2);
  regs_.rax = regs_.rdx = 0;
  EXPECT_EQ(Step({0x0f, 0x32}), Outcome::kDone);  // rdmsr
  EXPECT_EQ(regs_.rax, 0x12345678u);
  EXPECT_EQ(regs_.rdx, 1u);
  regs_.rcx = 0xc0000101;
  EXPECT_EQ(Step({0x0f, 0x30}), Outcome::kDone);
  EXPECT_EQ(sregs_.gs.base, 0x112345678u);
}

TEST_F(EmulatorTest, RefusesOtherMsrsAndBadAddresses) {
  regs_.rcx = 0xc0000080;  // EFER
  EXPECT_EQ(Step({0x0f, 0x30}), Outcome::kRefuse);
  EXPECT_EQ(Step({0x0f, 0x32}), Outcome::kRefuse);
  EXPECT_EQ(regs_.rip, kCode);
  regs_.rcx = 0xc0000100;
  regs_.rdx = 0x8000;
  EXPECT_EQ(Step({0x0f, 0x30}), Outcome::kRefuse);
}

TEST_F(EmulatorTest, RefusesControlOfTheMachine) {
  EXPECT_EQ(Step({0x0f, 0x22, 0xd8}), Outcome::kRefuse);  // mov %rax, %cr3
  EXPECT_EQ(Step({0x0f, 0x20, 0xd8}), Outcome::kRefuse);  // mov %cr3, %rax
  sregs_.cr2 = 0xdead;
  EXPECT_EQ(Step({0x0f, 0x20, 0xd7}), Outcome::kDone);  // mov %cr2, %rdi
  EXPECT_EQ(regs_.rdi, 0xdeadu);
}

TEST_F(EmulatorTest, FollowsFarReturns) {
  Put(kStack, uint64_t{0x100800});
  Put(kStack + 8, uint64_t{8});
  EXPECT_EQ(Step({0x48, 0xcb}), Outcome::kDone);
  EXPECT_EQ(regs_.rip, 0x100800u);
  EXPECT_EQ(regs_.rsp, kStack + 16);
  Put(regs_.rsp, uint64_t{1} << 47);
  EXPECT_EQ(Step({0x48, 0xcb}), Outcome::kRefuse);
  regs_.rsp = kSize - 8;
  EXPECT_EQ(Step({0x48, 0xcb}), Outcome::kRefuse);
}

TEST_F(EmulatorTest, KeepsIoPrivilegeOverInterruptReturns) {
  const uint64_t frame[] = {0x100900, 8, 0x0246, 0x2f0000, 0x10};
  Put(kStack, frame);
  EXPECT_EQ(Step({0x48, 0xcf}), Outcome::kDone);
  EXPECT_EQ(regs_.rip, 0x100900u);
  EXPECT_EQ(regs_.rsp, 0x2f0000u);
  EXPECT_EQ(regs_.rflags & kIoAtLevel3, kIoAtLevel3);
  EXPECT_EQ(regs_.rflags & 0x44, 0x44u);
}

TEST_F(EmulatorTest, LeavesSegmentsAloneButDropsTheirBase) {
  sregs_.fs.base = sregs_.gs.base = 0x5000;
  EXPECT_EQ(Step({0x8e, 0xd0}), Outcome::kDone);    // mov %eax, %ss
  EXPECT_EQ(Step({0x8e, 0xe0}), Outcome::kDone);    // mov %eax, %fs
  EXPECT_EQ(Step({0x8e, 0xc8}), Outcome::kRefuse);  // mov %eax, %cs
  EXPECT_EQ(sregs_.fs.base, 0u);
  EXPECT_EQ(sregs_.gs.base, 0x5000u);
}

TEST_F(EmulatorTest, HandsPortsToItsCaller) {
  regs_.rax = 0xffffffff00200000;
  regs_.rdx = 0x502;
  EXPECT_EQ(Step({0xef}), Outcome::kOut);
  EXPECT_EQ(io_.port, 0x502);
  EXPECT_EQ(io_.size, 4);
  EXPECT_EQ(io_.value, 0x200000u);
  EXPECT_EQ(regs_.rip, kCode + 1);
  EXPECT_EQ(Step({0xed}), Outcome::kPort);
  EXPECT_EQ(Step({0xf4}), Outcome::kHalt);
}

TEST_F(EmulatorTest, DeliversAnExceptionOnTheGuestsOwnStack) {
  LoadTables();
  regs_.rip = 0x100123;
  regs_.rsp = kStack;
  regs_.rflags = 0x3146;
  ASSERT_TRUE(emulator_.Deliver({kPageFault, 6}, &regs_));
  EXPECT_EQ(regs_.rip, 0x1100e0u);
  EXPECT_EQ(regs_.rsp, kTrapStack - 48);
  EXPECT_EQ(regs_.rflags & 0x100, 0u);  // no single steps in the handler
  const uint64_t expected[] = {6, 0x100123, 8, 0x3146, kStack, 0x10};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(Get<uint64_t>(kTrapStack - 48 + i * 8), expected[i]) << i;
  }
}

TEST_F(EmulatorTest, PushesNoErrorCodeWhereThereIsNone) {
  LoadTables();
  regs_.rip = 0x100123;
  ASSERT_TRUE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  EXPECT_EQ(regs_.rsp, kTrapStack - 40);
  EXPECT_EQ(Get<uint64_t>(kTrapStack - 40), 0x100123u);
}

TEST_F(EmulatorTest, AlignsTheStackOfAGateWithoutItsOwn) {
  LoadTables();
  Put(kIdt + 6 * 16 + 4, uint8_t{0});
  regs_.rsp = kStack;
  ASSERT_TRUE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  EXPECT_EQ(regs_.rsp, (kStack & ~uint64_t{15}) - 40);
}

TEST_F(EmulatorTest, FindsNoHandlerInBrokenTables) {
  EXPECT_FALSE(emulator_.Deliver({kPageFault, 0}, &regs_));  // no IDT yet
  LoadTables();
  Put(kIdt + 14 * 16 + 5, uint8_t{0x0e});  // not present
  EXPECT_FALSE(emulator_.Deliver({kPageFault, 0}, &regs_));
  Put(kTss + 0x24 + 8, kCode + 0x800);  // a stack in the text
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  Put(kTss + 0x24 + 8, uint64_t{0x10});  // one that wraps
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  PutTablePointer(5 * 16 - 1, kIdt);
  ASSERT_EQ(Step({0x0f, 0x01, 0x18}), Outcome::kDone);
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  PutTablePointer(0xffff, UINT64_MAX - 8);
  ASSERT_EQ(Step({0x0f, 0x01, 0x18}), Outcome::kDone);
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
}

TEST_F(EmulatorTest, RefusesCodeAndTablesOutsideOfMemory) {
  regs_.rax = kSize - 4;
  EXPECT_EQ(Step({0x0f, 0x01, 0x10}), Outcome::kRefuse);
  regs_.rip = kSize;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Outcome::kRefuse);
  regs_.rip = 0x800;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Outcome::kRefuse);
  LoadTables();
  regs_.rax = 0x28;  // beyond the GDT
  EXPECT_EQ(Step({0x0f, 0x00, 0xd8}), Outcome::kRefuse);
}

}  // namespace
}  // namespace serai::tender::hvt
