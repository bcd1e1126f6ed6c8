// SPDX-License-Identifier: Apache-2.0
// What runs of the tender beside a guest. Nothing else is mapped then: no C
// library, no thread-local data, nothing that would have to be relocated. See
// stub.h.

#include "tender/spt/stub.h"

#include <asm/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <ctime>
#include <string_view>

extern "C" {
// The entry points, at the offsets that stub.h names.
[[gnu::visibility("hidden")]] extern char serai_stub_begin[];
[[noreturn, gnu::used]] void serai_stub_enter();
[[noreturn, gnu::used]] void serai_stub_handle(int number,
                                               const siginfo_t* info,
                                               const ucontext_t* context);
}
// A guest's flags are not to disturb the handler: it may have asked for faults
// at every unaligned access.
asm(R"(
  .section .head, "ax", @progbits
  .globl serai_stub_begin
serai_stub_begin:
  mov %rdi, %rsp
  call serai_stub_enter
  .org serai_stub_begin + 16
  pushq $2
  popfq
  push %rax
  call serai_stub_handle
  .org serai_stub_begin + 32
serai_stub_call:
  syscall
  ret
  .previous
)");

namespace serai::tender::spt {
namespace {

// Their lengths are known without a strlen().
using namespace std::string_view_literals;

constexpr int kAbortStatus = 255;
// For a reader that is only slow, as in report.cc.
constexpr long kPatience = 100'000'000;  // ns
constexpr uint64_t kPageSize = 4096;

const StubState& State() {
  return *reinterpret_cast<const StubState*>(serai_stub_begin +
                                             kStubStateOffset);
}

template <typename T>
uint64_t Address(const T* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

// By the one instruction to which the filter allows it. The call pushes a
// return address: compiled without a red zone.
long Call(long number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
  long result;
  register uint64_t d asm("r10") = 0;
  asm volatile("call serai_stub_call"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d)
               : "rcx", "r11", "memory", "cc");
  return result;
}

[[noreturn]] void Exit(int status) {
  for (;;) Call(SYS_exit_group, static_cast<uint64_t>(status));
}

// Whether its reader takes a line: an end does not wait for somebody who does
// not read. A pipe or socket that has room at all has it for one.
bool Takes(int fd) {
  pollfd ready = {fd, POLLOUT, 0};
  // Not poll(): that, once stopped and continued, is another system call.
  timespec patience = {0, kPatience};
  return Call(SYS_ppoll, Address(&ready), 1, Address(&patience)) > 0;
}

// One line. Line (line.h) would not fit the page.
class Text {
 public:
  Text& Add(std::string_view text) {
    for (const char c : text) {
      if (size_ == sizeof(buffer_)) break;
      buffer_[size_++] = c;
    }
    return *this;
  }
  Text& AddDecimal(int64_t number) {
    if (number < 0) Add("-"sv);
    return AddDigits(Magnitude(number), 10);
  }
  Text& AddHex(uint64_t number) { return Add("0x"sv).AddDigits(number, 16); }

  // In one piece, so that the lines of several tenders do not mix.
  void WriteTo(int fd) const {
    if (Takes(fd))
      Call(SYS_write, static_cast<uint64_t>(fd), Address(buffer_), size_);
  }

 private:
  static uint64_t Magnitude(int64_t number) {
    const auto bits = static_cast<uint64_t>(number);
    return number < 0 ? -bits : bits;
  }
  [[gnu::noinline]] Text& AddDigits(uint64_t number, uint64_t base) {
    char digits[20];
    size_t first = sizeof(digits);
    do {
      const auto digit = static_cast<char>(number % base);
      digits[--first] =
          static_cast<char>(digit < 10 ? '0' + digit : 'a' + (digit - 10));
      number /= base;
    } while (number != 0);
    return Add({digits + first, sizeof(digits) - first});
  }

