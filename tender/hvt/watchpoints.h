// SPDX-License-Identifier: Apache-2.0
#pragma once

// Parts of guest memory of which a debugger wants to hear when they change.
// They are compared after every single instruction of the guest's: that is slow
// but works alike on every KVM, few of which have debug registers to lend.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tender/hvt/memory.h"

namespace serai::tender::hvt {

class Watchpoints {
 public:
  explicit Watchpoints(const GuestMemory* memory) : memory_(memory) {}

  // False where there is no such memory, too much of it, or no room for one
  // more.
  bool Insert(uint64_t address, uint64_t size);
  void Remove(uint64_t address, uint64_t size);
  void RemoveAll() { count_ = 0; }
  bool IsEmpty() const { return count_ == 0; }

  // The address of one that has changed since the last call; nullopt where
  // there is none.
  std::optional<uint64_t> TakeChange();

 private:
  static constexpr size_t kMax = 8;
  static constexpr size_t kMaxSize = 64;

  struct Watchpoint {
    uint64_t address;
    size_t size;
    uint8_t seen[kMaxSize];
  };

  bool Update(Watchpoint* one);
  std::span<Watchpoint> All() { return {all_.data(), count_}; }

  const GuestMemory* memory_;
  size_t count_ = 0;
  std::array<Watchpoint, kMax> all_;
};

}  // namespace serai::tender::hvt
