// SPDX-License-Identifier: Apache-2.0
#pragma once

// Snapshots of an hvt guest (docs/formats/snapshot.md) as the shim sees them: a
// directory that the tender may write to just for one, and the two files that a
// guest goes on from. The tender is jailed and opens nothing of its own: it is
// handed descriptors, a snapshot's directory at the moment it is wanted.

#include <string>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

// The socket that a tender is handed directories through.
struct SnapshotChannel {
  UniqueFd shim_end;
  UniqueFd tender_end;
};
absl::StatusOr<SnapshotChannel> OpenSnapshotChannel();

// Hands a directory over, for the tender to find when it is asked (SIGUSR2).
absl::Status SendDirectory(int shim_end, int directory);

// A directory that is the tender's user's while it writes there.
class SnapshotDirectory {
 public:
  // Makes it, or takes one that is there and empty. FAILED_PRECONDITION when
  // there is something in it.
  static absl::StatusOr<SnapshotDirectory> Make(const std::string& path);

  int fd() const { return fd_.get(); }

  // Makes the directory and its files root's: the snapshot is whole.
  absl::Status Keep() const;
  // Removes what was written, and the directory when it was made.
  absl::Status Discard() const;

 private:
  SnapshotDirectory(std::string path, bool made, UniqueFd fd)
      : path_(std::move(path)), made_(made), fd_(std::move(fd)) {}

  std::string path_;
  bool made_;
  UniqueFd fd_;
};

// What a guest is restored from.
struct SnapshotFiles {
  UniqueFd machine;
  UniqueFd memory;
};

// Opens the snapshot in `directory`. INVALID_ARGUMENT when there is none. What
// is in the files is the tender's to check.
absl::StatusOr<SnapshotFiles> OpenSnapshot(const std::string& directory);

}  // namespace serai::shim
