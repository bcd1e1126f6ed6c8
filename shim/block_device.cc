// SPDX-License-Identifier: Apache-2.0
#include "shim/block_device.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "lib/base/beneath.h"
#include "lib/base/file.h"
#include "lib/oci/rootfs.h"
#include "lib/solo5/abi.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

// What the last tender held is free as soon as the kernel has taken that
// process apart, and has written a device's data.
constexpr int kTries = 100;
constexpr absl::Duration kPause = absl::Milliseconds(10);

absl::Status InUse(const oci::GuestDevice& device) {
  return absl::FailedPreconditionError(absl::StrCat(
      device.path, " is in use: ",
      device.read_only ? "another guest writes it"
                       : "a disk that is written is one guest's alone. Give "
                         "each its own, or mount it read-only in all"));
}

// Tries until it is not busy any more; whether it came to that.
bool Retry(absl::FunctionRef<bool()> try_once) {
  for (int attempt = 1; attempt <= kTries; ++attempt) {
    if (try_once()) return true;
    if (attempt < kTries) absl::SleepFor(kPause);
  }
  return false;
}

absl::StatusOr<UniqueFd> OpenPlace(const oci::GuestDevice& device, int root,
                                   int flags) {
  if (device.in_image) {
    ASSIGN_OR_RETURN(oci::RootFile file,
                     oci::OpenRegularInRoot(root, device.path));
    return std::move(file.fd);
  }
  if (device.beneath.empty()) return OpenFile(device.path, flags);
  ASSIGN_OR_RETURN(const UniqueFd directory,
                   OpenFile(device.beneath, O_PATH | O_DIRECTORY));
  return OpenRegularBeneath(
      directory.get(), device.path.substr(device.beneath.size() + 1), flags);
}

// A block device: by a claim that mounts and others that claim it respect.
absl::StatusOr<UniqueFd> Claim(const oci::GuestDevice& device, int flags) {
  UniqueFd fd;
  int error = 0;
  const bool free = Retry([&] {
    fd.reset(::open(device.path.c_str(), flags | O_EXCL | O_CLOEXEC));
    error = fd.valid() ? 0 : errno;
    return error != EBUSY;
  });
  if (!free) return InUse(device);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("open ", device.path));
  return fd;
}

absl::Status Lock(const oci::GuestDevice& device, int fd) {
  const int operation = device.read_only ? LOCK_SH : LOCK_EX;
  int error = 0;
  const bool free = Retry([&] {
    error = ::flock(fd, operation | LOCK_NB) == 0 ? 0 : errno;
    return error != EWOULDBLOCK && error != EINTR;
  });
  if (!free) return InUse(device);
  if (error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS) {
    LogWarning(absl::StrCat(device.path,
                            ": its file system has no locks; that two guests "
                            "write it is not noticed"));
    return absl::OkStatus();
  }
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "flock");
}

absl::Status CheckFile(const oci::GuestDevice& device, const struct stat& st) {
  if (S_ISBLK(st.st_mode)) return absl::OkStatus();
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(device.path, " is neither a file nor a block device"));
  }
  if (st.st_size > 0 && st.st_size % solo5::kDefaultBlockSize == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      device.path, " has ", st.st_size, " bytes, which is no multiple of the ",
      "block size, ", solo5::kDefaultBlockSize));
}

absl::StatusOr<UniqueFd> Open(const oci::GuestDevice& device, int root) {
  const int flags = (device.read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK;
  ASSIGN_OR_RETURN(UniqueFd fd, OpenPlace(device, root, flags));
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoStatus(errno, "fstat");
  RETURN_IF_ERROR(CheckFile(device, st));
  if (S_ISREG(st.st_mode)) {
    // What is in the image nobody writes.
    if (!device.in_image) RETURN_IF_ERROR(Lock(device, fd.get()));
    return fd;
  }
  if (device.read_only) return fd;
  fd.reset();
  return Claim(device, flags);
}

}  // namespace

absl::StatusOr<UniqueFd> OpenBlockDevice(const oci::GuestDevice& device,
                                         int root) {
  absl::StatusOr<UniqueFd> fd = Open(device, root);
  RETURN_IF_ERROR(fd.status(), "block device ", device.name);
  return fd;
}

}  // namespace serai::shim
