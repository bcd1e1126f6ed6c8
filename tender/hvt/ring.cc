// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/ring.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "tender/device_io.h"
#include "tender/report.h"

namespace serai::tender::hvt {
namespace {

using solo5::HvtRingCommit;
using solo5::HvtRingEntry;
using solo5::HvtRingOperation;
using solo5::kHvtRingSlots;
using solo5::Result;

uint32_t Load(uint32_t* index) {
  return std::atomic_ref<uint32_t>(*index).load(std::memory_order_acquire);
}

void Store(uint32_t* index, uint32_t value) {
  std::atomic_ref<uint32_t>(*index).store(value, std::memory_order_release);
}

}  // namespace

bool Ring::HasEntries() const {
  return Load(&ring_->entry_tail) != entry_head_;
}

void Ring::AskForKicks(bool wanted) {
  Store(&ring_->needs_kick, wanted ? 1 : 0);
  // The guest adds its entry before it looks whether to kick, and here it is
  // the other way round: one of the two sees the other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool Ring::Break(Breach breach, uint64_t value, uint64_t length) {
  breach_ = breach;
  value_ = value;
  length_ = length;
  return false;
}

Ring::Outcome Ring::ServeBatch() {
  if (breach_ != Breach::kNone) return Outcome::kBroken;
  const uint32_t tail = Load(&ring_->entry_tail);
  const uint32_t waiting = tail - entry_head_;
  if (waiting == 0) return Outcome::kIdle;
  if (waiting > kHvtRingSlots) {
    Break(Breach::kEntryIndex, tail);
    return Outcome::kBroken;
  }
  for (uint32_t left = std::min(waiting, kBatch); left > 0; --left) {
    HvtRingEntry entry;
    CopyFromGuest(&ring_->entries[entry_head_ % kHvtRingSlots], &entry);
    if (!Serve(entry)) return Outcome::kBroken;
    Store(&ring_->entry_head, ++entry_head_);
  }
  return Outcome::kServed;
}

bool Ring::Serve(const HvtRingEntry& entry) {
  switch (entry.operation) {
    case HvtRingOperation::kNetWrite:
      return Write(entry);
    case HvtRingOperation::kNetRead:
      return Read(entry);
  }
  return Break(Breach::kOperation, static_cast<uint32_t>(entry.operation));
}

const Device* Ring::FindNet(uint32_t handle) const {
  if (handle >= devices_->size()) return nullptr;
  const Device& device = (*devices_)[handle];
  return device.kind == Device::Kind::kNet ? &device : nullptr;
}

// There is no answer in which a bad handle could be told.
bool Ring::Write(const HvtRingEntry& entry) {
  if (!memory_->IsReadable(entry.data, entry.len)) {
    return Break(Breach::kAccess, entry.data, entry.len);
  }
  if (const Device* device = FindNet(entry.handle); device != nullptr) {
    SendFrame(*device, memory_->At(entry.data), entry.len,
              &counters_->devices[entry.handle]);
  }
  return true;
}

bool Ring::Read(const HvtRingEntry& entry) {
  if (!memory_->IsWritable(entry.data, entry.len)) {
    return Break(Breach::kAccess, entry.data, entry.len);
  }
  Result result = Result::kInvalid;
  uint64_t length = entry.len;
  if (const Device* device = FindNet(entry.handle); device != nullptr) {
    result = ReceiveFrame(*device, memory_->At(entry.data), &length,
                          &counters_->devices[entry.handle]);
  }
  return Commit({entry.id, static_cast<int32_t>(result),
                 static_cast<uint32_t>(length), 0});
}

bool Ring::Commit(const HvtRingCommit& commit) {
  const uint32_t head = Load(&ring_->commit_head);
  if (commit_tail_ - head >= kHvtRingSlots) {
    return Break(Breach::kCommitIndex, head);
  }
  std::memcpy(&ring_->commits[commit_tail_ % kHvtRingSlots], &commit,
              sizeof(commit));
  Store(&ring_->commit_tail, ++commit_tail_);
  return true;
}

void Ring::EndGuest() const {
  const unsigned long long value = value_;
  const unsigned long long length = length_;
  switch (breach_) {
    case Breach::kEntryIndex:
      Violation("Invalid guest ring index: tail=0x%llx", value);
    case Breach::kCommitIndex:
      Violation("Invalid guest ring index: head=0x%llx, answers not taken",
                value);
    case Breach::kOperation:
      Violation("Invalid guest ring operation: %llu", value);
    case Breach::kAccess:
    case Breach::kNone:
      break;
  }
  Violation("Invalid guest access: gpa=0x%llx, sz=%llu", value, length);
}

}  // namespace serai::tender::hvt
