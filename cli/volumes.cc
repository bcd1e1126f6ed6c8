// SPDX-License-Identifier: Apache-2.0
#include "cli/volumes.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "lib/base/file.h"

namespace serai::cli {
namespace {

constexpr char kDefaultBase[] = "/var/lib/serai/run";

std::string PodDirectory(const std::string& uid) {
  const char* const base = std::getenv("SERAI_VOLUME_DIR");
  return JoinPath(base == nullptr || *base == '\0' ? kDefaultBase : base,
                  absl::StrCat("pods/", uid));
}

}  // namespace

absl::Status MakeEmptyDirs(PodManifest& manifest, Rollback& rollback) {
  if (manifest.empty_dirs.empty()) return absl::OkStatus();
  const std::string uid = manifest.sandbox.metadata().uid();
  rollback.Add("removing its volumes", [uid] { return RemoveEmptyDirs(uid); });
  for (const auto& [mount, name] : manifest.empty_dirs) {
    const std::string path =
        JoinPath(PodDirectory(uid),
                 absl::StrCat("volumes/kubernetes.io~empty-dir/", name));
    RETURN_IF_ERROR(MakeDirs(path));
    manifest.container.mutable_mounts(mount)->set_host_path(path);
  }
  return absl::OkStatus();
}

absl::Status RemoveEmptyDirs(const std::string& uid) {
  // It comes from the server, and is part of a path.
  const bool plain =
      !uid.empty() && std::all_of(uid.begin(), uid.end(), [](char c) {
        return c == '-' || absl::ascii_isalnum(static_cast<unsigned char>(c));
      });
  return plain ? RemoveTree(PodDirectory(uid)) : absl::OkStatus();
}

}  // namespace serai::cli
