// SPDX-License-Identifier: Apache-2.0
// The instructions that are done for a guest, one by one in the order of Op:
// what each does, and when it is refused. A refused one leaves everything as it
// was.

#include "tender/hvt/cpu.h"
#include "tests/tender/hvt/emulator_test.h"

namespace serai::tender::hvt {
namespace {

using Outcome = Emulator::Outcome;

using Bytes = std::initializer_list<uint8_t>;

constexpr uint64_t kFsBase = 0xc0000100;
constexpr uint64_t kGsBase = 0xc0000101;
constexpr uint64_t kOtherGsBase = 0xc0000102;
constexpr uint64_t kCanonicalEnd = uint64_t{1} << 47;

class InstructionTest : public EmulatorTest {
 protected:
  // That `code` does nothing, and that the emulator says so.
  void ExpectRefused(Bytes code) {
    const kvm_sregs sregs = sregs_;
    regs_.rip = kCode;
    const kvm_regs regs = regs_;
    EXPECT_EQ(Step(code), Outcome::kRefuse);
    EXPECT_EQ(std::memcmp(&regs_, &regs, sizeof(regs)), 0);
    EXPECT_EQ(std::memcmp(&sregs_, &sregs, sizeof(sregs)), 0);
  }
  // That it is done, and that the next one follows.
  void ExpectDone(Bytes code) {
    EXPECT_EQ(Step(code), Outcome::kDone);
    EXPECT_EQ(regs_.rip, kCode + code.size());
  }

