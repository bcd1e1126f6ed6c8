// SPDX-License-Identifier: Apache-2.0
#include "cri/image/root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <thread>

#include "absl/strings/str_join.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

// Over a directory that everyone has, and that no layer is in.
constexpr char kPlace[] = "/proc";

// Leaves the calling thread in a mount namespace of its own.
absl::StatusOr<UniqueFd> MountAndOpen(const std::string& option) {
  if (::unshare(CLONE_NEWNS) != 0) {
    return ErrnoStatus(errno, "unshare the mount namespace");
  }
  // What is mounted from here on is seen by nobody else.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoStatus(errno, "making mounts private");
  }
  const unsigned long flags = MS_RDONLY | MS_NODEV | MS_NOSUID;
  if (::mount("overlay", kPlace, "overlay", flags, option.c_str()) != 0) {
    const int error = errno;
    const std::string what = absl::StrCat("mounting an overlay, ", option);
    // Not found is a layer, not what the caller asked for.
    return error == ENOENT ? absl::FailedPreconditionError(absl::StrCat(
                                 what, ": no such file or directory"))
                           : ErrnoStatus(error, what);
  }
  return OpenFile(kPlace, O_PATH | O_DIRECTORY);
}

}  // namespace

std::string OverlayOption(const std::vector<std::string>& layers) {
  return absl::StrCat("lowerdir=", absl::StrJoin(layers, ":"));
}

absl::StatusOr<UniqueFd> OpenRoot(const Image& image) {
  if (image.layers.empty()) {
    return OpenFile(image.rootfs, O_PATH | O_DIRECTORY);
  }
  absl::StatusOr<UniqueFd> root = absl::UnknownError("not opened");
  std::thread thread([&] { root = MountAndOpen(OverlayOption(image.layers)); });
  thread.join();
  return root;
}

}  // namespace serai::cri
