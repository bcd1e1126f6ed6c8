// SPDX-License-Identifier: Apache-2.0
#include "cri/containerd/view_root.h"

#include <climits>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cri/image/root.h"

namespace serai::cri {
namespace {

// Options that change nothing for who only reads.
constexpr absl::string_view kHarmless[] = {
    "ro",       "bind",      "rbind",        "nosuid",
    "nodev",    "noexec",    "noatime",      "nodiratime",
    "relatime", "index=off", "metacopy=off", "redirect_dir=off"};

absl::Status Refuse(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(
      "containerd's snapshotter gives ", what,
      ": a read-only bind mount or overlay is wanted, as its \"overlayfs\" and "
      "\"native\" give"));
}

// Clean, so that what is checked is what is opened; and nothing that would be
// something else in an overlay's option.
bool IsPlainPath(absl::string_view path) {
  if (!absl::StartsWith(path, "/") || path.size() >= PATH_MAX ||
      path.find_first_of(absl::string_view(":,\\\0", 4)) != path.npos) {
    return false;
  }
  return absl::c_all_of(absl::StrSplit(path.substr(1), '/'),
                        [](absl::string_view part) {
                          return !part.empty() && part != "." && part != "..";
                        });
}

absl::StatusOr<std::vector<std::string>> Checked(
    std::vector<std::string> directories) {
  for (const std::string& directory : directories) {
    if (!IsPlainPath(directory)) {
      return Refuse(absl::StrCat("the directory \"", directory, "\""));
    }
  }
  if (OverlayOption(directories).size() > kMaxMountOptions) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the image has ", directories.size(),
        " layers, whose paths are longer than the ", kMaxMountOptions,
        " bytes that a mount takes: an image with fewer layers is wanted"));
  }
  return directories;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ViewDirectories(
    const std::vector<ViewMount>& mounts) {
  if (mounts.size() != 1) {
    return Refuse(absl::StrCat(mounts.size(), " mounts"));
  }
  const ViewMount& mount = mounts.front();
  const bool is_bind = mount.type == "bind";
  if (!is_bind && mount.type != "overlay") {
    return Refuse(absl::StrCat("a mount of type \"", mount.type, "\""));
  }
  if (!mount.target.empty()) return Refuse("a mount inside of another");
  std::vector<std::string> directories;
  for (absl::string_view option : mount.options) {
    const absl::string_view whole = option;
    if (absl::c_linear_search(kHarmless, option)) continue;
    if (is_bind || !absl::ConsumePrefix(&option, "lowerdir=") ||
        !directories.empty()) {
      return Refuse(absl::StrCat("the mount option \"", whole, "\""));
    }
    directories = absl::StrSplit(option, ':');
  }
  if (is_bind) directories = {mount.source};
  if (directories.empty()) return Refuse("an overlay of nothing");
  return Checked(std::move(directories));
}

}  // namespace serai::cri
