// SPDX-License-Identifier: Apache-2.0
#include "tender/loader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/report.h"

namespace serai::tender {
namespace {

using solo5::kPageSize;
using solo5::Segment;

constexpr uint64_t PageDown(uint64_t value) { return value & ~(kPageSize - 1); }
constexpr uint64_t PageUp(uint64_t value) {
  return PageDown(value + kPageSize - 1);
}

void Read(int fd, uint64_t offset, uint8_t* to, uint64_t size) {
  while (size > 0) {
    const ssize_t n = ::pread(fd, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      Fatal("reading the executable: %s",
            n == 0 ? "it became shorter" : std::strerror(errno));
    }
    to += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<uint64_t>(n);
  }
}

void MapFile(int fd, uint64_t offset, uint8_t* to, uint64_t size,
             int protection) {
  if (::mmap(to, size, protection, MAP_PRIVATE | MAP_FIXED, fd,
             static_cast<off_t>(offset)) == MAP_FAILED) {
    Fatal("mapping the executable: %s", std::strerror(errno));
  }
}

// How much of the segment, from its first page on, can be mapped. A page of
// which only a part belongs to the file holds the neighbours' bytes for the
// rest. That is harmless where the guest cannot use the rest, but not where
// zeros are due: data that is zeroed at the start may follow in that page.
uint64_t MappableEnd(const Segment& segment) {
  const uint64_t file_end = segment.address + segment.file_size;
  const bool zeros_due =
      segment.writable || segment.memory_size > segment.file_size;
  return zeros_due ? PageDown(file_end) : PageUp(file_end);
}

void LoadSegment(int fd, const Segment& segment, uint8_t* base,
                 int protection) {
  const uint64_t start = segment.PageStart();
  const uint64_t file_end = segment.address + segment.file_size;
  uint64_t done = segment.address;
  const bool congruent =
      segment.address % kPageSize == 0 && segment.file_offset % kPageSize == 0;
  if (congruent && MappableEnd(segment) > start) {
    MapFile(fd, segment.file_offset, base + start, MappableEnd(segment) - start,
            protection);
    done = MappableEnd(segment);
  }
  if (done < file_end) {
    Read(fd, segment.file_offset + (done - segment.address), base + done,
         file_end - done);
  }
  // Of what is mapped the protection is set already. All else has what the heap
  // has, which may be executable.
  const uint64_t rest = PageDown(done);
  const uint64_t end = segment.PageEnd();
  if (rest < end && ::mprotect(base + rest, end - rest, protection) != 0) {
    Fatal("protecting guest memory: %s", std::strerror(errno));
  }
}

}  // namespace

void LoadSegments(int fd, const solo5::Unikernel& unikernel, uint8_t* base,
                  ProtectionOf protection) {
  for (const Segment& segment : unikernel.LoadedSegments()) {
    LoadSegment(fd, segment, base, protection(segment));
  }
}

}  // namespace serai::tender
