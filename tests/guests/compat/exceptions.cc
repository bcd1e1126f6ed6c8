// SPDX-License-Identifier: Apache-2.0
// Exceptions (hvt) that arrive at handlers of the guest's own, which come back
// from them with iretq.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/checks.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

// traps.S
extern "C" char serai_guest_trap_stubs[];

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr OptionSpec kOptions[] = {
    {"emulated",
     "leave out what QEMU's own processor does not do: int1, stack faults"},
};

constexpr size_t kVectors = 32;
constexpr uint64_t kOwnStack = 1;
constexpr uint64_t kTrapFlag = 0x100;
constexpr uint64_t kDirectionFlag = 0x400;
constexpr uint64_t kArithmeticFlags = 0x8d5;

enum Vector : uint64_t {
  kDivide = 0,
  kDebug = 1,
  kBreakpoint = 3,
  kOverflow = 4,
  kUndefined = 6,
  kStackFault = 12,
  kProtection = 13,
  kPageFault = 14,
};

Checks checks;

// What the last exception was, and how many there were.
TrapFrame last;
uint64_t frame_address;
volatile uint64_t count;
// By how much the handler moves RIP.
uint64_t skip;

template <typename T>
uint64_t Address(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

bool Handle(TrapFrame& frame) {
  last = frame;
  frame_address = Address(&frame);
  count = count + 1;
  frame.rip += skip;
  frame.rflags &= ~kTrapFlag;
  return true;
}

unsigned Level() {
  uint32_t selector;
  asm volatile("movl %%cs, %0" : "=r"(selector));
  return selector & 3;
}

// That exactly one exception came, this one, and the handler came back.
void Arrived(std::string_view name, uint64_t vector, uint64_t error,
             uint64_t before) {
  checks.Check(
      name, count == before + 1 && last.vector == vector && last.error == error,
      "count ", count - before, " vector ", last.vector, " error ",
      Hex{last.error});
}

// `text` ends in an instruction of `bytes` bytes that the handler is to skip.
#define EXPECT_TRAP(name, vector, error, bytes, text, ...)             \
  do {                                                                 \
    const uint64_t before = count;                                     \
    skip = bytes;                                                      \
    asm volatile(text : : __VA_ARGS__ : "rax", "rdx", "memory", "cc"); \
    Arrived(name, vector, error, before);                              \
  } while (false)

void CheckEach() {
  EXPECT_TRAP("divide", kDivide, 0, 2,
              "xorl %%edx, %%edx; xorl %%eax, %%eax; divl %%eax", "r"(0L));
  EXPECT_TRAP("undefined", kUndefined, 0, 2, "ud2", "r"(0L));
  EXPECT_TRAP("breakpoint", kBreakpoint, 0, 0, "int3", "r"(0L));
  EXPECT_TRAP("breakpoint-int", kBreakpoint, 0, 0, ".byte 0xcd, 3", "r"(0L));
  EXPECT_TRAP("overflow-int", kOverflow, 0, 0, "int $4", "r"(0L));
  EXPECT_TRAP("protection", kProtection, 0, 3, "movq (%%rbx), %%rax",
              "b"(uint64_t{1} << 63));
  // User and present bits are those of the level.
  const uint64_t user = Level() == 3 ? 4 : 0;
  EXPECT_TRAP("page-fault-read", kPageFault, user, 3, "movq (%%rbx), %%rax",
              "b"(uint64_t{0x128}));
  EXPECT_TRAP("page-fault-write", kPageFault, user | 2, 3,
              "movq %%rax, (%%rbx)", "b"(uint64_t{0x128}));
  EXPECT_TRAP("page-fault-beyond", kPageFault, user, 3, "movq (%%rbx), %%rax",
              "b"(MemorySize()));
}

void CheckRareOnes() {
  EXPECT_TRAP("debug-int1", kDebug, 0, 0, ".byte 0xf1", "r"(0L));
  EXPECT_TRAP("stack-fault", kStackFault, 0, 5, "movq 0(%%rbp, %%rbx), %%rax",
              "b"(uint64_t{1} << 63));
}

// A single step: the flag is set, one instruction runs, the exception comes.
void CheckSingleStep() {
  const uint64_t before = count;
  skip = 0;
  uint64_t after;
  asm volatile(
      "pushfq\n\t"
      "orq $0x100, (%%rsp)\n\t"
      "popfq\n\t"
      "nop\n\t"
      "leaq (%%rip), %0"
      : "=r"(after)
      :
      : "memory", "cc");
  Arrived("single-step", kDebug, 0, before);
  checks.Check("single-step-place", last.rip < after && last.rip >= after - 8,
               Hex{last.rip});
}

// The handler sends the faulting instruction back with a better address.
bool Repair(TrapFrame& frame) {
  count = count + 1;
  static uint64_t good = 0x600d;
  frame.rbx = Address(&good);
  return true;
}

void CheckRetry() {
  SetTrapHandler(Repair);
  const uint64_t before = count;
  uint64_t value;
  asm volatile("movq (%%rbx), %0" : "=r"(value) : "b"(uint64_t{8}) : "memory");
  checks.Check("retry-after-page-fault", count == before + 1 && value == 0x600d,
               Hex{value});
  SetTrapHandler(Handle);
}

// Jumps to where nothing is; the handler returns to the caller.
bool ReturnToCaller(TrapFrame& frame) {
  last = frame;
  count = count + 1;
  __builtin_memcpy(&frame.rip, reinterpret_cast<const void*>(frame.rsp),
                   sizeof(frame.rip));
  frame.rsp += sizeof(frame.rip);
  return true;
}

void CheckFetch() {
  SetTrapHandler(ReturnToCaller);
  const uint64_t before = count;
  asm volatile("call *%0" : : "r"(uint64_t{0x400}) : "memory", "cc");
  checks.Check("page-fault-fetch",
               count == before + 1 && last.vector == kPageFault &&
                   last.rip == 0x400 && (last.error & 3) == 0,
               last.vector, " ", Hex{last.error});
  SetTrapHandler(Handle);
}

void CheckRegisters() {
  skip = 2;
  uint64_t wrong = 0;
  uint64_t flags = 0;
  // Each register that can be told from the others over the exception.
  asm volatile(
      "movq $0x101, %%rbx\n\t"
      "movq $0x102, %%rsi\n\t"
      "movq $0x103, %%rdi\n\t"
      "movq $0x108, %%r8\n\t"
      "movq $0x109, %%r9\n\t"
      "movq $0x10a, %%r10\n\t"
      "movq $0x10b, %%r11\n\t"
      "movq $0x10c, %%r12\n\t"
      "movq $0x10d, %%r13\n\t"
      "movq $0x10e, %%r14\n\t"
      "movq $0x10f, %%r15\n\t"
      "pushq %[flags]\n\t"
      "popfq\n\t"
      "ud2\n\t"
      "pushfq\n\t"
      "popq %%rax\n\t"
      "xorq $0x101, %%rbx; orq %%rbx, %[wrong]\n\t"
      "xorq $0x102, %%rsi; orq %%rsi, %[wrong]\n\t"
      "xorq $0x103, %%rdi; orq %%rdi, %[wrong]\n\t"
      "xorq $0x108, %%r8; orq %%r8, %[wrong]\n\t"
      "xorq $0x109, %%r9; orq %%r9, %[wrong]\n\t"
      "xorq $0x10a, %%r10; orq %%r10, %[wrong]\n\t"
      "xorq $0x10b, %%r11; orq %%r11, %[wrong]\n\t"
      "xorq $0x10c, %%r12; orq %%r12, %[wrong]\n\t"
      "xorq $0x10d, %%r13; orq %%r13, %[wrong]\n\t"
      "xorq $0x10e, %%r14; orq %%r14, %[wrong]\n\t"
      "xorq $0x10f, %%r15; orq %%r15, %[wrong]\n\t"
      "cld"
      : [wrong] "+c"(wrong), "=a"(flags)
      : [flags] "d"(kArithmeticFlags | kDirectionFlag | 2)
      : "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
        "r15", "memory", "cc");
  checks.Equal("registers-kept", wrong, uint64_t{0});
  checks.Equal("flags-kept", flags & (kArithmeticFlags | kDirectionFlag),
               kArithmeticFlags | kDirectionFlag);
  checks.Check("flags-told",
               (last.rflags & (kArithmeticFlags | kDirectionFlag)) ==
                   (kArithmeticFlags | kDirectionFlag),
               Hex{last.rflags});
}

void CheckFrame() {
  skip = 2;
  uint64_t stack;
  asm volatile("movq %%rsp, %0; ud2" : "=r"(stack) : : "memory");
  checks.Equal("frame-rsp", last.rsp, stack);
  checks.Check("frame-selectors", last.cs != 0 && (last.ss & ~7u) != 0, last.cs,
               " ", last.ss);
  const uint64_t distance =
      frame_address > stack ? frame_address - stack : stack - frame_address;
  checks.Check("interrupt-stack", distance > 4096, distance);
  checks.Equal("frame-aligned", (frame_address + sizeof(TrapFrame)) & 15,
               uint64_t{0});
}

struct Gate {
  uint64_t low;
  uint64_t high;
};
alignas(16) Gate idt[kVectors];

struct [[gnu::packed]] TableRegister {
  uint16_t limit;
  uint64_t base;
};

void LoadIdt(uint64_t stack_index) {
  for (size_t vector = 0; vector < kVectors; ++vector) {
    const uint64_t handler = Address(serai_guest_trap_stubs) + vector * 16;
    idt[vector].low = (handler & 0xffff) | uint64_t{8} << 16 |
                      stack_index << 32 | uint64_t{0x8e} << 40 |
                      (handler >> 16 & 0xffff) << 48;
    idt[vector].high = handler >> 32;
  }
  const TableRegister table = {sizeof(idt) - 1, Address(idt)};
  asm volatile("lidt %0" : : "m"(table) : "memory");
}

unsigned depth;

// Faults again until it is five deep.
bool Nest(TrapFrame& frame) {
  count = count + 1;
  if (frame.vector != kBreakpoint) frame.rip += 2;
  if (++depth < 5) {
    if (depth % 2 == 0) {
      asm volatile("ud2" : : : "memory");
    } else {
      asm volatile("int3" : : : "memory");
    }
  }
  --depth;
  return true;
}

// Handlers on the stack in use, which is how they nest.
void CheckNested() {
  LoadIdt(0);
  SetTrapHandler(Handle);
  skip = 2;
  uint64_t stack;
  asm volatile("movq %%rsp, %0; ud2" : "=r"(stack) : : "memory");
  checks.Check("same-stack",
               stack > frame_address && stack - frame_address < 1024,
               stack - frame_address);
  // From a stack that is not aligned the frame is still.
  asm volatile("pushq $0; ud2; popq %%rax" : : : "rax", "memory");
  checks.Equal("same-stack-aligned", (frame_address + sizeof(TrapFrame)) & 15,
               uint64_t{0});
  SetTrapHandler(Nest);
  const uint64_t before = count;
  asm volatile("ud2" : : : "memory");
  checks.Check("nested", count == before + 5 && depth == 0, count - before);
  LoadIdt(kOwnStack);
  SetTrapHandler(Handle);
}

void CheckMany() {
  constexpr int kMany = 200;
  const uint64_t before = count;
  skip = 2;
  for (int i = 0; i < kMany; ++i) asm volatile("ud2" : : : "memory");
  checks.Equal("many", count - before, uint64_t{kMany});
}

}  // namespace

int Main() {
  const Options options("exceptions", kOptions);
  SetTrapHandler(Handle);
  CheckEach();
  if (!options.Flag("emulated")) CheckRareOnes();
  CheckSingleStep();
  CheckRetry();
  CheckFetch();
  CheckRegisters();
  CheckFrame();
  CheckNested();
  CheckMany();
  return checks.Finish();
}

}  // namespace serai::guest
