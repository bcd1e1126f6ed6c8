// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/kubelet_volume.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace serai::guest {
namespace {

// "configmap" of …/pods/<uid>/volumes/kubernetes.io~configmap/<name>; empty for
// another path.
absl::string_view PluginOf(absl::string_view path) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(path, '/', absl::SkipEmpty());
  if (parts.size() < 5) return "";
  const auto* const last = parts.data() + parts.size() - 5;
  absl::string_view plugin = last[3];
  if (last[0] != "pods" || last[2] != "volumes" ||
      !absl::ConsumePrefix(&plugin, "kubernetes.io~")) {
    return "";
  }
  return plugin;
}

// Whether kubelet has mounted it for a pod: …/pods/<uid>/volumes/… or
// …/volume-subpaths/…. A CSI volume is deeper than its name ("/mount").
bool IsOfPod(absl::string_view path) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(path, '/', absl::SkipEmpty());
  for (size_t i = 0; i + 2 < parts.size(); ++i) {
    if (parts[i] == "pods" &&
        (parts[i + 2] == "volumes" || parts[i + 2] == "volume-subpaths")) {
      return true;
    }
  }
  return false;
}

bool HasDataLink(int dir_fd) {
  struct stat st = {};
  return ::fstatat(dir_fd, "..data", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(st.st_mode);
}

}  // namespace

VolumeKind KindOf(const std::string& path, int dir_fd) {
  const absl::string_view plugin = PluginOf(path);
  if (plugin == "empty-dir") return VolumeKind::kEmptyDir;
  for (const char* projected :
       {"configmap", "secret", "downward-api", "projected"}) {
    if (plugin == projected) return VolumeKind::kProjected;
  }
  // In a claim the link may be a pod's own, which would have its files copied.
  return !IsOfPod(path) && HasDataLink(dir_fd) ? VolumeKind::kProjected
                                               : VolumeKind::kFileSystem;
}

}  // namespace serai::guest
