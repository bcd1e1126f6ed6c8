// SPDX-License-Identifier: Apache-2.0
#include "tender/filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/report.h"

#if !defined(__x86_64__)
#error "the tender's system-call filter is written for x86_64 only"
#endif

namespace serai::tender {
namespace {

constexpr uint32_t kArchOffset = offsetof(seccomp_data, arch);
constexpr uint32_t kNumberOffset = offsetof(seccomp_data, nr);

constexpr uint32_t LowOffset(int index) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) +
         static_cast<uint32_t>(index) * 8;
}
constexpr uint32_t HighOffset(int index) { return LowOffset(index) + 4; }

constexpr size_t kTestSize[] = {4, 5};  // by Argument::Test

constexpr size_t TestSize(const Argument& argument) {
  return kTestSize[static_cast<size_t>(argument.test)];
}

}  // namespace

Filter::Filter() {
  // A program of another architecture's system calls has other numbers.
  Add(BPF_LD | BPF_W | BPF_ABS, kArchOffset, 0, 0);
  Add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  Add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
}

void Filter::Allow(long number, std::initializer_list<Argument> arguments) {
  AddRule(number, arguments, SECCOMP_RET_ALLOW);
}

void Filter::Refuse(long number, int error,
                    std::initializer_list<Argument> arguments) {
  AddRule(number, arguments, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
}

void Filter::Add(uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false) {
  if (size_ == kMaxProgram) Fatal("seccomp: too many rules");
  program_[size_++] = {code, if_true, if_false, k};
}

// `left` is how many instructions of the rule follow the test: where it fails,
// they are jumped over.
void Filter::AddTest(const Argument& argument, size_t left) {
  const auto low = static_cast<uint32_t>(argument.value);
  const auto high = static_cast<uint32_t>(argument.value >> 32);
  const auto skip = static_cast<uint8_t>(left);
  if (argument.test == Argument::Test::kEquals) {
    Add(BPF_LD | BPF_W | BPF_ABS, HighOffset(argument.index), 0, 0);
    Add(BPF_JMP | BPF_JEQ | BPF_K, high, 0, static_cast<uint8_t>(skip + 2));
    Add(BPF_LD | BPF_W | BPF_ABS, LowOffset(argument.index), 0, 0);
    Add(BPF_JMP | BPF_JEQ | BPF_K, low, 0, skip);
  } else {
    Add(BPF_LD | BPF_W | BPF_ABS, HighOffset(argument.index), 0, 0);
    Add(BPF_JMP | BPF_JGT | BPF_K, high, static_cast<uint8_t>(skip + 3), 0);
    Add(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2);
    Add(BPF_LD | BPF_W | BPF_ABS, LowOffset(argument.index), 0, 0);
    Add(BPF_JMP | BPF_JGT | BPF_K, low, skip, 0);
  }
}

void Filter::AddRule(long number, std::initializer_list<Argument> arguments,
                     uint32_t verdict) {
  size_t left = 1;  // the verdict
  for (const Argument& argument : arguments) left += TestSize(argument);
  Add(BPF_LD | BPF_W | BPF_ABS, kNumberOffset, 0, 0);
  Add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0,
      static_cast<uint8_t>(left));
  for (const Argument& argument : arguments) {
    left -= TestSize(argument);
    AddTest(argument, left);
  }
  Add(BPF_RET | BPF_K, verdict, 0, 0);
}

std::span<const sock_filter> Filter::Program() {
  if (!ended_) Add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
  ended_ = true;
  return {program_.data(), size_};
}

void Filter::Install() {
  const std::span<const sock_filter> program = Program();
  sock_fprog description = {};
  description.len = static_cast<unsigned short>(program.size());
  description.filter = program_.data();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fatal("prctl(PR_SET_NO_NEW_PRIVS): %s", std::strerror(errno));
  }
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &description) != 0) {
    Fatal("seccomp: %s", std::strerror(errno));
  }
}

}  // namespace serai::tender