  void PutDescriptor(uint16_t selector, uint64_t type) {
    Put(kGdt + selector, uint64_t{0x67} | (kTss & 0xffffff) << 16 | type << 40 |
                             (kTss >> 24) << 56);
    Put(kGdt + selector + 8u, uint64_t{0});
  }
};

TEST_F(InstructionTest, Unknown) {
  ExpectRefused({0x90});
  ExpectRefused({0x0f, 0x0b});
  ExpectRefused({0x0f, 0x01, 0xd1});  // xsetbv
  ExpectRefused({0x0f, 0x09});        // wbinvd
  ExpectRefused({0x0f, 0x01, 0x38});  // invlpg
}

TEST_F(InstructionTest, ReadMsr) {
  sregs_.fs.base = 0x123456789a;
  sregs_.gs.base = 0x7fffffffffff;
  regs_.rax = regs_.rdx = ~uint64_t{0};
  regs_.rcx = 0xffffffff00000000 | kFsBase;  // only ECX counts
  ExpectDone({0x0f, 0x32});
  EXPECT_EQ(regs_.rax, 0x3456789au);
  EXPECT_EQ(regs_.rdx, 0x12u);
  regs_.rcx = kGsBase;
  ExpectDone({0x0f, 0x32});
  EXPECT_EQ(regs_.rax, 0xffffffffu);
  EXPECT_EQ(regs_.rdx, 0x7fffu);
  regs_.rcx = kOtherGsBase;
  ExpectDone({0x0f, 0x32});
  EXPECT_EQ(regs_.rax, 0u);
  for (const uint64_t number : {0x10u, 0x1bu, 0x277u, 0x4b564d00u, 0xc0000080u,
                                0xc0000082u, 0xc0000103u, 0xc0010117u}) {
    regs_.rcx = number;
    ExpectRefused({0x0f, 0x32});
  }
}

TEST_F(InstructionTest, WriteMsr) {
  regs_.rax = 0xffffffff12345678;
  regs_.rdx = 0xffffffff00000001;
  regs_.rcx = kFsBase;
  ExpectDone({0x0f, 0x30});
  EXPECT_EQ(sregs_.fs.base, 0x112345678u);
  regs_.rcx = kGsBase;
  ExpectDone({0x0f, 0x30});
  EXPECT_EQ(sregs_.gs.base, 0x112345678u);
  for (const uint64_t number : {0x10u, 0x1bu, 0x277u, 0x4b564d00u, 0xc0000080u,
                                0xc0000082u, 0xc0000103u, 0xc0010117u}) {
    regs_.rcx = number;
    ExpectRefused({0x0f, 0x30});
  }
  for (const uint64_t number : {kFsBase, kGsBase, kOtherGsBase}) {
    regs_.rcx = number;
    for (const uint64_t high : {0x8000u, 0xffff8000u, 0xffffffffu}) {
      regs_.rdx = high;
      ExpectRefused({0x0f, 0x30});
    }
  }
}

TEST_F(InstructionTest, LoadGdt) {
  PutTablePointer(0x2f, kGdt);
  ExpectDone({0x0f, 0x01, 0x10});
  EXPECT_EQ(emulator_.tables().gdt_base, kGdt);
  EXPECT_EQ(emulator_.tables().gdt_limit, 0x2f);
  for (const uint64_t address :
       {uint64_t{0}, kSize - 9, kSize, kCanonicalEnd, ~uint64_t{0}}) {
    regs_.rax = address;
    ExpectRefused({0x0f, 0x01, 0x10});
  }
  ExpectRefused({0x0f, 0x01, 0xd0});  // of a register: xgetbv
  EXPECT_EQ(emulator_.tables().gdt_base, kGdt);
}

TEST_F(InstructionTest, LoadIdt) {
  PutTablePointer(0x1ff, kIdt);
  ExpectDone({0x0f, 0x01, 0x18});
  EXPECT_EQ(emulator_.tables().idt_base, kIdt);
  EXPECT_EQ(emulator_.tables().idt_limit, 0x1ff);
  for (const uint64_t address :
       {uint64_t{0}, kSize - 9, kSize, kCanonicalEnd, ~uint64_t{0}}) {
    regs_.rax = address;
    ExpectRefused({0x0f, 0x01, 0x18});
  }
  ExpectRefused({0x0f, 0x01, 0xd9});  // of a register: vmmcall
  EXPECT_EQ(emulator_.tables().idt_base, kIdt);
}

TEST_F(InstructionTest, LoadTask) {
  PutTablePointer(0x57, kGdt);
  ExpectDone({0x0f, 0x01, 0x10});
  PutDescriptor(0x10, 0x93);
  PutDescriptor(0x18, 0x89);
  PutDescriptor(0x28, 0x8b);
  PutDescriptor(0x38, 0x09);
  PutDescriptor(0x48, 0xe9);
  regs_.rax = 0xffff0018;
  ExpectDone({0x0f, 0x00, 0xd8});
  EXPECT_EQ(emulator_.tables().task_base, kTss);
  EXPECT_EQ(emulator_.tables().task_limit, 0x67u);
  regs_.rax = 0x48 | 3;  // any level may be asked for
  ExpectDone({0x0f, 0x00, 0xd8});
  Put(kPointer, uint16_t{0x18});
  regs_.rbx = kPointer;
  ExpectDone({0x0f, 0x00, 0x1b});  // ltr (%rbx)
  // Null, of the LDT, data, busy, absent, cut off, beyond.
  for (const uint64_t selector :
       {0x0u, 0x3u, 0x1cu, 0x10u, 0x28u, 0x38u, 0x50u, 0x58u, 0xfff8u}) {
    regs_.rax = selector;
    ExpectRefused({0x0f, 0x00, 0xd8});
  }
  regs_.rbx = kSize - 1;
  ExpectRefused({0x0f, 0x00, 0x1b});
  PutTablePointer(0xffff, kSize - 0x20);
  ExpectDone({0x0f, 0x01, 0x10});
  regs_.rax = 0x18;
  ExpectRefused({0x0f, 0x00, 0xd8});
  EXPECT_EQ(emulator_.tables().task_base, kTss);
}

TEST_F(InstructionTest, LoadSegment) {
  sregs_.fs.base = sregs_.gs.base = 0x5000;
  for (const uint8_t modrm : Bytes{0xc0, 0xd0, 0xd8}) {  // es, ss, ds
    ExpectDone({0x8e, modrm});
    EXPECT_EQ(sregs_.fs.base, 0x5000u);
  }
  ExpectDone({0x8e, 0xe0});  // fs
  EXPECT_EQ(sregs_.fs.base, 0u);
  EXPECT_EQ(sregs_.gs.base, 0x5000u);
  ExpectDone({0x41, 0x8e, 0xef});  // %r15d, %gs
  EXPECT_EQ(sregs_.gs.base, 0u);
  for (const uint8_t modrm : Bytes{0xc8, 0xf0, 0xf8}) {  // cs, none, none
    ExpectRefused({0x8e, modrm});
  }
}

TEST_F(InstructionTest, FarReturn) {
  Put(kStack, uint64_t{0x100800});
  Put(kStack + 8, uint64_t{0x10});  // whatever it names
  EXPECT_EQ(Step({0x48, 0xcb}), Outcome::kDone);
  EXPECT_EQ(regs_.rip, 0x100800u);
  EXPECT_EQ(regs_.rsp, kStack + 16);
  Put(regs_.rsp, kCanonicalEnd);
  ExpectRefused({0x48, 0xcb});
  Put(regs_.rsp, ~uint64_t{0});
  ExpectRefused({0x48, 0xcb});
  for (const uint64_t stack : {uint64_t{0}, kSize - 8, kSize, ~uint64_t{7}}) {
    regs_.rsp = stack;
    ExpectRefused({0x48, 0xcb});
  }
  ExpectRefused({0xcb});  // of 32 bits
}

TEST_F(InstructionTest, InterruptReturn) {
  const uint64_t frame[] = {0x100900, 8, ~uint64_t{0}, 0x2f0000, 0x10};
  Put(kStack, frame);
  EXPECT_EQ(Step({0x48, 0xcf}), Outcome::kDone);
  EXPECT_EQ(regs_.rip, 0x100900u);
  EXPECT_EQ(regs_.rsp, 0x2f0000u);
  // Not among the flags it can set: IF, NT, RF, VM, VIF, VIP.
  EXPECT_EQ(regs_.rflags, 0x243dd7u);
  regs_.rsp = kStack;
  Put(kStack, kCanonicalEnd);
  ExpectRefused({0x48, 0xcf});
  Put(kStack, uint64_t{0x100900});
  Put(kStack + 24, kCanonicalEnd);
  ExpectRefused({0x48, 0xcf});
  for (const uint64_t stack : {uint64_t{0}, kSize - 32, kSize, ~uint64_t{7}}) {
    regs_.rsp = stack;
    ExpectRefused({0x48, 0xcf});
  }
  ExpectRefused({0xcf});  // of 32 bits
}

// Whether a port is anything is not for the emulator to say.
TEST_F(InstructionTest, In) {
  regs_.rdx = 0x12345678;
  EXPECT_EQ(Step({0xed}), Outcome::kPort);
  EXPECT_EQ(io_.port, 0x5678);
  EXPECT_EQ(Step({0xe4, 0x80}), Outcome::kPort);
  EXPECT_EQ(io_.port, 0x80);
  ExpectRefused({0x67, 0xed});
}

TEST_F(InstructionTest, Out) {
  regs_.rax = 0xffffffff00200000;
  regs_.rdx = 0x502;
  EXPECT_EQ(Step({0xef}), Outcome::kOut);
  EXPECT_EQ(io_.port, 0x502);
  EXPECT_EQ(io_.size, 4);
  EXPECT_EQ(io_.value, 0x200000u);
  EXPECT_EQ(regs_.rip, kCode + 1);
  EXPECT_EQ(Step({0x66, 0xe7, 0x80}), Outcome::kOut);
  EXPECT_EQ(io_.port, 0x80);
  EXPECT_EQ(io_.size, 2);
  EXPECT_EQ(regs_.rip, kCode + 3);
  ExpectRefused({0xf3, 0xef});
  ExpectRefused({0xf0, 0xef});
}

TEST_F(InstructionTest, StringPort) {
  regs_.rdx = 0x502;
  for (const uint8_t opcode : Bytes{0x6c, 0x6d, 0x6e, 0x6f}) {
    EXPECT_EQ(Step({opcode}), Outcome::kPort);
    EXPECT_EQ(io_.port, 0x502);
    EXPECT_EQ(Step({0xf3, opcode}), Outcome::kPort);
    EXPECT_EQ(Step({0xf2, 0x66, opcode}), Outcome::kPort);
    ExpectRefused({0x67, opcode});
  }
}

TEST_F(InstructionTest, Halt) {
  EXPECT_EQ(Step({0xf4}), Outcome::kHalt);
  EXPECT_EQ(regs_.rip, kCode);
  ExpectRefused({0xf3, 0xf4});
}

TEST_F(InstructionTest, InterruptFlag) {
  const uint64_t flags = regs_.rflags;
  ExpectDone({0xfa});
  ExpectDone({0xfb});
  EXPECT_EQ(regs_.rflags, flags);
  ExpectRefused({0xf0, 0xfa});
}

TEST_F(InstructionTest, ReadControl) {
  sregs_.cr0 = 0x80010021;
  sregs_.cr2 = 0xdeadbeef000;
  sregs_.cr4 = 0x620;
  ExpectDone({0x0f, 0x20, 0xc0});  // mov %cr0, %rax
  EXPECT_EQ(regs_.rax, 0x80010021u);
  ExpectDone({0x41, 0x0f, 0x20, 0xd7});  // mov %cr2, %r15
  EXPECT_EQ(regs_.r15, 0xdeadbeef000u);
  ExpectDone({0x0f, 0x20, 0xe3});  // mov %cr4, %rbx
  EXPECT_EQ(regs_.rbx, 0x620u);
  ExpectRefused({0x0f, 0x20, 0xc8});        // %cr1
  ExpectRefused({0x0f, 0x20, 0xd8});        // %cr3
  ExpectRefused({0x44, 0x0f, 0x20, 0xc0});  // %cr8
  ExpectRefused({0x44, 0x0f, 0x20, 0xd0});  // %cr10
}

TEST_F(InstructionTest, WriteControl) {
  for (const uint8_t modrm : Bytes{0xc0, 0xc8, 0xd0, 0xd8, 0xe0}) {
    ExpectRefused({0x0f, 0x22, modrm});
    ExpectRefused({0x44, 0x0f, 0x22, modrm});
  }
}

TEST_F(InstructionTest, ReadTsc) {
  regs_.rcx = 0x77;
  regs_.rax = regs_.rdx = ~uint64_t{0};
  const uint64_t before = __builtin_ia32_rdtsc();
  ExpectDone({0x0f, 0x31});
  const uint64_t after = __builtin_ia32_rdtsc();
  EXPECT_EQ(regs_.rax >> 32, 0u);
  EXPECT_EQ(regs_.rdx >> 32, 0u);
  const uint64_t read = regs_.rdx << 32 | regs_.rax;
  EXPECT_GE(read, before);
  EXPECT_LE(read, after);
  EXPECT_EQ(regs_.rcx, 0x77u);
  ExpectRefused({0xf0, 0x0f, 0x31});
}

TEST_F(InstructionTest, ReadTscp) {
  regs_.rcx = 0x77;
  ExpectDone({0x0f, 0x01, 0xf9});
  EXPECT_EQ(regs_.rcx, 0u);  // there is one processor
  EXPECT_NE(regs_.rax, 0u);
  ExpectRefused({0xf0, 0x0f, 0x01, 0xf9});
}

TEST_F(InstructionTest, Cpuid) {
  regs_.rax = 0xffffffff00000001;
  regs_.rcx = 0;
  ExpectDone({0x0f, 0xa2});
  EXPECT_EQ(regs_.rdx & 1, 1u);        // FPU
  EXPECT_EQ(regs_.rcx >> 5 & 1, 0u);   // VMX
  EXPECT_EQ(regs_.rcx >> 27 & 1, 0u);  // OSXSAVE
  EXPECT_EQ(regs_.rbx >> 32, 0u);
  sregs_.cr4 = 1 << 18;
  regs_.rax = 1;
  ExpectDone({0x0f, 0xa2});
  EXPECT_EQ(regs_.rcx >> 27 & 1, 1u);
  // What is not on the list is nothing: virtualisation, KVM's own leaves.
  for (const uint32_t leaf : {2u, 4u, 0xau, 0x40000000u, 0x8000000au}) {
    regs_.rax = leaf;
    regs_.rcx = 0;
    ExpectDone({0x0f, 0xa2});
    EXPECT_EQ(regs_.rax | regs_.rbx | regs_.rcx | regs_.rdx, 0u) << leaf;
  }
  ExpectRefused({0xf0, 0x0f, 0xa2});
}

TEST_F(InstructionTest, SwapGs) {
  regs_.rcx = kOtherGsBase;
  regs_.rax = 0x6000;
  regs_.rdx = 0;
  ExpectDone({0x0f, 0x30});
  sregs_.gs.base = 0x5000;
  ExpectDone({0x0f, 0x01, 0xf8});
  EXPECT_EQ(sregs_.gs.base, 0x6000u);
  EXPECT_EQ(emulator_.tables().other_gs_base, 0x5000u);
  ExpectDone({0x0f, 0x32});
  EXPECT_EQ(regs_.rax, 0x5000u);
  ExpectRefused({0xf0, 0x0f, 0x01, 0xf8});
  // A snapshot is not believed to hold a good one.
  Emulator::Tables tables = emulator_.tables();
  tables.other_gs_base = kCanonicalEnd;
  emulator_.SetTables(tables);
  EXPECT_EQ(emulator_.tables().other_gs_base, 0u);
}

TEST_F(InstructionTest, FromMemoryOnly) {
  for (const uint64_t rip : {uint64_t{0}, uint64_t{0xfff}, kSize, kSize + 1,
                             kCanonicalEnd, ~uint64_t{0}}) {
    regs_.rip = rip;
    EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Outcome::kRefuse);
    EXPECT_EQ(regs_.rip, rip);
  }
  // The last two bytes of memory are enough for this one.
  Put(kSize - 2, uint16_t{0xa20f});
  regs_.rip = kSize - 2;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Outcome::kDone);
  EXPECT_EQ(regs_.rip, kSize);
  Put(kSize - 2, uint16_t{0x0f90});
  regs_.rip = kSize - 1;
  EXPECT_EQ(emulator_.Step(&regs_, &sregs_, &io_), Outcome::kRefuse);
}

}  // namespace
}  // namespace serai::tender::hvt
