// SPDX-License-Identifier: Apache-2.0
// Does (hvt) what a guest built for level 0 does at its start and later: each
// privileged instruction for real, with what comes of it.

#include "tests/guests/runtime/checks.h"
#include "tests/guests/runtime/hvt/hypercall.h"
#include "tests/guests/runtime/hvt/try.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr uint32_t kFsBase = 0xc0000100;
constexpr uint32_t kGsBase = 0xc0000101;
constexpr uint32_t kKernelGsBase = 0xc0000102;
constexpr uint64_t kGeneralProtection = 13;
constexpr uint64_t kPageFault = 14;
constexpr uint64_t kData = 0x10;
constexpr uint64_t kCode = 0x08;
constexpr uint64_t kNonCanonical = uint64_t{1} << 63;

Checks checks;

alignas(64) uint64_t area[8];
alignas(64) uint64_t other_area[8];

template <typename T>
uint64_t Address(T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

unsigned Level() {
  uint32_t selector;
  asm volatile("movl %%cs, %0" : "=r"(selector));
  return selector & 3;
}

void WriteMsr(uint32_t number, uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(number), "a"(static_cast<uint32_t>(value)),
                 "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}

uint64_t ReadMsr(uint32_t number) {
  uint32_t low;
  uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
  return uint64_t{high} << 32 | low;
}

uint64_t ReadFs() {
  uint64_t value;
  asm volatile("movq %%fs:0, %0" : "=r"(value));
  return value;
}

uint64_t ReadGs() {
  uint64_t value;
  asm volatile("movq %%gs:0, %0" : "=r"(value));
  return value;
}

uint64_t Flags() {
  uint64_t flags;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  return flags;
}

// That `code` raises an exception at its own first instruction, which it does
// not get past. At level 0 the processor may think otherwise.
template <typename Code>
void Refused(std::string_view name, uint64_t vector, Code code) {
  if (Level() == 0) return;
  const auto trap = Try(code);
  checks.Check(name, trap.has_value() && trap->vector == vector,
               trap.has_value() ? trap->vector : 0);
}

void CheckSegmentBases() {
  area[0] = 0x1234;
  other_area[0] = 0x5678;
  const uint64_t before = ReadMsr(kFsBase);
  checks.Equal("rdmsr-fs-base", ReadFs(), before);
  WriteMsr(kFsBase, Address(area));
  const uint64_t through_fs = ReadFs();
  const uint64_t base = ReadMsr(kFsBase);
  // Loading a selector takes the base from its descriptor.
  asm volatile("movl %k0, %%fs" : : "r"(kData));
  const uint64_t loaded = ReadMsr(kFsBase);
  WriteMsr(kFsBase, before);
  checks.Equal("wrmsr-fs-base", through_fs, uint64_t{0x1234});
  checks.Equal("rdmsr-fs-base-again", base, Address(area));
  checks.Equal("mov-to-fs", loaded, uint64_t{0});

  WriteMsr(kGsBase, Address(area));
  WriteMsr(kKernelGsBase, Address(other_area));
  checks.Equal("wrmsr-gs-base", ReadGs(), uint64_t{0x1234});
  checks.Equal("rdmsr-gs-base", ReadMsr(kGsBase), Address(area));
  asm volatile("swapgs");
  checks.Equal("swapgs", ReadGs(), uint64_t{0x5678});
  checks.Equal("rdmsr-kernel-gs-base", ReadMsr(kKernelGsBase), Address(area));
  asm volatile("swapgs");
  checks.Equal("swapgs-back", ReadGs(), uint64_t{0x1234});
  asm volatile("movl %k0, %%gs" : : "r"(kData));
  checks.Equal("mov-to-gs", ReadMsr(kGsBase), uint64_t{0});
  Refused("wrmsr-efer-refused", kGeneralProtection,
          [] { WriteMsr(0xc0000080, 0x500); });
  Refused("wrmsr-noncanonical-refused", kGeneralProtection,
          [] { WriteMsr(kGsBase, kNonCanonical); });
  Refused("rdmsr-lstar-refused", kGeneralProtection,
          [] { ReadMsr(0xc0000082); });
}

void CheckSegmentRegisters() {
  const auto selector = static_cast<uint16_t>(kData);
  uint64_t pushed = 0;
  asm volatile(
      "movl %k1, %%ds; movl %k1, %%es; movl %k1, %%ss\n\t"
      "movw %2, %%ds; movw %2, %%es; movw %2, %%ss\n\t"
      "pushq $77; popq %0"
      : "=r"(pushed)
      : "r"(kData), "m"(selector)
      : "memory");
  checks.Equal("mov-to-ds-es-ss", pushed, uint64_t{77});
  uint32_t seen[3];
  asm volatile("movl %%ds, %0; movl %%es, %1; movl %%ss, %2"
               : "=r"(seen[0]), "=r"(seen[1]), "=r"(seen[2]));
  checks.Check("mov-from-ds-es-ss",
               seen[0] == seen[1] && (seen[2] & 3) == Level(), seen[0], " ",
               seen[1], " ", seen[2]);
}

struct [[gnu::packed]] TableRegister {
  uint16_t limit;
  uint64_t base;
};

// Null, code, data, and three task states: one that can be used, one that is
// busy, one that is not there.
alignas(16) uint64_t gdt[9];
uint8_t tasks[104];

void SetTask(int index, uint64_t type) {
  const uint64_t base = Address(tasks);
  gdt[index] = (sizeof(tasks) - 1) | (base & 0xffffff) << 16 | type << 40 |
               (base >> 24 & 0xff) << 56;
  gdt[index + 1] = base >> 32;
}

// The task state with this guest's interrupt stacks would be lost, so a stack
// of the same use goes into the new one.
alignas(16) uint8_t trap_stack[8192];

void LoadTask(uint64_t selector) {
  asm volatile("ltr %w0" : : "r"(selector) : "memory");
}

void CheckTables() {
  gdt[1] = 0x00af99000000ffff;
  gdt[2] = 0x00cf93000000ffff;
  SetTask(3, 0x89);
  SetTask(5, 0x8b);
  SetTask(7, 0x09);
  const uint64_t stack = Address(trap_stack) + sizeof(trap_stack);
  __builtin_memcpy(tasks + 0x24, &stack, sizeof(stack));
  const TableRegister table = {sizeof(gdt) - 1, Address(gdt)};
  // The same by each way of telling an address.
  asm volatile("lgdt %0" : : "m"(table) : "memory");
  asm volatile("lgdt (%0)" : : "r"(&table) : "memory");
  asm volatile("lgdt -8(%0)" : : "r"(Address(&table) + 8) : "memory");
  asm volatile("lgdt 256(%0,%1,8)"
               :
               : "r"(Address(&table) - 256 - 64), "r"(uint64_t{8})
               : "memory");
  checks.Check("lgdt", true);
  Refused("lgdt-null-refused", kGeneralProtection, [] {
    asm volatile("lgdt (%0)" : : "r"(uint64_t{0}) : "memory");
  });
  Refused("lidt-beyond-refused", kGeneralProtection, [] {
    asm volatile("lidt (%0)" : : "r"(MemorySize() - 9) : "memory");
  });
  Refused("ltr-null-refused", kGeneralProtection, [] { LoadTask(0); });
  Refused("ltr-data-refused", kGeneralProtection, [] { LoadTask(0x10); });
  Refused("ltr-busy-refused", kGeneralProtection, [] { LoadTask(0x28); });
  Refused("ltr-absent-refused", kGeneralProtection, [] { LoadTask(0x38); });
  Refused("ltr-beyond-refused", kGeneralProtection, [] { LoadTask(0x48); });
  LoadTask(0x18);
  const auto trap = Try([] { asm volatile("ud2"); });
  checks.Check("ltr", trap.has_value() && trap->vector == 6);
}

void CheckReturns() {
  uint64_t stack_before;
  uint64_t stack_after;
  asm volatile(
      "movq %%rsp, %[before]\n\t"
      "pushq %[code]\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "lretq\n\t"
      "ud2\n\t"
      "1: movq %%rsp, %[after]"
      : [before] "=&r"(stack_before), [after] "=&r"(stack_after)
      : [code] "i"(kCode)
      : "rax", "memory");
  checks.Equal("lretq", stack_after, stack_before);
  uint64_t flags;
  asm volatile(
      "movq %%rsp, %[before]\n\t"
      "pushq %[data]\n\t"
      "pushq %[before]\n\t"
      "pushq $0x8d7\n\t"  // all the flags of arithmetic
      "pushq %[code]\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "iretq\n\t"
      "ud2\n\t"
      "1: pushfq\n\t"
      "popq %[flags]\n\t"
      "movq %%rsp, %[after]"
      : [before] "=&r"(stack_before), [after] "=&r"(stack_after),
        [flags] "=&r"(flags)
      : [code] "i"(kCode), [data] "i"(kData)
      : "rax", "memory", "cc");
  checks.Equal("iretq-stack", stack_after, stack_before);
  checks.Equal("iretq-flags", flags & 0xcd7, uint64_t{0x8d7});
  if (Level() == 0) return;
  const auto far = Try([] {
    asm volatile("pushq $8; pushq %0; lretq" : : "r"(kNonCanonical) : "memory");
  });
  checks.Check("lretq-noncanonical-refused", far.has_value());
  const auto interrupt = Try([] {
    asm volatile(
        "movq %%rsp, %%rax\n\t"
        "pushq $0x10; pushq %%rax; pushfq; pushq $8; pushq %0\n\t"
        "iretq"
        :
        : "r"(kNonCanonical)
        : "rax", "memory");
  });
  checks.Check("iretq-noncanonical-refused", interrupt.has_value());
}

void CheckFlags() {
  constexpr uint64_t kInterruptFlag = 0x200;
  asm volatile("sti; nop; cli");
  checks.Check("sti-cli", true);
  const uint64_t flags = Flags();
  // At level 3 it depends on KVM; no guest looks at it.
  Print("iopl ", flags >> 12 & 3);
  // Carry, direction, AC and ID can be set and cleared.
  for (const uint64_t bit : {0x1UL, 0x400UL, 0x40000UL, 0x200000UL}) {
    uint64_t set;
    uint64_t cleared;
    asm volatile(
        "pushq %[with]; popfq; pushfq; popq %[set]\n\t"
        "pushq %[without]; popfq; pushfq; popq %[cleared]"
        : [set] "=&r"(set), [cleared] "=&r"(cleared)
        : [with] "r"(flags | bit), [without] "r"(flags & ~bit)
        : "memory", "cc");
    checks.Check("popf", (set & bit) != 0 && (cleared & bit) == 0, Hex{bit});
  }
  asm volatile("pushq %0; popfq"
               :
               : "r"(flags & ~kInterruptFlag)
               : "memory", "cc");
}

void CheckControlRegisters() {
  uint64_t value;
  asm volatile("movq %%cr0, %0" : "=r"(value));
  checks.Check("mov-from-cr0", (value & 0x80010021) == 0x80010021, Hex{value});
  asm volatile("movq %%cr4, %0" : "=r"(value));
  checks.Check("mov-from-cr4", (value & 0x620) == 0x620, Hex{value});
  const auto trap = Try([] {
    asm volatile("movb $1, (%0)" : : "r"(uint64_t{0x321}) : "memory");
  });
  asm volatile("movq %%cr2, %0" : "=r"(value));
  checks.Check("mov-from-cr2",
               trap.has_value() && trap->vector == kPageFault && value == 0x321,
               Hex{value});
  Refused("mov-from-cr3-refused", kGeneralProtection, [] {
    asm volatile("movq %%cr3, %%rax" : : : "rax");
  });
  Refused("mov-to-cr0-refused", kGeneralProtection, [] {
    asm volatile("movq %%cr0, %%rax; movq %%rax, %%cr0" : : : "rax");
  });
}

struct Leaf {
  uint32_t eax, ebx, ecx, edx;
};

Leaf Cpuid(uint32_t function, uint32_t index = 0) {
  Leaf leaf;
  asm volatile("cpuid"
               : "=a"(leaf.eax), "=b"(leaf.ebx), "=c"(leaf.ecx), "=d"(leaf.edx)
               : "a"(function), "c"(index));
  return leaf;
}

void CheckCpuid() {
  const Leaf vendor = Cpuid(0);
  checks.Check("cpuid-vendor",
               vendor.eax >= 1 && vendor.ebx != 0 && vendor.ecx != 0,
               vendor.eax);
  constexpr uint32_t kExpected =
      1 << 0 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 15 | 1 << 24 | 3 << 25;
  const Leaf features = Cpuid(1);
  checks.Check("cpuid-features", (features.edx & kExpected) == kExpected,
               Hex{features.edx});
  checks.Check("cpuid-hypervisor", (features.ecx >> 31) == 1,
               Hex{features.ecx});
  const Leaf extended = Cpuid(0x80000001);
  checks.Check("cpuid-long-mode", (extended.edx >> 29 & 1) == 1,
               Hex{extended.edx});
  checks.Check("cpuid-no-virtualisation",
               (features.ecx >> 5 & 1) == 0 && (extended.ecx >> 2 & 1) == 0);
  // The upper halves are cleared.
  uint64_t rax = ~uint64_t{0};
  asm volatile("cpuid" : "+a"(rax) : : "rbx", "rcx", "rdx");
  checks.Check("cpuid-clears", rax >> 32 == 0, Hex{rax});
}

uint64_t ReadTscp() {
  uint32_t low;
  uint32_t high;
  uint32_t processor;
  asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor));
  return uint64_t{high} << 32 | low;
}

