// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/paging.h"

#include <algorithm>
#include <cstddef>

#include "tender/hvt/layout.h"

namespace serai::tender::hvt {
namespace {

using solo5::kHvtLargePage;
using solo5::Segment;

constexpr size_t kEntries = 512;
// The processor would set them at first use, which costs a locked write.
constexpr uint64_t kUsed = kAccessed | kDirty;
constexpr uint64_t kTable = kPresent | kWritable | kUser | kAccessed;

class Builder {
 public:
  Builder(uint8_t* system, std::span<const Segment> segments,
          bool executable_heap)
      : system_(system),
        segments_(segments),
        heap_flags_(kPresent | kWritable | kUser | kUsed |
                    (executable_heap ? 0 : kNoExecute)) {}

  void BuildTop();
  void BuildSystem();
  void BuildGuest(uint64_t memory);

 private:
  uint64_t* Table(uint64_t page) const {
    // NOLINTNEXTLINE: the area is page-aligned.
    return reinterpret_cast<uint64_t*>(system_ + page * kPageSize);
  }
  uint64_t FlagsOf(uint64_t address) const;
  bool IsUniform(uint64_t start) const;
  uint64_t BuildTable(uint64_t start);

  uint8_t* system_;
  std::span<const Segment> segments_;
  uint64_t heap_flags_;
  uint64_t next_table_ = kGuestPtPage;
};

// The flags of the page at `address`; 0 where nothing is mapped.
uint64_t Builder::FlagsOf(uint64_t address) const {
  if (address < solo5::kHvtBootInfoAddress) return 0;
  if (address < solo5::kMinLoadAddress) {
    return kPresent | kUser | kUsed | kNoExecute;
  }
  for (const Segment& segment : segments_) {
    if (address < segment.PageStart() || address >= segment.PageEnd()) continue;
    if (!segment.readable && !segment.writable && !segment.executable) return 0;
    return kPresent | kUser | kUsed | (segment.writable ? kWritable : 0) |
           (segment.executable ? 0 : kNoExecute);
  }
  return heap_flags_;
}

// Whether one large page at `start` can have the same flags throughout.
bool Builder::IsUniform(uint64_t start) const {
  if (start == 0) return false;
  const uint64_t end = start + kHvtLargePage;
  return std::none_of(
      segments_.begin(), segments_.end(), [&](const Segment& segment) {
        const auto is_inside = [&](uint64_t boundary) {
          return boundary > start && boundary < end;
        };
        return is_inside(segment.PageStart()) || is_inside(segment.PageEnd());
      });
}

uint64_t Builder::BuildTable(uint64_t start) {
  uint64_t* table = Table(next_table_);
  for (size_t i = 0; i < kEntries; ++i) {
    const uint64_t address = start + i * kPageSize;
    const uint64_t flags = FlagsOf(address);
    if (flags != 0) table[i] = address | flags;
  }
  return SystemAddress(next_table_++);
}

void Builder::BuildGuest(uint64_t memory) {
  uint64_t* pdpt = Table(kPdptPage);
  uint64_t* directories = Table(kGuestPdPage);  // adjacent, so one array
  const uint64_t count = memory / kHvtLargePage;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t address = i * kHvtLargePage;
    if (!IsUniform(address)) {
      directories[i] = BuildTable(address) | kTable;
      continue;
    }
    const uint64_t flags = FlagsOf(address);
    if (flags != 0) directories[i] = address | flags | kLarge;
  }
  for (uint64_t i = 0; i * kEntries < count; ++i) {
    pdpt[i] = SystemAddress(kGuestPdPage + i) | kTable;
  }
}

void Builder::BuildTop() {
  Table(kPml4Page)[0] = SystemAddress(kPdptPage) | kTable;
}

// Only level 0 gets at these, so that a guest cannot even read them.
void Builder::BuildSystem() {
  BuildTop();
  Table(kPdptPage)[kSystemBase >> 30] = SystemAddress(kSystemPdPage) | kTable;
  Table(kSystemPdPage)[0] = SystemAddress(kSystemPtPage) | kTable;
  uint64_t* table = Table(kSystemPtPage);
  constexpr uint64_t kData = kPresent | kUsed | kWritable | kNoExecute;
  table[kTablesPage] = SystemAddress(kTablesPage) | kData;
  table[kStubPage] = SystemAddress(kStubPage) | kPresent | kUsed;
  table[kStackPage] = SystemAddress(kStackPage) | kData;
}

}  // namespace

void BuildPageTables(uint8_t* system, uint64_t memory,
                     std::span<const Segment> segments, bool executable_heap) {
  Builder builder(system, segments, executable_heap);
  builder.BuildSystem();
  builder.BuildGuest(memory);
}

void BuildLevel0PageTables(uint8_t* system, uint64_t memory) {
  Builder builder(system, {}, true);
  builder.BuildTop();
  builder.BuildGuest(memory);
}

}  // namespace serai::tender::hvt
