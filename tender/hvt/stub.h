// SPDX-License-Identifier: Apache-2.0
#pragma once

// All the code that ever runs at level 0 of the virtual machine: for each
// exception one `out`, which leaves it. The tender finds what the processor
// pushed on the ring-0 stack, does what is to be done and resumes the guest at
// level 3 itself.

#include <cstdint>
#include <optional>

namespace serai::tender::hvt {

// What the processor pushed, the error code (0 where there is none) first.
struct TrapFrame {
  uint64_t error;
  uint64_t rip;
  uint64_t cs;
  uint64_t rflags;
  uint64_t rsp;
  uint64_t ss;
};

// Fills descriptor tables and stub in the system area at `system`.
void BuildStub(uint8_t* system);

// The exception whose stub holds `rip`; nullopt where it is not in the stub.
std::optional<uint8_t> VectorAt(uint64_t rip);

// Whether the processor pushes an error code for `vector`.
bool HasErrorCode(uint8_t vector);

// The frame that the exception `vector` has just left on the stack.
TrapFrame ReadTrapFrame(const uint8_t* system, uint8_t vector);

}  // namespace serai::tender::hvt
