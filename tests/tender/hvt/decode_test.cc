// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/decode.h"

#include <vector>

#include "gtest/gtest.h"

namespace serai::tender::hvt {
namespace {

kvm_regs Registers() {
  kvm_regs regs = {};
  regs.rax = 0x1000;
  regs.rbx = 0x2000;
  regs.rcx = 0x3000;
  regs.rdx = 0x503;
  regs.rsp = 0x4000;
  regs.rbp = 0x5000;
  regs.r12 = 0x6000;
  regs.r13 = 0x7000;
  regs.rip = 0x100000;
  return regs;
}

Instruction DecodeBytes(const std::vector<uint8_t>& code) {
  return Decode(code, Registers());
}

struct Case {
  const char* text;
  std::vector<uint8_t> code;
  Op op;
};

TEST(DecodeTest, KnowsTheInstructionsOfRingZero) {
  const Case cases[] = {
      {"wrmsr", {0x0f, 0x30}, Op::kWriteMsr},
      {"rdmsr", {0x0f, 0x32}, Op::kReadMsr},
      {"rdtsc", {0x0f, 0x31}, Op::kReadTsc},
      {"rdtscp", {0x0f, 0x01, 0xf9}, Op::kReadTscp},
      {"cpuid", {0x0f, 0xa2}, Op::kCpuid},
      {"lgdt (%rax)", {0x0f, 0x01, 0x10}, Op::kLoadGdt},
      {"lidt (%rax)", {0x0f, 0x01, 0x18}, Op::kLoadIdt},
      {"ltr %ax", {0x0f, 0x00, 0xd8}, Op::kLoadTask},
      {"mov %eax, %ss", {0x8e, 0xd0}, Op::kLoadSegment},
      {"lretq", {0x48, 0xcb}, Op::kFarReturn},
      {"iretq", {0x48, 0xcf}, Op::kInterruptReturn},
      {"out %eax, (%dx)", {0xef}, Op::kOut},
      {"in (%dx), %al", {0xec}, Op::kIn},
      {"outsb", {0x6e}, Op::kStringPort},
      {"rep insl", {0xf3, 0x6d}, Op::kStringPort},
      {"hlt", {0xf4}, Op::kHalt},
      {"cli", {0xfa}, Op::kInterruptFlag},
      {"sti", {0xfb}, Op::kInterruptFlag},
      {"mov %cr2, %rdi", {0x0f, 0x20, 0xd7}, Op::kReadControl},
      {"mov %rax, %cr3", {0x0f, 0x22, 0xd8}, Op::kWriteControl},
      {"swapgs", {0x0f, 0x01, 0xf8}, Op::kSwapGs},
  };
  for (const Case& c : cases) {
    const Instruction instruction = DecodeBytes(c.code);
    EXPECT_EQ(instruction.op, c.op) << c.text;
    EXPECT_EQ(instruction.length, c.code.size()) << c.text;
  }
}

TEST(DecodeTest, RefusesWhatItDoesNotKnow) {
  for (const std::vector<uint8_t>& code : std::vector<std::vector<uint8_t>>{
           {0x90},
           {0xcb},                    // lret of 32 bits
           {0xcf},                    // iret of 32 bits
           {0x0f, 0x01, 0xd1},        // xsetbv
           {0x0f, 0x01, 0x00},        // sgdt
           {0x0f, 0x00, 0xc0},        // sldt
           {0x0f, 0x09},              // wbinvd
           {0xf3, 0x0f, 0x30},        // rep wrmsr
           {0xf0, 0x0f, 0x30},        // lock wrmsr
           {0x0f, 0x01, 0xfa},        // monitorx
           {0xca, 0x10, 0x00},        // lret of 32 bits that drops arguments
           {0x64, 0x0f, 0x01, 0x10},  // lgdt %fs:(%rax)
           {0x67, 0xef}}) {
    EXPECT_EQ(DecodeBytes(code).op, Op::kUnknown);
  }
}

TEST(DecodeTest, RefusesEveryTruncation) {
  const std::vector<uint8_t> code = {0x41, 0x0f, 0x01, 0x9c, 0x24,
                                     0x78, 0x56, 0x34, 0x12};
  EXPECT_EQ(DecodeBytes(code).op, Op::kLoadIdt);
  for (size_t size = 0; size < code.size(); ++size) {
    const Instruction cut = Decode(std::span(code).first(size), Registers());
    EXPECT_EQ(cut.op, Op::kUnknown) << size;
  }
  EXPECT_EQ(DecodeBytes(std::vector<uint8_t>(16, 0x2e)).op, Op::kUnknown);
}

TEST(DecodeTest, FindsOperandsInMemory) {
  struct {
    std::vector<uint8_t> code;
    uint64_t address;
  } const cases[] = {
      {{0x0f, 0x01, 0x10}, 0x1000},                            // (%rax)
      {{0x0f, 0x01, 0x53, 0xf0}, 0x1ff0},                      // -16(%rbx)
      {{0x0f, 0x01, 0x93, 0x00, 0x01, 0x00, 0x00}, 0x2100},    // 256(%rbx)
      {{0x0f, 0x01, 0x14, 0x24}, 0x4000},                      // (%rsp)
      {{0x0f, 0x01, 0x54, 0x24, 0x08}, 0x4008},                // 8(%rsp)
      {{0x41, 0x0f, 0x01, 0x14, 0x24}, 0x6000},                // (%r12)
      {{0x41, 0x0f, 0x01, 0x55, 0x00}, 0x7000},                // 0(%r13)
      {{0x0f, 0x01, 0x14, 0x4b}, 0x8000},                      // (%rbx,%rcx,2)
      {{0x0f, 0x01, 0x14, 0x8d, 0x10, 0, 0, 0}, 0xc010},       // 16(,%rcx,4)
      {{0x0f, 0x01, 0x14, 0x25, 0x10, 0x20, 0, 0}, 0x2010},    // 0x2010
      {{0x0f, 0x01, 0x15, 0x10, 0x00, 0x00, 0x00}, 0x100017},  // 16(%rip)
      {{0x0f, 0x01, 0x15, 0xf9, 0xff, 0xff, 0xff}, 0x100000},  // -7(%rip)
  };
  for (const auto& c : cases) {
    const Instruction instruction = DecodeBytes(c.code);
    EXPECT_EQ(instruction.op, Op::kLoadGdt);
    EXPECT_TRUE(instruction.in_memory);
    EXPECT_EQ(instruction.address, c.address);
    EXPECT_EQ(instruction.length, c.code.size());
  }
}

TEST(DecodeTest, FindsOperandsInRegisters) {
  const Instruction segment = DecodeBytes({0x41, 0x8e, 0xe4});  // %r12d, %fs
  EXPECT_FALSE(segment.in_memory);
  EXPECT_EQ(segment.reg, 4);
  EXPECT_EQ(segment.rm, 12);
  kvm_regs regs = Registers();
  EXPECT_EQ(regs.*RegisterAt(segment.rm), 0x6000u);
  EXPECT_EQ(regs.*RegisterAt(3), 0x2000u);
  EXPECT_EQ(regs.*RegisterAt(4), 0x4000u);
}

TEST(DecodeTest, ReadsPortsAndSizes) {
  struct {
    std::vector<uint8_t> code;
    uint16_t port;
    uint8_t size;
  } const cases[] = {
      {{0xee}, 0x503, 1},       {{0xef}, 0x503, 4},
      {{0x66, 0xef}, 0x503, 2}, {{0xe6, 0x80}, 0x80, 1},
      {{0xe7, 0x80}, 0x80, 4},
  };
  for (const auto& c : cases) {
    const Instruction instruction = DecodeBytes(c.code);
    EXPECT_EQ(instruction.op, Op::kOut);
    EXPECT_EQ(instruction.port, c.port);
    EXPECT_EQ(instruction.size, c.size);
  }
}

}  // namespace
}  // namespace serai::tender::hvt
