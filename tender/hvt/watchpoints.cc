// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/watchpoints.h"

#include <cstring>

namespace serai::tender::hvt {

bool Watchpoints::Insert(uint64_t address, uint64_t size) {
  if (count_ == all_.size() || size == 0 || size > kMaxSize ||
      !memory_->IsReadable(address, size)) {
    return false;
  }
  all_[count_] = {address, size, {}};
  Update(&all_[count_++]);
  return true;
}

void Watchpoints::Remove(uint64_t address, uint64_t size) {
  for (Watchpoint& one : All()) {
    if (one.address != address || one.size != size) continue;
    one = all_[--count_];
    return;
  }
}

// Whether it has changed.
bool Watchpoints::Update(Watchpoint* one) {
  const uint8_t* const now = memory_->At(one->address);
  if (std::memcmp(one->seen, now, one->size) == 0) return false;
  std::memcpy(one->seen, now, one->size);
  return true;
}

std::optional<uint64_t> Watchpoints::TakeChange() {
  std::optional<uint64_t> changed;
  for (Watchpoint& one : All()) {
    if (Update(&one)) changed = one.address;
  }
  return changed;
}

}  // namespace serai::tender::hvt
