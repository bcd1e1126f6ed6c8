// SPDX-License-Identifier: Apache-2.0
#pragma once

// Breakpoints in guest memory, each an instruction of one byte in the place of
// another's first, and that memory as a debugger is to see it: without them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

class Breakpoints {
 public:
  // `instruction` stops the guest. What the guest can read must be writable for
  // the host.
  Breakpoints(const GuestMemory* memory, uint8_t instruction)
      : memory_(memory), instruction_(instruction) {}

  // False where there is no such memory, or no room for one more.
  bool Insert(uint64_t address);
  void Remove(uint64_t address);
  void RemoveAll();
  bool IsAt(uint64_t address) const { return Find(address) < count_; }

  // All of it or nothing; what is no memory of the guest's is refused. What the
  // guest itself may only read can be written.
  bool Read(uint64_t address, std::span<uint8_t> to) const;
  bool Write(uint64_t address, std::span<const uint8_t> from);

  // Takes them out of the guest's memory while it is copied, and back in.
  void Hide() const;
  void Show() const;

 private:
  static constexpr size_t kMax = 256;

  struct Breakpoint {
    uint64_t address;
    uint8_t original;
  };

  size_t Find(uint64_t address) const;
  std::span<const Breakpoint> All() const { return {all_.data(), count_}; }

  const GuestMemory* memory_;
  uint8_t instruction_;
  size_t count_ = 0;
  std::array<Breakpoint, kMax> all_;
};

}  // namespace serai::tender::hvt
