// SPDX-License-Identifier: Apache-2.0
#pragma once

// The images' root file systems, each unpacked once and never changed:
//
//   <directory>/<config hex>/  files, directories and symbolic links only
//
// A tree appears under its name whole and synced, or not at all.

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/image/catalog.h"
#include "cri/image/disk_usage.h"
#include "cri/image/turns.h"
#include "cri/image/unpacker.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"

namespace serai::cri {

// Any method from any thread.
class Trees {
 public:
  // The directory must exist. Its owner is the only one who comes into it.
  Trees(std::string directory, UnpackerOptions options)
      : directory_(std::move(directory)), unpacker_(std::move(options)) {}

  std::string PathOf(const oci::Digest& id) const;

  // Makes the image's tree unless it is there; callers with the same manifest
  // share the work, one with another of the same image does not wait for them.
  // The errors are Unpacker's; then nothing is left.
  absl::Status Make(const oci::Layout& layout, const StoredManifest& stored,
                    const Unpacker::Cancelled& cancelled);

  // Stores the blobs of an archive in `layout`: see Unpacker::ReadArchive().
  absl::StatusOr<std::vector<oci::ArchiveImage>> ReadArchive(
      int fd, const oci::Layout& layout, const Unpacker::Keep& keep,
      const Unpacker::Cancelled& cancelled);

  // Removes all but the trees of these images, those being made, and what a
  // crash left. Of an image that is not named none may be made meanwhile.
  absl::Status RemoveOthers(const std::set<oci::Digest>& ids);

  // What they take of the disk. Cheap: a tree is measured once.
  absl::StatusOr<DiskUsage> Usage();

 private:
  // The path of an empty directory that RemoveOthers() passes over until
  // EndScratch(), before which it is to be renamed or removed.
  absl::StatusOr<std::string> MakeScratch();
  void EndScratch(const std::string& path);
  bool IsInUse(const std::string& path);

  const std::string directory_;
  const Unpacker unpacker_;
  Turns unpacking_;
  absl::Mutex mutex_;
  // By name in the directory.
  std::map<std::string, DiskUsage> measured_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> scratches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
