// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/hvt/try.h"

// try.S
extern "C" {
uint64_t serai_guest_try(void (*code)(void*), void* argument);
extern char serai_guest_try_failed[];
extern uint64_t serai_guest_try_stack;
}

namespace serai::guest {
namespace {

// Trap and direction.
constexpr uint64_t kTroublesomeFlags = 0x500;

TrapFrame caught;

}  // namespace

bool HandleTry(TrapFrame& frame) {
  if (serai_guest_try_stack == 0) return false;
  caught = frame;
  frame.rip = reinterpret_cast<uint64_t>(serai_guest_try_failed);
  frame.rsp = serai_guest_try_stack;
  frame.rflags &= ~kTroublesomeFlags;
  return true;
}

std::optional<TrapFrame> TryCall(void (*code)(void*), void* argument) {
  SetTrapHandler(HandleTry);
  if (serai_guest_try(code, argument) == 0) return std::nullopt;
  return caught;
}

}  // namespace serai::guest
