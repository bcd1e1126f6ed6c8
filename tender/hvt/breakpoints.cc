// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/breakpoints.h"

#include <cstring>

namespace serai::tender::hvt {

// Where it stands; count_ where there is none.
size_t Breakpoints::Find(uint64_t address) const {
  size_t i = 0;
  while (i < count_ && all_[i].address != address) ++i;
  return i;
}

bool Breakpoints::Insert(uint64_t address) {
  if (IsAt(address)) return true;
  uint8_t original = 0;
  if (count_ == all_.size() || !Read(address, {&original, 1})) return false;
  all_[count_++] = {address, original};
  *memory_->At(address) = instruction_;
  return true;
}

void Breakpoints::Remove(uint64_t address) {
  const size_t at = Find(address);
  if (at == count_) return;
  *memory_->At(address) = all_[at].original;
  all_[at] = all_[--count_];
}

void Breakpoints::RemoveAll() {
  Hide();
  count_ = 0;
}

bool Breakpoints::Read(uint64_t address, std::span<uint8_t> to) const {
  if (!memory_->IsReadable(address, to.size())) return false;
  std::memcpy(to.data(), memory_->At(address), to.size());
  for (const Breakpoint& one : All()) {
    const uint64_t at = one.address - address;
    if (at < to.size()) to[at] = one.original;
  }
  return true;
}

bool Breakpoints::Write(uint64_t address, std::span<const uint8_t> from) {
  if (!memory_->IsReadable(address, from.size())) return false;
  std::memcpy(memory_->At(address), from.data(), from.size());
  for (Breakpoint& one : std::span(all_.data(), count_)) {
    const uint64_t at = one.address - address;
    if (at >= from.size()) continue;
    one.original = from[at];
    *memory_->At(one.address) = instruction_;
  }
  return true;
}

void Breakpoints::Hide() const {
  for (const Breakpoint& one : All()) {
    *memory_->At(one.address) = one.original;
  }
}

void Breakpoints::Show() const {
  for (const Breakpoint& one : All()) *memory_->At(one.address) = instruction_;
}

}  // namespace serai::tender::hvt
