// SPDX-License-Identifier: Apache-2.0
#pragma once

// What kind of volume a directory is, told by where kubelet has put it:
// <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>.

#include <string>

namespace serai::guest {

enum class VolumeKind {
  kProjected,   // ConfigMap, Secret, downward API, projected: files to read
  kEmptyDir,    // the pod's own
  kFileSystem,  // all others: PersistentVolumeClaim, hostPath, …
};

// `path` is the directory's, `dir_fd` a descriptor of it. One that is
// no pod's volume, but has kubelet's link `..data`, is kProjected as well.
VolumeKind KindOf(const std::string& path, int dir_fd);

}  // namespace serai::guest
