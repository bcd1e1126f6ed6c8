// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/debug_registers.h"

#include <cstring>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

class DebugRegistersTest : public ::testing::Test {
 protected:
  kvm_regs regs_ = {};
  kvm_sregs sregs_ = {};
  kvm_fpu fpu_ = {};
  gdb::Registers registers_ = {};
  ProcessorState state_ = {&regs_, &sregs_, &fpu_};
};

TEST_F(DebugRegistersTest, AreInGdbsOrder) {
  regs_.rax = 1;
  regs_.rbx = 2;
  regs_.rsp = 8;
  regs_.r15 = 16;
  regs_.rip = 17;
  sregs_.cs.selector = 0x33;
  sregs_.gs.base = 0x5000;
  fpu_.ftwx = 0x81;
  fpu_.mxcsr = 0x1f80;
  CopyRegisters(state_, &registers_);
  EXPECT_EQ(registers_.general[0], 1u);
  EXPECT_EQ(registers_.general[1], 2u);
  EXPECT_EQ(registers_.general[7], 8u);
  EXPECT_EQ(registers_.general[15], 16u);
  EXPECT_EQ(registers_.rip, 17u);
  EXPECT_EQ(registers_.segments[0], 0x33u);
  EXPECT_EQ(registers_.gs_base, 0x5000u);
  EXPECT_EQ(registers_.x87[2], 0x3ffcu);
  EXPECT_EQ(registers_.mxcsr, 0x1f80u);
}

TEST_F(DebugRegistersTest, ComeBackAsTheyWere) {
  regs_.rdi = 5;
  regs_.rip = 0x100000;
  regs_.rflags = 0x3246;
  fpu_.ftwx = 0x0f;
  fpu_.xmm[15][15] = 0xee;
  fpu_.fpr[7][9] = 0xdd;
  CopyRegisters(state_, &registers_);
  kvm_regs regs = {};
  regs.rflags = regs_.rflags;
  kvm_sregs sregs = {};
  kvm_fpu fpu = {};
  ASSERT_TRUE(CopyRegisters(registers_, {&regs, &sregs, &fpu}));
  EXPECT_EQ(std::memcmp(&regs, &regs_, sizeof(regs)), 0);
  EXPECT_EQ(std::memcmp(&fpu, &fpu_, sizeof(fpu)), 0);
}

TEST_F(DebugRegistersTest, LeaveThePrivilegesOfTheGuestAlone) {
  regs_.rflags = 0x3002;
  sregs_.cs.selector = 0x33;
  registers_.rflags = 0xffffffff;
  registers_.segments[0] = 0x10;
  ASSERT_TRUE(CopyRegisters(registers_, state_));
  EXPECT_EQ(regs_.rflags, 0x3002u | 0x240cd5u);
  EXPECT_EQ(sregs_.cs.selector, 0x33);
}

TEST_F(DebugRegistersTest, RefuseAddressesThatAreNone) {
  registers_.general[0] = 7;
  registers_.rip = uint64_t{1} << 47;
  EXPECT_FALSE(CopyRegisters(registers_, state_));
  registers_.rip = 0;
  registers_.fs_base = ~uint64_t{0};
  EXPECT_FALSE(CopyRegisters(registers_, state_));
  EXPECT_EQ(regs_.rax, 0u);
}

}  // namespace
}  // namespace serai::tender::hvt
