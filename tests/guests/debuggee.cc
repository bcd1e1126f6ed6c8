// SPDX-License-Identifier: Apache-2.0
// Something to look at with a debugger: compiled for one, with functions and
// variables of names that a test can give it.

#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"

extern "C" {

volatile uint64_t debuggee_total;
volatile uint64_t debuggee_status;

void debuggee_add(uint64_t amount) {
  const uint64_t before = debuggee_total;
  debuggee_total = before + amount;
}

void debuggee_store(volatile uint64_t* at) { *at = 1; }

void debuggee_fail(volatile uint64_t* at) { debuggee_store(at); }

// The flags before and after some instructions that show them, or that the
// processor leaves to the tender. Each is one step.
uint64_t debuggee_flags() {
  uint64_t seen = 0;
  asm volatile(
      ".globl debuggee_first_step, debuggee_last_step\n"
      "debuggee_first_step:\n"
      "pushfq\n"
      "popq %%rdx\n"
      "orq %%rdx, %0\n"
      "pushq %%rdx\n"
      "popfq\n"
      "movl $0xc0000100, %%ecx\n"
      "rdmsr\n"
      "cli\n"
      "pushfq\n"
      "popq %%rdx\n"
      "orq %%rdx, %0\n"
      "debuggee_last_step: nop\n"
      : "+r"(seen)
      :
      : "rax", "rcx", "rdx", "cc", "memory");
  return seen;
}

}  // extern "C"

namespace serai::guest {

SERAI_GUEST_DEVICES();

namespace {

constexpr uint64_t kTrapFlag = 0x100;
constexpr uint64_t kBreakpoint = 3;

constexpr OptionSpec kOptions[] = {
    {"do", "add, fail, abort, flags, spin or sleep; add unless given"},
};

uint64_t own_breakpoints;

bool OnTrap(TrapFrame& frame) {
  if ((frame.rflags & kTrapFlag) != 0) Exit(3);
  if (frame.vector != kBreakpoint) return false;
  ++own_breakpoints;
  return true;
}

int Add() {
  for (uint64_t amount = 1; amount <= 4; ++amount) debuggee_add(amount);
  Print("debuggee: total ", uint64_t{debuggee_total});
  return static_cast<int>(debuggee_status);
}

// A debugger must not show, and must leave breakpoints that are not its own.
int Flags() {
  SetTrapHandler(OnTrap);
  const uint64_t flags = debuggee_flags();
  asm volatile("int3");
  asm volatile("int3");
  Print("debuggee: breakpoints ", own_breakpoints, ", trap flag ",
        uint64_t{(flags & kTrapFlag) != 0});
  return own_breakpoints == 2 && (flags & kTrapFlag) == 0 ? 0 : 1;
}

int Sleep() {
  Print("debuggee: asleep");
  while (debuggee_total == 0) Poll(3600 * kSecond);
  Print("debuggee: awake");
  return 0;
}

int Spin() {
  Print("debuggee: spinning");
  while (debuggee_total == 0) {
  }
  Print("debuggee: through");
  return 0;
}

}  // namespace

int Main() {
  const Options options("debuggee", kOptions);
  const std::string_view what = options.Value("do").value_or("add");
  if (what == "add") return Add();
  if (what == "flags") return Flags();
  if (what == "sleep") return Sleep();
  if (what == "spin") return Spin();
  if (what == "abort") Exit(kExitAbort);
  if (what == "fail") debuggee_fail(nullptr);
  options.Reject("do", "one of those that --help lists");
}

}  // namespace serai::guest
