// SPDX-License-Identifier: Apache-2.0
// Attacks what is left of the tender in an spt guest's process. Where that is
// has to be found out by search, which takes minutes; here the test says it,
// by writing it into the guest's memory.

#include "tender/spt/stub.h"

#include <signal.h>
#include <sys/syscall.h>

#include "tests/guests/evil/evil.h"
#include "tests/guests/runtime/spt/system_call.h"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

namespace spt = tender::spt;

constexpr OptionSpec kOptions[] = {kHowOption};
constexpr uint64_t kCallSize = 2;  // of a system call instruction
constexpr uint64_t kSomewhere = 0x7000'0000'0000;

volatile uint64_t stub;

template <typename T>
long Address(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// A system call by the stub's own instruction, which returns here.
long CallByStub(long number, long a = 0, long b = 0, long c = 0) {
  long result;
  asm volatile("call *%[to]"
               : "=a"(result)
               : [to] "r"(stub + spt::kStubCall - kCallSize), "a"(number),
                 "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}

void Tell(long result) { Print("evil: result ", result); }

void Fill(uint64_t from, uint64_t size) {
  __builtin_memset(reinterpret_cast<void*>(from), 0xff, size);
}

// A forbidden system call with the stack pointer at `stack`.
void CallWithStack(uint64_t stack) {
  asm volatile("mov %0, %%rsp\n\tsyscall\n\thlt"
               :
               : "r"(stack), "a"(long{SYS_getpid})
               : "rcx", "r11", "memory");
}

uint64_t SignalStack() { return stub + spt::kStubCodeSize; }

constexpr Way kWays[] = {
    {"read", [] { Print("evil: read ", uint64_t{LoadByte(stub)}); }},
    {"write-code", [] { StoreByte(stub); }},
    {"execute-stack", [] { Jump(SignalStack()); }},
    {"below", [] { LoadByte(stub - 1); }},
    {"behind", [] { LoadByte(stub + spt::kStubSize); }},
    // Its entry points.
    {"enter",
     [] {
       asm volatile("jmp *%0"
                    :
                    : "r"(stub + spt::kStubEnter),
                      "D"(stub + spt::kStubStateOffset)
                    : "memory");
     }},
    {"handle", [] { Jump(stub + spt::kStubHandle); }},
    {"handle-request",
     [] {
       asm volatile("jmp *%0"
                    :
                    : "r"(stub + spt::kStubHandle), "D"(long{SIGTERM})
                    : "memory");
     }},
    // Its system call.
    {"call-open", [] { Tell(CallByStub(SYS_open)); }},
    {"call-unmap", [] { Tell(CallByStub(SYS_munmap, 0x100000, 4096)); }},
    {"call-filter", [] { Tell(CallByStub(SYS_seccomp, 1)); }},
    {"call-return", [] { Tell(CallByStub(SYS_rt_sigreturn)); }},
    {"call-exit", [] { CallByStub(SYS_exit_group, 256); }},
    {"call-write",
     [] {
       static constexpr char kLie[] = "a lie\n";
       Tell(CallByStub(SYS_write, 2, Address(kLie), sizeof(kLie) - 1));
     }},
    {"call-write-other",
     [] { Tell(CallByStub(SYS_write, 3, Address(&stub), 1)); }},
    // Its memory, and then a fault, a forbidden call, a wait for SIGTERM.
    {"spoil-fault",
     [] {
       Fill(SignalStack(), spt::kStubSize - spt::kStubCodeSize);
       LoadByte(kSomewhere);
     }},
    {"spoil-call",
     [] {
       Fill(SignalStack(), spt::kStubSize - spt::kStubCodeSize);
       Tell(SystemCall(SYS_getpid));
     }},
    {"spoil-wait",
     [] {
       Fill(SignalStack(), spt::kStubSize - spt::kStubCodeSize);
       Print("evil: waiting");
       for (;;) asm volatile("pause");
     }},
    // Its stack as the guest's own.
    {"stack-top", [] { CallWithStack(SignalStack() + spt::kStubStackSize); }},
    {"stack-middle",
     [] { CallWithStack(SignalStack() + spt::kStubStackSize / 2); }},
    {"stack-bottom", [] { CallWithStack(SignalStack() + 64); }},
    {"stack-nowhere", [] { CallWithStack(kSomewhere); }},
};

}  // namespace

int Main() {
  const Options options("evil_stub", kOptions);
  Print("evil: tell at ", static_cast<uint64_t>(Address(&stub)));
  while (stub == 0) asm volatile("pause");
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
