// SPDX-License-Identifier: Apache-2.0
#pragma once

// The language of the policies (hvt.h, spt.h, waiter.h): which system calls a
// process may still make once it serves a guest, and why. A policy is a table
// of rules, each a system call with what its arguments may be. Rules of one
// system call are tried in the table's order, and the first that holds
// decides; a call for which none holds ends as the policy says. Calls that
// come first in the table are found fastest.
//
// A policy is compiled with the program (compile.h). What is known only when
// the tender starts, such as the numbers of descriptors, has a Slot; how often
// a rule is wanted, if at all, is told by its Situation.
//
// To allow something more: add a rule with its reason to the policy; for a new
// number add a Slot and for a new option a Situation, and set them where the
// policy is applied (hvt/rules.cc, spt/rules.cc). tests/tender/policy holds a
// test for each policy, which says what is allowed a second time.

#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace serai::tender::policy {

// What a rule is there for.
enum class Situation : uint8_t {
  kAlways,
  // Once for each such device.
  kNetDevice,
  kBlockDevice,
  kWritableBlockDevice,
  kReadOnlyBlockDevice,
  // From here on: once where Bindings::Have() was called.
  kStatus,         // --status
  kDumpCore,       // --dumpcore
  kSnapshot,       // --snapshot-to
  kSnapshotInbox,  // likewise, with a socket in place of a directory
  kNetRing,        // --net-ring=on
  kGdb,            // --gdb
  kPageMap,        // either, where the page map could be opened
  kCount,
};

// Numbers that are known when the tender starts.
enum class Slot : uint8_t {
  // Of the device that the rule is there for.
  kDeviceFd,
  kBlockSize,
  kLastBlock,  // offset of its last block
  kLastByte,   // and of its last byte
  // Set by Bindings::Set(). Descriptors:
  kEpollFd,
  kTimerFd,
  kVcpuFd,
  kRequestFd,  // RequestEvent()
  kRingFd,     // the event of the ring's kicks
  kStatusFd,
  kGdbFd,
  kPageMapFd,        // Guest::page_map_fd
  kCoreDirectoryFd,  // where the core file goes
  kCoreFd,           // the number that it gets
  kSnapshotInboxFd,  // the socket that its directory comes by
  kSnapshotDirectoryFd,
  kSnapshotFd,  // the number that each of its files gets
  // Addresses of file names, in memory that nobody can write:
  kCoreName,
  kMemoryName0,
  kMemoryName1,
  kNewMachineName,
  kMachineName,
  // That which system calls of an spt guest's stub return to:
  kStubCall,
  // Process ids:
  kOwnPid,
  kChildPid,
  kCount,
};

// Whether what stands in `slot` is a descriptor, which has at most 31 bits.
constexpr bool IsDescriptor(Slot slot) {
  return slot == Slot::kDeviceFd ||
         (slot >= Slot::kEpollFd && slot <= Slot::kSnapshotFd);
}

// What a test looks at: an argument of the system call, all 64 bits of it, or
// the address of the instruction after it.
enum class Operand : uint8_t {
  kArgument0,
  kArgument5 = kArgument0 + 5,
  kInstructionPointer,
};
inline constexpr Operand kInstructionPointer = Operand::kInstructionPointer;

consteval Operand Argument(int index) { return static_cast<Operand>(index); }

// What it is compared with: a number, or one that fills a slot.
struct Value {
  template <std::integral T>
  consteval Value(T number)  // NOLINT(google-explicit-constructor)
      : constant(static_cast<uint64_t>(number)) {}
  consteval Value(Slot number)  // NOLINT(google-explicit-constructor)
      : is_slot(true), slot(number) {}
  consteval Value() = default;

  bool is_slot = false;
  Slot slot = Slot::kCount;
  uint64_t constant = 0;
};

struct Condition {
  enum class Test : uint8_t { kNone, kEquals, kAtMost, kAtLeast, kHasNoneOf };

  Test test = Test::kNone;
  Operand operand = Operand::kArgument0;
  Value value;
};

// Unsigned, as the kernel's filters compare.
consteval Condition operator==(Operand operand, Value value) {
  return {Condition::Test::kEquals, operand, value};
}
consteval Condition operator<=(Operand operand, Value value) {
  return {Condition::Test::kAtMost, operand, value};
}
consteval Condition operator>=(Operand operand, Value value) {
  return {Condition::Test::kAtLeast, operand, value};
}
// None of the bits that are set in `value` is set.
consteval Condition HasNoneOf(Operand operand, Value value) {
  return {Condition::Test::kHasNoneOf, operand, value};
}

// What becomes of a call.
inline constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
// Killing the thread only would not do: KVM keeps a thread of its own in the
// process, and a leader killed beside it is never reaped.
inline constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
// SIGSYS, to a handler if there is one.
inline constexpr uint32_t kTrap = SECCOMP_RET_TRAP;
// It is not done and answers `error`.
consteval uint32_t FailWith(int error) {
  return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error);
}

struct Rule {
  static constexpr size_t kMaxConditions = 6;

  int call = -1;  // SYS_…
  Situation situation = Situation::kAlways;
  Condition where[kMaxConditions] = {};  // all of them
  uint32_t verdict = kAllow;
  const char* reason = nullptr;
};

}  // namespace serai::tender::policy
