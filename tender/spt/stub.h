// SPDX-License-Identifier: Apache-2.0
#pragma once

// The stub is all of the tender's that stays in the process when an spt guest
// runs. It unmaps the rest, applies the seccomp filter, jumps into the guest,
// and from then on handles signals: it says how the guest ended and ends the
// process. No handler of it ever returns.
//
// It is one page of code, linked by itself (stub.ld), and a mapping behind it:
//
//   +0        code            read, execute
//   +4 KiB    signal stack    read, write
//   +38 KiB   StubState       read, write
//             the filter      read once, by seccomp()
//
// where the first bytes of code are these entry points.
//
// The page's address is drawn at random and never in a register or in memory of
// the guest's, which keeps a guest that went wrong from falling into it. One
// that means to can find it: system calls tell whether an address is mapped,
// and after some minutes all have been tried. It can then jump into the code
// and change what the handlers work with. So no safety rests on either: the
// policy (policy/spt.h) grants to the stub's one system call instruction what
// it takes to end, and lines on stderr and on the status descriptor, for whose
// readers it waits a moment. A guest can have these say what is not true.
// Whoever reads them trusts the process's wait status first, and knows that
// SIGKILL, unlike SIGTERM, always works.

#include <cstddef>
#include <cstdint>

namespace serai::tender::spt {

// The first code that runs there; its argument is the state's address.
inline constexpr uint64_t kStubEnter = 0;
// The handler of all signals.
inline constexpr uint64_t kStubHandle = 16;
// Where the stub's system calls return to.
inline constexpr uint64_t kStubCall = 34;

inline constexpr uint64_t kStubCodeSize = 4096;
// Several times what the largest vector registers take. It ends within a page
// of which the state takes the rest, so that one page serves for both as long
// as no signal comes.
inline constexpr uint64_t kStubStackSize = 34 * 1024;
inline constexpr uint64_t kStubStateOffset = kStubCodeSize + kStubStackSize;
inline constexpr uint64_t kStubSize = 72 * 1024;

struct alignas(64) StubState {
  // Vector and floating-point registers as FXRSTOR takes them, all zero: they
  // may hold copies of the tender's pointers. It uses no wider ones.
  uint8_t registers[512];
  uint64_t guest_end;    // end of the guest's memory
  uint64_t guest_entry;  // its first instruction
  uint64_t guest_stack;
  uint64_t boot_info;
  int32_t status_fd;  // -1: none
  uint32_t filter_length;
  uint32_t name_length;
  char name[60];  // what messages begin with

  // A sock_filter each.
  uint64_t* filter() { return reinterpret_cast<uint64_t*>(this + 1); }
  const uint64_t* filter() const {
    return reinterpret_cast<const uint64_t*>(this + 1);
  }
};

// Of the filter, as many as the kernel takes.
inline constexpr size_t kStubMaxFilter =
    (kStubSize - kStubStateOffset - sizeof(StubState)) / sizeof(uint64_t);
static_assert(kStubStateOffset % alignof(StubState) == 0);
static_assert(kStubMaxFilter >= 4096);

// The end of what a process can map; more on processors with five levels of
// page tables, where the kernel maps something only when asked to.
inline constexpr uint64_t kUserEnd = 0x7fff'ffff'f000;

}  // namespace serai::tender::spt
