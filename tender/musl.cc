// SPDX-License-Identifier: Apache-2.0
// Where musl, which serai-tender is linked with, is not what glibc's headers
// promise.

#include <elf.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>

extern "C" {

// musl takes the request as an int and hands it on with its sign, so that half
// of KVM's would arrive with all upper bits set. The kernel ignores those; a
// policy that compares whole arguments does not.
int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list list;
  va_start(list, request);
  void* const argument = va_arg(list, void*);
  va_end(list);
  return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}

// musl adds a flag for large files, which this processor's kernel has for all
// of them. A policy names the flags that it lets pass.
int openat(int directory, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode));
}

// Newer ones try another call first.
ssize_t pwrite(int fd, const void* from, size_t size, off_t offset) {
  return ::syscall(SYS_pwrite64, fd, from, size, offset);
}

}  // extern "C"

// It registers no restartable sequences with the kernel.
extern const unsigned int __rseq_size = 0;
extern const ptrdiff_t __rseq_offset = 0;

// The linker's: this program as it stands in memory.
extern "C" {
[[gnu::visibility("hidden")]] extern const Elf64_Ehdr __ehdr_start;
}

namespace {

// Data that only the start writes, to relocate pointers, is read-only from here
// on. musl's start leaves that to a dynamic linker, which there is none.
[[gnu::constructor]] void ProtectRelocated() {
  constexpr uintptr_t kPage = 4096;
  const auto base = reinterpret_cast<uintptr_t>(&__ehdr_start);
  const auto* const headers =
      reinterpret_cast<const Elf64_Phdr*>(base + __ehdr_start.e_phoff);
  for (int i = 0; i < __ehdr_start.e_phnum; ++i) {
    if (headers[i].p_type != PT_GNU_RELRO) continue;
    const uintptr_t start = base + headers[i].p_vaddr;
    const uintptr_t first = start & ~(kPage - 1);
    const uintptr_t end = (start + headers[i].p_memsz) & ~(kPage - 1);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    void* const at = reinterpret_cast<void*>(first);
    if (end > first && ::mprotect(at, end - first, PROT_READ) != 0) {
      __builtin_trap();
    }
  }
}

}  // namespace
