// SPDX-License-Identifier: Apache-2.0
#pragma once

// What stands behind a guest's block device: the volume whose path in the
// container ends in the device's name, else a file of the image that the pod's
// annotation, or the image's, names for it.
//
//   a file or a block device    itself
//   ConfigMap, Secret, …        a tar of its files, read-only (tar_image.h)
//   emptyDir                    a raw image in it (empty_dir.h)
//   an image                    a tar of its files, read-only
//   another directory           the raw image in it (disk_file.h)

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/guest/empty_dir.h"
#include "lib/guest/tar_image.h"
#include "lib/oci/guest_devices.h"

namespace serai::guest {

// Annotation of a pod: as the image's, which the shim does not see under
// containerd.
inline constexpr char kPodAnnotationBlock[] = "serai.dev/block.";

// Annotations or labels of an image, each followed by a device's name: the
// path of the file in the image that is the device; what volume the guest wants
// there, in words such as "configmap" or "emptyDir 1Gi".
inline constexpr char kImageBlock[] = "dev.serai.block.";
inline constexpr char kImageVolume[] = "dev.serai.volume.";

// The directory in a bundle of what was made for the devices of its container.
inline constexpr char kImagesInBundle[] = "devices";

struct Volume {
  std::string place;  // in the container
  std::string path;   // on the host
  bool read_only = false;
  // Of an image that is a volume, which has no path: makes a tar of its files
  // and gives the tar's path.
  std::function<absl::StatusOr<std::string>()> make_tar = {};
};

struct BlockSources {
  std::vector<Volume> volumes;  // of two that would do, the first
  // The container's bundle, in which images are made; need not be there yet.
  std::string bundle;
  int64_t empty_dir_size = kDefaultEmptyDirSize;
  std::map<std::string, std::string> pod_annotations;
  int image_root = -1;  // a descriptor of the image's root directory
  std::map<std::string, std::string> image_words;
};

// What the tars in the bundle of one container may still take, in bytes: they
// are in memory, on the node's account.
struct TarBudget {
  uint64_t left = kProjectedLimits.bytes;
};

// Makes what has to be made: in the bundle, which whoever owns it removes also
// after an error; in an emptyDir. INVALID_ARGUMENT where the pod's author or
// the image's is to blame, with a sentence that is said behind the device's
// name; else as errno says. What is made is taken off the `budget`.
absl::StatusOr<oci::GuestDevice> FindBlockDevice(const std::string& name,
                                                 const BlockSources& sources,
                                                 TarBudget& budget);

}  // namespace serai::guest
