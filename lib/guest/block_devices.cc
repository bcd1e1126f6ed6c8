// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/block_devices.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "lib/base/beneath.h"
#include "lib/base/file.h"
#include "lib/guest/disk_file.h"
#include "lib/guest/kubelet_volume.h"
#include "lib/guest/tar_image.h"
#include "lib/oci/rootfs.h"

namespace serai::guest {
namespace {

using oci::GuestDevice;

GuestDevice BlockDevice(const std::string& name, const std::string& path,
                        bool read_only) {
  GuestDevice device;
  device.name = name;
  device.type = GuestDevice::Type::kBlock;
  device.path = path;
  device.read_only = read_only;
  return device;
}

absl::StatusOr<int64_t> SizeOf(int fd) {
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return ErrnoStatus(errno, "fstat");
  return st.st_size;
}

// The file `file` in the directory of `volume`, which others may write to.
absl::StatusOr<GuestDevice> FileIn(int dir_fd, const std::string& name,
                                   const Volume& volume,
                                   const std::string& file) {
  const absl::StatusOr<UniqueFd> disk =
      OpenRegularBeneath(dir_fd, file, O_RDONLY);
  // Not the caller's id: no NOT_FOUND.
  if (absl::IsNotFound(disk.status())) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, " is a symbolic link that leads nowhere, or was removed"));
  }
  RETURN_IF_ERROR(disk.status());
  ASSIGN_OR_RETURN(const int64_t size, SizeOf(disk->get()));
  RETURN_IF_ERROR(CheckDiskSize(size), file);
  GuestDevice device =
      BlockDevice(name, JoinPath(volume.path, file), volume.read_only);
  device.beneath = device.path.substr(0, device.path.size() - file.size() - 1);
  return device;
}

absl::StatusOr<GuestDevice> TarOf(int dir_fd, const std::string& name,
                                  const std::string& bundle,
                                  TarBudget& budget) {
  const std::string directory = JoinPath(bundle, kImagesInBundle);
  RETURN_IF_ERROR(MakeDirs(directory));
  const std::string path = JoinPath(directory, absl::StrCat(name, ".tar"));
  // One that is there is of a try that was given up.
  RETURN_IF_ERROR(RemovePath(path));
  ASSIGN_OR_RETURN(const UniqueFd tar,
                   OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  TarLimits limits = kProjectedLimits;
  limits.bytes = budget.left;
  RETURN_IF_ERROR(WriteProjectedTar(dir_fd, limits, tar.get()));
  ASSIGN_OR_RETURN(const int64_t size, SizeOf(tar.get()));
  budget.left -= std::min(budget.left, static_cast<uint64_t>(size));
  return BlockDevice(name, path, true);
}

absl::StatusOr<GuestDevice> EmptyDirDisk(int dir_fd, const std::string& name,
                                         const Volume& volume,
                                         const BlockSources& sources) {
  const std::string file = DiskFileName(name);
  ASSIGN_OR_RETURN(const int64_t size,
                   EmptyDirSize(dir_fd, name, sources.pod_annotations,
                                sources.empty_dir_size));
  RETURN_IF_ERROR(MakeEmptyDirImage(dir_fd, file, size));
  return FileIn(dir_fd, name, volume, file);
}

absl::StatusOr<GuestDevice> OfDirectory(const std::string& name,
                                        const Volume& volume,
                                        const BlockSources& sources,
                                        TarBudget& budget) {
  ASSIGN_OR_RETURN(const UniqueFd directory,
                   OpenFile(volume.path, O_PATH | O_DIRECTORY));
  switch (KindOf(volume.path, directory.get())) {
    case VolumeKind::kProjected:
      return TarOf(directory.get(), name, sources.bundle, budget);
    case VolumeKind::kEmptyDir:
      return EmptyDirDisk(directory.get(), name, volume, sources);
    case VolumeKind::kFileSystem:
      break;
  }
  ASSIGN_OR_RETURN(const std::string file, FindDiskFile(directory.get(), name));
  return FileIn(directory.get(), name, volume, file);
}

absl::StatusOr<GuestDevice> OfVolume(const std::string& name,
                                     const Volume& volume,
                                     const BlockSources& sources,
                                     TarBudget& budget) {
  if (volume.make_tar) {
    ASSIGN_OR_RETURN(const std::string tar, volume.make_tar());
    return BlockDevice(name, tar, true);
  }
  struct stat st = {};
  if (::stat(volume.path.c_str(), &st) != 0) {
    return absl::InvalidArgumentError("is not there");
  }
  if (S_ISDIR(st.st_mode)) return OfDirectory(name, volume, sources, budget);
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
    return absl::InvalidArgumentError(
        "is neither a file nor a block device nor a directory");
  }
  if (S_ISREG(st.st_mode)) RETURN_IF_ERROR(CheckDiskSize(st.st_size));
  return BlockDevice(name, volume.path, volume.read_only);
}

absl::StatusOr<GuestDevice> OfImage(const std::string& name,
                                    const std::string& path, int root) {
  const absl::StatusOr<oci::RootFile> file = oci::OpenRegularInRoot(root, path);
  // The image is at fault, not the caller's id: no NOT_FOUND.
  if (absl::IsNotFound(file.status()) ||
      absl::IsFailedPrecondition(file.status())) {
    return absl::InvalidArgumentError(file.status().message());
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const int64_t size, SizeOf(file->fd.get()));
  RETURN_IF_ERROR(CheckDiskSize(size));
  GuestDevice device = BlockDevice(name, file->path, true);
  device.in_image = true;
  return device;
}

// "data" of "/mnt/data" and of "/mnt/data/".
absl::string_view LastName(absl::string_view path) {
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  return path.substr(path.find_last_of('/') + 1);
}

// Of the file of the image that is named for the device; empty: none.
std::string PathInImage(const std::string& name, const BlockSources& sources) {
  const auto pods = sources.pod_annotations.find(kPodAnnotationBlock + name);
  if (pods != sources.pod_annotations.end()) return pods->second;
  const auto images = sources.image_words.find(kImageBlock + name);
  return images == sources.image_words.end() ? "" : images->second;
}

absl::Status Missing(const std::string& name, const BlockSources& sources) {
  std::string hint;
  const auto wanted = sources.image_words.find(kImageVolume + name);
  if (wanted != sources.image_words.end()) {
    hint = absl::StrCat(" (the image wants: ", wanted->second, ")");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("give the container a volume", hint,
                   " whose devicePath or mountPath ends in \"/", name, "\""));
}

}  // namespace

absl::StatusOr<GuestDevice> FindBlockDevice(const std::string& name,
                                            const BlockSources& sources,
                                            TarBudget& budget) {
  const auto volume = std::find_if(
      sources.volumes.begin(), sources.volumes.end(),
      [&](const Volume& entry) { return LastName(entry.place) == name; });
  if (volume != sources.volumes.end()) {
    ASSIGN_OR_RETURN(GuestDevice device,
                     OfVolume(name, *volume, sources, budget), "its volume ",
                     volume->path.empty() ? volume->place : volume->path);
    return device;
  }
  const std::string path = PathInImage(name, sources);
  if (path.empty() || sources.image_root < 0) return Missing(name, sources);
  ASSIGN_OR_RETURN(GuestDevice device, OfImage(name, path, sources.image_root),
                   "the image's file ", path);
  return device;
}

}  // namespace serai::guest
