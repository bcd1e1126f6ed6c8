// SPDX-License-Identifier: Apache-2.0
#pragma once

// What each guest that puts the tender to the test is run with, and what has to
// come of it. Only data: whoever can start a tender can run the table. Every
// case ends within seconds, leaves no process behind and touches nothing but
// what it was given.

#include <csignal>
#include <string_view>

namespace serai::testing {

// Whether a case of hvt's means the same where the guest really runs at level
// 0 (--cpl=0).
enum class AtLevel0 {
  kSame,
  // The virtual processor is the guest's own there: it may end in any way, or
  // run until it is stopped; the tender itself is not to fail or crash.
  kOpen,
};

struct GuestCase {
  std::string_view guest;      // "evil_ports"
  std::string_view target;     // "hvt" or "spt"
  std::string_view arguments;  // one space between two
  // The process's exit status, 128 + n where signal n ends it.
  int status;
  // What is told on the status descriptor ("exit", "abort", "violation"), by
  // hvt.
  std::string_view end = {};
  // A part of what guest and tender write to stdout and stderr.
  std::string_view output = {};
  AtLevel0 level0 = AtLevel0::kSame;
  // The guest never ends: once it has written `output` it gets a SIGTERM.
  bool stopped = false;
  std::string_view options = {};  // of the tender, one space between two
  int memory_mib = 32;
  // It has a net device "service" that carries nothing and a block device
  // "storage" of 1 MiB.
  bool devices = false;
};

// Instead of a status: that of any exit (hvt) or signal (spt). For what KVM,
// the kernel and the processor decide.
inline constexpr int kAnyStatus = -1;

inline constexpr int kFault = 128 + SIGSEGV;
inline constexpr int kForbidden = 128 + SIGSYS;
inline constexpr int kStopped = 128 + SIGTERM;

// What tender and guests say.
inline constexpr std::string_view kNothing = "evil: nothing happened\n";
inline constexpr std::string_view kBadTranslation =
    "KVM: host/guest translation fault: rip=0x";

// The guest goes on and ends well, having said `output`.
constexpr GuestCase GoesOn(std::string_view guest, std::string_view target,
                           std::string_view arguments,
                           std::string_view output) {
  return {guest, target, arguments, 0, "exit", output};
}

// The guest breaks the ABI, which ends it.
constexpr GuestCase Violates(std::string_view guest, std::string_view arguments,
                             std::string_view message) {
  return {guest, "hvt", arguments, 1, "violation", message};
}

// The processor's exception arrives at the guest's own handler, which tells and
// aborts.
constexpr GuestCase Traps(std::string_view guest, std::string_view arguments,
                          std::string_view output = "trap: vector ") {
  return {guest, "hvt", arguments, 255, "abort", output};
}

constexpr GuestCase Dies(std::string_view guest, std::string_view arguments,
                         int status) {
  return {guest, "spt", arguments, status};
}

constexpr GuestCase IsStopped(std::string_view guest, std::string_view target,
                              std::string_view arguments,
                              std::string_view output) {
  return {guest, target, arguments,       kStopped,
          {},    output, AtLevel0::kSame, true};
}

// For what depends on the level.
constexpr GuestCase Level3(GuestCase guest_case) {
  guest_case.level0 = AtLevel0::kOpen;
  return guest_case;
}

constexpr GuestCase With(std::string_view options, GuestCase guest_case) {
  guest_case.options = options;
  return guest_case;
}

constexpr GuestCase WithDevices(GuestCase guest_case) {
  guest_case.devices = true;
  return guest_case;
}

constexpr GuestCase WithMemory(int mib, GuestCase guest_case) {
  guest_case.memory_mib = mib;
  return guest_case;
}

}  // namespace serai::testing
