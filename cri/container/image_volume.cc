// SPDX-License-Identifier: Apache-2.0
#include "cri/container/image_volume.h"

#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "cri/image/root.h"
#include "lib/base/file.h"
#include "lib/guest/tar_image.h"
#include "lib/oci/rootfs.h"

namespace serai::cri {
namespace {

absl::Status CopyFiles(const Image& image, const std::string& sub_path,
                       const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd root, OpenRoot(image));
  const std::string inside = sub_path.empty() ? "/" : sub_path;
  ASSIGN_OR_RETURN(const UniqueFd directory,
                   oci::OpenInRoot(root.get(), inside, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const UniqueFd tar,
                   OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  return guest::WriteImageTar(directory.get(), guest::kImageLimits, tar.get());
}

// "data" of "/mnt/data" and of "/mnt/data/".
std::string LastName(absl::string_view path) {
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  return std::string(path.substr(path.find_last_of('/') + 1));
}

// The pod's author or the image is at fault, not the caller's id.
absl::Status NoNotFound(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::InvalidArgumentError(status.message())
                                  : status;
}

}  // namespace

absl::StatusOr<std::string> MakeImageVolume(ImageSource& images,
                                            const runtime::v1::Mount& mount,
                                            const std::string& container,
                                            const std::string& directory) {
  const std::string& name = mount.image().image();
  RETURN_IF_ERROR(MakeDirs(directory));
  const std::string device = LastName(mount.container_path());
  const std::string path = JoinPath(directory, absl::StrCat(device, ".tar"));
  // Of this mount alone: what another one held may still be being released.
  const std::string holder = absl::StrCat(container, ".volume.", device);
  absl::StatusOr<Image> image = images.Acquire(name, holder);
  RETURN_IF_ERROR(NoNotFound(image.status()), "image ", name);
  absl::Status status = CopyFiles(*image, mount.image_sub_path(), path);
  status = FirstError(NoNotFound(status), images.Release(holder));
  RETURN_IF_ERROR(status, "image ", name);
  return path;
}

}  // namespace serai::cri