void CheckTime() {
  uint64_t last = __builtin_ia32_rdtsc();
  bool rising = true;
  for (int i = 0; i < 20; ++i) {
    const uint64_t now = i % 2 == 0 ? ReadTscp() : __builtin_ia32_rdtsc();
    rising = rising && now >= last;
    last = now;
  }
  checks.Check("rdtsc-rdtscp", rising);
  const uint64_t before = MonotonicTime();
  Poll(5 * kMillisecond);
  const uint64_t slept = MonotonicTime() - before;
  checks.Check("rdtsc-rate", slept >= 4 * kMillisecond && slept < 5 * kSecond,
               slept);
}

// The hypercall of `out` with its operands behind prefixes that mean nothing.
void CheckPorts() {
  uint64_t time = 0;
  const auto address = static_cast<uint32_t>(Address(&time));
  asm volatile(".byte 0x2e, 0x3e, 0xef"  // out %eax, (%dx)
               :
               : "a"(address), "d"(Hypercall::kWallTime)
               : "memory");
  checks.Check("out-with-prefixes", time != 0);
  time = 0;
  asm volatile(".byte 0x48, 0xef"
               :
               : "a"(address), "d"(Hypercall::kWallTime)
               : "memory");
  checks.Check("out-with-rex", time != 0);
}

}  // namespace

int Main() {
  Print("level ", Level());
  CheckSegmentBases();
  CheckSegmentRegisters();
  CheckReturns();
  CheckFlags();
  CheckControlRegisters();
  CheckCpuid();
  CheckTime();
  CheckPorts();
  CheckTables();  // last, as it changes how exceptions arrive
  return checks.Finish();
}

}  // namespace serai::guest
