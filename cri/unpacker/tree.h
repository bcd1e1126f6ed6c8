// SPDX-License-Identifier: Apache-2.0
#pragma once

// A root file system while it is being unpacked. The names come from an image
// and are hostile; each is resolved by the kernel inside the tree
// (lib/oci/rootfs.h), and what is made is a regular file, a directory or a
// symbolic link, owned by us, without set-id bits.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::cri {

// One thread. Errors about names are INVALID_ARGUMENT and name the entry.
class Tree {
 public:
  // `root` must exist and be the caller's alone.
  static absl::StatusOr<Tree> Open(const std::string& root);

  // Whiteouts hide what came before this call, not what comes after it.
  void BeginLayer() { made_.clear(); }

  // `path` is what stands in a layer: "./a/b", "/a/b" and "a//b" are the same.
  // What was at that place goes, unless both are directories.
  absl::Status MakeDirectory(absl::string_view path, uint32_t mode);
  absl::Status MakeSymlink(absl::string_view path, const std::string& target);
  absl::Status MakeHardLink(absl::string_view path, absl::string_view target);
  // An empty file, open for writing.
  absl::StatusOr<UniqueFd> MakeFile(absl::string_view path, uint32_t mode);

  // Removes `name` of earlier layers, with all below it (image-spec layer.md,
  // "Whiteouts"): `path` is the name that is gone, without ".wh.".
  absl::Status Whiteout(absl::string_view path);
  // Removes all that earlier layers have in the directory `path`.
  absl::Status MakeOpaque(absl::string_view path);

 private:
  // A name and the directory that it stands in.
  struct Place {
    UniqueFd directory;
    std::string name;
    bool IsRoot() const { return name.empty(); }
  };

  explicit Tree(UniqueFd root) : root_(std::move(root)) {}
  absl::StatusOr<Place> Locate(absl::string_view path, bool make_parents);
  absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path,
                                         bool make_parents);
  absl::Status Clear(const Place& place);
  absl::Status Remember(const Place& place);

  UniqueFd root_;
  // Inodes of this layer's entries and of the directories above them.
  std::unordered_set<ino_t> made_;
};

}  // namespace serai::cri