  char buffer_[256];
  size_t size_ = 0;
};

// The beginning of a line for people.
void Begin(Text* message) {
  message->Add({State().name, State().name_length}).Add(": "sv);
}

// The end of it.
void Say(Text* message) { message->Add("\n"sv).WriteTo(STDERR_FILENO); }

// The beginning of a line for the program that started the tender.
void BeginStatus(std::string_view end, int status, Text* line) {
  line->Add("{\"end\":\""sv).Add(end);
  line->Add("\",\"status\":"sv).AddDecimal(status);
}

void AddAddress(std::string_view name, uint64_t value, Text* line) {
  line->Add(",\""sv).Add(name).Add("\":\""sv).AddHex(value).Add("\""sv);
}

// The end of it; to nobody where nobody wants it.
void TellStatus(Text* line) {
  line->Add("}\n"sv);
  if (State().status_fd >= 0) line->WriteTo(State().status_fd);
}

// A mapping that is sealed (the vdso of some systems) makes the kernel refuse
// a range whole. What is around it goes all the same.
void Unmap(uint64_t begin, uint64_t end) {
  if (begin >= end || Call(SYS_munmap, begin, end - begin) == 0) return;
  const uint64_t half = (end - begin) / 2 / kPageSize * kPageSize;
  if (half == 0) return;
  Unmap(begin, begin + half);
  Unmap(begin + half, end);
}

void ApplyFilter() {
  sock_fprog program = {};
  program.len = static_cast<unsigned short>(State().filter_length);
  // The kernel only reads it.
  program.filter =
      reinterpret_cast<sock_filter*>(const_cast<uint64_t*>(State().filter()));
  const long error =
      Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, Address(&program));
  if (error == 0) return;
  Text message;
  Begin(&message);
  message.Add("seccomp: error "sv).AddDecimal(-error);
  Say(&message);
  Text line;
  BeginStatus("failure"sv, 1, &line);
  line.Add(",\"message\":\"seccomp failed\""sv);
  TellStatus(&line);
  Exit(1);
}

// With no register holding anything that the guest does not know.
[[noreturn]] void Jump() {
  asm volatile("fxrstor64 %0" : : "m"(State().registers));
  asm volatile(
      "mov %[stack], %%rsp\n\t"
      "xor %%ebx, %%ebx\n\t"
      "xor %%ecx, %%ecx\n\t"
      "xor %%edx, %%edx\n\t"
      "xor %%esi, %%esi\n\t"
      "xor %%ebp, %%ebp\n\t"
      "xor %%r8d, %%r8d\n\t"
      "xor %%r9d, %%r9d\n\t"
      "xor %%r10d, %%r10d\n\t"
      "xor %%r11d, %%r11d\n\t"
      "xor %%r12d, %%r12d\n\t"
      "xor %%r13d, %%r13d\n\t"
      "xor %%r14d, %%r14d\n\t"
      "xor %%r15d, %%r15d\n\t"
      "cld\n\t"
      "jmp *%%rax"
      :
      : "a"(State().guest_entry), [stack] "c"(State().guest_stack),
        "D"(State().boot_info)
      : "memory");
  __builtin_unreachable();
}

// Ends the process by the signal that is being handled. That is blocked now,
// and what cannot wait and is blocked kills, also the first process of a PID
// namespace.
[[noreturn]] void Die(int number) {
  constexpr uint64_t kNoAddress = uint64_t{1} << 63;
  switch (number) {
    case SIGILL:
      asm volatile("ud2");
      break;
    case SIGFPE:
      asm volatile("div %0" : : "r"(0), "a"(0), "d"(0) : "cc");
      break;
    case SIGTRAP:
      asm volatile("int3");
      break;
    case SIGBUS:  // an address that is none, by a register of the stack's
      asm volatile("mov %0, %%rsp\n\tpop %0" : : "r"(kNoAddress) : "memory");
      break;
    case SIGSYS:  // the policy kills for it
      Call(SYS_rt_sigreturn);
      break;
    default:
      break;
  }
  for (;;) asm volatile("hlt");  // SIGSEGV
}

std::string_view NameOf(int signal_number) {
  static constexpr struct {
    int number;
    char name[8];
  } kNames[] = {{SIGSEGV, "SIGSEGV"},
                {SIGBUS, "SIGBUS"},
                {SIGILL, "SIGILL"},
                {SIGFPE, "SIGFPE"},
                {SIGTRAP, "SIGTRAP"}};
  for (const auto& one : kNames) {
    if (one.number != signal_number) continue;
    size_t length = 0;
    while (length < sizeof(one.name) && one.name[length] != '\0') ++length;
    return {one.name, length};
  }
  return "a signal"sv;
}

void SayFault(int number, uint64_t address, uint64_t rip) {
  Text line;
  BeginStatus("fault"sv, 128 + number, &line);
  line.Add(",\"signal\":"sv).AddDecimal(number);
  AddAddress("address"sv, address, &line);
  AddAddress("rip"sv, rip, &line);
  TellStatus(&line);
  Text message;
  Begin(&message);
  message.Add("the guest died of "sv).Add(NameOf(number));
  message.Add(": address="sv).AddHex(address).Add(", rip="sv).AddHex(rip);
  Say(&message);
}

void SayForbiddenCall(int call, uint64_t rip) {
  Text line;
  BeginStatus("seccomp"sv, 128 + SIGSYS, &line);
  line.Add(",\"syscall\":"sv).AddDecimal(call);
  AddAddress("rip"sv, rip, &line);
  TellStatus(&line);
  Text message;
  Begin(&message);
  message.Add("the guest made a forbidden system call: number="sv);
  message.AddDecimal(call).Add(", rip="sv).AddHex(rip);
  Say(&message);
}

// The guest called exit_group(), and the policy would have it told.
[[noreturn]] void EndWithStatus(int status) {
  const bool aborted = status == kAbortStatus;
  Text line;
  BeginStatus(aborted ? "abort"sv : "exit"sv, status, &line);
  TellStatus(&line);
  if (aborted) {
    Text message;
    Begin(&message);
    message.Add("the guest aborted"sv);
    Say(&message);
  }
  // The kernel reports the low 8 bits. No failure becomes a success by that.
  const int reported = status & 0xff;
  Exit(reported == 0 && status != 0 ? kAbortStatus : reported);
}

[[noreturn]] void EndWithSignal(int number) {
  Text line;
  BeginStatus("signal"sv, 128 + number, &line);
  line.Add(",\"signal\":"sv).AddDecimal(number);
  TellStatus(&line);
  Exit(128 + number);
}

}  // namespace
}  // namespace serai::tender::spt

using namespace serai::tender::spt;

void serai_stub_enter() {
  const uint64_t begin = Address(serai_stub_begin);
  Call(SYS_arch_prctl, ARCH_SET_FS, 0);
  Unmap(State().guest_end, begin);
  Unmap(begin + kStubSize, kUserEnd);
  ApplyFilter();
  Jump();
}

void serai_stub_handle(int number, const siginfo_t* info,
                       const ucontext_t* context) {
  if (number == SIGTERM || number == SIGINT) EndWithSignal(number);
  const greg_t* const registers = context->uc_mcontext.gregs;
  const auto rip = static_cast<uint64_t>(registers[REG_RIP]);
  if (info->si_code <= 0) Die(number);  // some process sent it
  if (number != SIGSYS) {
    SayFault(number, Address(static_cast<const char*>(info->si_addr)), rip);
  } else if (info->si_syscall == SYS_exit_group) {
    EndWithStatus(static_cast<int>(registers[REG_RDI]));
  } else {
    SayForbiddenCall(info->si_syscall, rip);
  }
  Die(number);
}
