// SPDX-License-Identifier: Apache-2.0
// Where musl, which serai-tender is linked with, is not what glibc's headers
// promise.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

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

}  // extern "C"

// It registers no restartable sequences with the kernel.
extern const unsigned int __rseq_size = 0;
extern const ptrdiff_t __rseq_offset = 0;
