// SPDX-License-Identifier: Apache-2.0
#include "cri/containerd/images.h"

#include <set>
#include <utility>
#include <vector>

#include "cri/containerd/find_image.h"
#include "cri/containerd/view_root.h"
#include "spdlog/spdlog.h"

namespace serai::cri {

ContainerdImages::ContainerdImages(std::unique_ptr<ContainerdClient> client,
                                   std::string snapshotter, std::string views)
    : client_(std::move(client)),
      snapshotter_(std::move(snapshotter)),
      views_(*client_, std::move(views), snapshotter_) {}

absl::Status ContainerdImages::MakeRoot(const std::string& chain_id,
                                        const std::string& holder,
                                        Image& image) {
  const auto mounts = views_.Make(holder, chain_id);
  if (absl::IsNotFound(mounts.status()) ||
      absl::IsInvalidArgument(mounts.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "containerd has it, but its snapshotter \"", snapshotter_,
        "\" has not unpacked it (", mounts.status().message(),
        "): pull it again; or let \"snapshotter\" in [passthrough] be the one "
        "of containerd's CRI plugin"));
  }
  RETURN_IF_ERROR(mounts.status());
  auto directories = ViewDirectories(*mounts);
  if (!directories.ok()) {
    views_.Drop(holder);
    return directories.status();
  }
  if (directories->size() == 1) {
    image.rootfs = std::move(directories->front());
  } else {
    image.layers = *std::move(directories);
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> ContainerdImages::Acquire(absl::string_view name,
                                                const std::string& holder) {
  ASSIGN_OR_RETURN(FoundImage found, FindImage(*client_, name));
  RETURN_IF_ERROR(MakeRoot(found.chain_id, holder, found.image), "image ",
                  name);
  return std::move(found.image);
}

absl::Status ContainerdImages::Release(const std::string& holder) {
  views_.Drop(holder);
  return absl::OkStatus();
}

void ContainerdImages::Restore(const std::map<std::string, std::string>& held) {
  std::set<std::string> holders;
  for (const auto& [holder, id] : held) holders.insert(holder);
  const absl::Status status = views_.DropAllBut(holders);
  if (!status.ok()) {
    spdlog::error("views of containerd's images: {}",
                  std::string(status.message()));
  }
}

}  // namespace serai::cri
