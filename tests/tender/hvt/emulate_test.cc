// SPDX-License-Identifier: Apache-2.0
// How exceptions get to a guest.

#include "tests/tender/hvt/emulator_test.h"

namespace serai::tender::hvt {
namespace {

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
  ASSERT_EQ(Step({0x0f, 0x01, 0x18}), Emulator::Outcome::kDone);
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
  PutTablePointer(0xffff, UINT64_MAX - 8);
  ASSERT_EQ(Step({0x0f, 0x01, 0x18}), Emulator::Outcome::kDone);
  EXPECT_FALSE(emulator_.Deliver({kInvalidOpcode, 0}, &regs_));
}

TEST_F(EmulatorTest, RefusesCodeAndTablesOutsideOfMemory) {
  regs_.rax = kSize - 4;
  EXPECT_EQ(Step({0x0f, 0x01, 0x10}), Emulator::Outcome::kRefuse);
  regs_.rip = kSize;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Emulator::Outcome::kRefuse);
  regs_.rip = 0x800;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Emulator::Outcome::kRefuse);
  LoadTables();
  regs_.rax = 0x28;  // beyond the GDT
  EXPECT_EQ(Step({0x0f, 0x00, 0xd8}), Emulator::Outcome::kRefuse);
}

}  // namespace
}  // namespace serai::tender::hvt
