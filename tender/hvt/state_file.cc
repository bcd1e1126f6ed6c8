// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/solo5/unikernel.h"
#include "tender/report.h"

namespace serai::tender::hvt {

using solo5::kPageSize;

int OpenDirectory(const Place& place, const char* option) {
  const int fd = place.fd >= 0
                     ? place.fd
                     : ::open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status = {};
  if (fd < 0 || ::fstat(fd, &status) != 0) {
    Fatal("%s: %s: %s", option, place.path, std::strerror(errno));
  }
  if (!S_ISDIR(status.st_mode)) {
    Fatal("%s: %s: %s", option, place.path, std::strerror(ENOTDIR));
  }
  return fd;
}

int NextDescriptor(int any) {
  const int fd = ::fcntl(any, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) Fatal("fcntl(F_DUPFD_CLOEXEC): %s", std::strerror(errno));
  ::close(fd);
  return fd;
}

bool WriteAt(int fd, const void* data, uint64_t size, uint64_t offset) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    from += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<uint64_t>(n);
  }
  return true;
}

bool IsZeroPage(const uint8_t* page) {
  uint64_t any = 0;
  for (size_t at = 0; at < kPageSize; at += 8 * sizeof(any)) {
    uint64_t words[8];
    std::memcpy(words, page + at, sizeof(words));
    for (const uint64_t word : words) any |= word;
    if (any != 0) return false;
  }
  return true;
}

void PageMap::Read(uint64_t address, std::span<uint64_t> entries) const {
  const uint64_t first =
      (reinterpret_cast<uintptr_t>(base_) + address) / kPageSize;
  const auto wanted = static_cast<ssize_t>(entries.size_bytes());
  if (fd_ < 0 ||
      ::pread(fd_, entries.data(), entries.size_bytes(),
              static_cast<off_t>(first * sizeof(uint64_t))) != wanted) {
    std::fill(entries.begin(), entries.end(), kTouched);
  }
}

}  // namespace serai::tender::hvt
