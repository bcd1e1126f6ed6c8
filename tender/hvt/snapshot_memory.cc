// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace serai::tender::hvt {
namespace {

using solo5::kPageSize;

// A gap up to this is not worth a mapping of its own.
constexpr uint64_t kSmallGap = 16 * kPageSize;
constexpr size_t kBatch = 512;  // pages
// In an entry of the page map: in memory, or swapped out.
constexpr uint64_t kTouched = uint64_t{3} << 62;

bool IsZero(const uint8_t* page) {
  uint64_t any = 0;
  for (size_t at = 0; at < kPageSize; at += 8 * sizeof(any)) {
    uint64_t words[8];
    std::memcpy(words, page + at, sizeof(words));
    for (const uint64_t word : words) any |= word;
    if (any != 0) return false;
  }
  return true;
}

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

void MemoryWriter::FindTouched(uint64_t address,
                               std::span<uint64_t> pages) const {
  const uint64_t first =
      (reinterpret_cast<uintptr_t>(base_) + address) / kPageSize;
  const auto wanted = static_cast<ssize_t>(pages.size_bytes());
  if (pagemap_fd_ < 0 ||
      ::pread(pagemap_fd_, pages.data(), pages.size_bytes(),
              static_cast<off_t>(first * sizeof(uint64_t))) != wanted) {
    std::fill(pages.begin(), pages.end(), kTouched);
  }
}

bool MemoryWriter::MayHoldSomething(uint64_t address, uint64_t page) const {
  if ((page & kTouched) == 0 && !Contains({files_, file_count_}, address)) {
    return false;
  }
  return !Contains({inaccessible_, inaccessible_count_}, address) &&
         !IsZero(base_ + address);
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
  if (start_ < end_) extents_->Add(start_, end_ - start_);
  while (start_ < end_) {
    const ssize_t n = ::pwrite(fd_, base_ + start_, end_ - start_,
                               static_cast<off_t>(start_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    start_ += static_cast<uint64_t>(n);
    written_ += n;
  }
  return true;
}

int64_t MemoryWriter::Write(int fd, ExtentList* extents) const {
  Run run(base_, fd, extents);
  uint64_t buffer[kBatch];
  for (uint64_t address = 0; address < size_;) {
    const uint64_t count =
        std::min<uint64_t>(kBatch, (size_ - address) / kPageSize);
    const std::span<uint64_t> pages(buffer, count);
    FindTouched(address, pages);
    for (const uint64_t page : pages) {
      if (MayHoldSomething(address, page) && !run.Add(address)) return -1;
      address += kPageSize;
    }
  }
  return run.Flush() ? run.written() : -1;
}

}  // namespace serai::tender::hvt
