// SPDX-License-Identifier: Apache-2.0
#pragma once

// The way from the tender into an spt guest, on which the tender goes away.

#include <linux/filter.h>

#include <cstdint>
#include <span>

namespace serai::tender::spt {

// Puts the stub (stub.h) at an address above `guest_end` that cannot be
// guessed, which is returned. Ends the process when there's no place for it.
uint64_t PlaceStub(uint64_t guest_end);

struct GuestStart {
  uint64_t end;  // of the guest's memory
  uint64_t entry;
  uint64_t stack;
  uint64_t boot_info;
};

// Lets the stub handle signals, unmap everything but itself and the guest's
// memory, apply `filter` and jump into the guest. How the guest ends is said by
// the name and on the status descriptor of report.h.
[[noreturn]] void EnterGuest(uint64_t stub, const GuestStart& guest,
                             std::span<const sock_filter> filter);

}  // namespace serai::tender::spt
