// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_memory.h"

#include <algorithm>

namespace serai::tender::hvt {
namespace {

using solo5::kPageSize;

// A gap up to this is not worth a mapping of its own.
constexpr uint64_t kSmallGap = 16 * kPageSize;
constexpr size_t kBatch = 512;  // pages

bool Contains(std::span<const SnapshotRange> ranges, uint64_t address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const SnapshotRange& range) {
                       return address >= range.address && address < range.End();
                     });
}

}  // namespace

void ExtentList::MergeClosest() {
  size_t best = 1;
  const auto gap = [&](size_t i) {
    return ranges_[i].address - ranges_[i - 1].End();
  };
  for (size_t i = 2; i < count_; ++i) {
    if (gap(i) < gap(best)) best = i;
  }
  ranges_[best - 1].size = ranges_[best].End() - ranges_[best - 1].address;
  std::copy(ranges_ + best + 1, ranges_ + count_, ranges_ + best);
  --count_;
}

void ExtentList::Add(uint64_t address, uint64_t size) {
  if (count_ > 0 && address - ranges_[count_ - 1].End() <= kSmallGap) {
    ranges_[count_ - 1].size = address + size - ranges_[count_ - 1].address;
    return;
  }
  ranges_[count_++] = {address, size};
  if (count_ > kMaxExtents) MergeClosest();
}

void MemoryWriter::AddInaccessible(const SnapshotRange& range) {
  inaccessible_[inaccessible_count_++] = range;
}

bool MemoryWriter::MayHoldSomething(uint64_t address, uint64_t entry) const {
  if (!PageMap::IsTouched(entry) && !Contains({files_, file_count_}, address)) {
    return false;
  }
  return !Contains({inaccessible_, inaccessible_count_}, address) &&
         !IsZeroPage(base_ + address);
}

// Pages in a row that go to the file together.
class MemoryWriter::Run {
 public:
  Run(const uint8_t* base, int fd, ExtentList* extents)
      : base_(base), fd_(fd), extents_(extents) {}

  bool Add(uint64_t address) {
    if (address != end_ && !Flush()) return false;
    if (start_ == end_) start_ = address;
    end_ = address + kPageSize;
    return true;
  }
  bool Flush();
  int64_t written() const { return written_; }

 private:
  const uint8_t* base_;
  int fd_;
  ExtentList* extents_;
  uint64_t start_ = 0;
  uint64_t end_ = 0;
  int64_t written_ = 0;
};

bool MemoryWriter::Run::Flush() {
  const uint64_t size = end_ - start_;
  if (size == 0) return true;
  extents_->Add(start_, size);
  if (!WriteAt(fd_, base_ + start_, size, start_)) return false;
  start_ = end_;
  written_ += static_cast<int64_t>(size);
  return true;
}

int64_t MemoryWriter::Write(int fd, ExtentList* extents) const {
  Run run(base_, fd, extents);
  uint64_t buffer[kBatch];
  for (uint64_t address = 0; address < size_;) {
    const uint64_t count =
        std::min<uint64_t>(kBatch, (size_ - address) / kPageSize);
    const std::span<uint64_t> entries(buffer, count);
    page_map_.Read(address, entries);
    for (const uint64_t entry : entries) {
      if (MayHoldSomething(address, entry) && !run.Add(address)) return -1;
      address += kPageSize;
    }
  }
  return run.Flush() ? run.written() : -1;
}

}  // namespace serai::tender::hvt
