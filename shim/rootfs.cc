// SPDX-License-Identifier: Apache-2.0
#include "shim/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "lib/base/file.h"

namespace serai::shim {
namespace {

// mount(2) takes one page of options.
constexpr size_t kMaxOptions = 4095;
constexpr int kMaxMounts = 16;

struct Flag {
  absl::string_view option;
  unsigned long set;
};
constexpr Flag kFlags[] = {
    {"ro", MS_RDONLY},
    {"bind", MS_BIND},
    {"rbind", MS_BIND | MS_REC},
    {"nosuid", MS_NOSUID},
    {"nodev", MS_NODEV},
    {"noexec", MS_NOEXEC},
    {"noatime", MS_NOATIME},
    {"relatime", MS_RELATIME},
    {"sync", MS_SYNCHRONOUS},
    {"rw", 0},
    {"suid", 0},
    {"dev", 0},
    {"exec", 0},
    {"defaults", 0},
};

struct Options {
  // Whatever the image brings is data: no device in it is opened as one.
  unsigned long flags = MS_NODEV | MS_NOSUID;
  std::string data;
};

Options Sort(const task::Mount& mount) {
  Options options;
  for (const std::string& option : mount.options()) {
    bool is_flag = false;
    for (const Flag& flag : kFlags) {
      if (flag.option != option) continue;
      options.flags |= flag.set;
      is_flag = true;
    }
    if (is_flag) continue;
    absl::StrAppend(&options.data, options.data.empty() ? "" : ",", option);
  }
  return options;
}

absl::Status MountAt(const task::Mount& mount, const std::string& target) {
  const std::string what = absl::StrCat("mounting ", mount.type(), " ",
                                        mount.source(), " at ", target);
  const Options options = Sort(mount);
  if (options.data.size() > kMaxOptions) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": options of ", options.data.size(),
                     " bytes; the kernel takes no more than ", kMaxOptions,
                     ". An image with fewer layers has shorter ones"));
  }
  if (::mount(mount.source().c_str(), target.c_str(), mount.type().c_str(),
              options.flags, options.data.c_str()) != 0) {
    const int error = errno;
    // Not found is the mount's source, not the task.
    return error == ENOENT ? absl::FailedPreconditionError(absl::StrCat(
                                 what, ": no such file or directory"))
                           : ErrnoStatus(error, what);
  }
  return absl::OkStatus();
}

absl::Status DetachAll(const std::string& path) {
  for (int i = 0; i < kMaxMounts; ++i) {
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
      if (errno == EINVAL || errno == ENOENT) return absl::OkStatus();
      return ErrnoStatus(errno, absl::StrCat("umount ", path));
    }
  }
  return absl::OkStatus();
}

std::string MountPoint(const std::string& bundle) {
  return JoinPath(bundle, "rootfs");
}

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  return OpenFile(path, O_PATH | O_DIRECTORY);
}

absl::StatusOr<UniqueFd> MountAndOpen(const task::CreateTaskRequest& request,
                                      const std::string& target) {
  for (const task::Mount& mount : request.rootfs()) {
    RETURN_IF_ERROR(MountAt(mount, mount.target().empty()
                                       ? target
                                       : JoinPath(target, mount.target())));
  }
  return OpenDirectory(target);
}

}  // namespace

absl::StatusOr<UniqueFd> OpenRoot(const task::CreateTaskRequest& request,
                                  const oci::RuntimeSpec& spec) {
  if (request.rootfs_size() == 0) {
    absl::StatusOr<UniqueFd> root = OpenDirectory(
        spec.root_path[0] == '/' ? spec.root_path
                                 : JoinPath(request.bundle(), spec.root_path));
    RETURN_IF_ERROR(root.status(), "root file system");
    return root;
  }
  if (request.rootfs_size() > kMaxMounts) {
    return absl::InvalidArgumentError(
        absl::StrCat("root file system: more than ", kMaxMounts, " mounts"));
  }
  const std::string target = MountPoint(request.bundle());
  RETURN_IF_ERROR(MakeDirs(target, 0711));
  absl::StatusOr<UniqueFd> root = MountAndOpen(request, target);
  const absl::Status detached = DetachAll(target);
  RETURN_IF_ERROR(FirstError(root.status(), detached), "root file system");
  return root;
}

absl::Status DetachRoot(const std::string& bundle) {
  return DetachAll(MountPoint(bundle));
}

}  // namespace serai::shim
