// SPDX-License-Identifier: Apache-2.0
#include "cri/image/trees.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"

namespace serai::cri {
namespace {

constexpr mode_t kTreeMode = 0755;
// What is on its way in or out; never an image's name.
constexpr char kIncoming[] = ".incoming.";
constexpr char kOutgoing[] = ".outgoing.";

}  // namespace

std::string Trees::PathOf(const oci::Digest& id) const {
  return JoinPath(directory_, id.hex());
}

absl::StatusOr<std::string> Trees::MakeScratch() {
  std::string path = absl::StrCat(JoinPath(directory_, kIncoming), "XXXXXX");
  const absl::MutexLock lock(&mutex_);
  if (::mkdtemp(path.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("mkdir in ", directory_));
  }
  scratches_.insert(path);
  return path;
}

void Trees::EndScratch(const std::string& path) {
  const absl::MutexLock lock(&mutex_);
  scratches_.erase(path);
}

bool Trees::IsInUse(const std::string& path) {
  const absl::MutexLock lock(&mutex_);
  return scratches_.count(path) != 0;
}

absl::Status Trees::Make(const oci::Layout& layout,
                         const StoredManifest& stored,
                         const Unpacker::Cancelled& cancelled) {
  const std::string path = PathOf(stored.id());
  // By the manifest: with other layers for the same config, a stranger's may
  // take as long as it likes.
  ASSIGN_OR_RETURN(
      const Turns::Turn turn,
      unpacking_.Take(stored.descriptor.digest.ToString(), cancelled));
  if (PathExists(path)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string scratch, MakeScratch());
  const absl::Cleanup end = [&] { EndScratch(scratch); };
  absl::Status status = unpacker_.UnpackLayers(
      layout, stored.manifest, stored.config, scratch, cancelled);
  if (status.ok() && ::chmod(scratch.c_str(), kTreeMode) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("chmod ", scratch));
  }
  if (status.ok()) {
    if (::rename(scratch.c_str(), path.c_str()) == 0) return status;
    // Where another manifest has made it, it is the same: layers are what the
    // config says.
    if (errno != EEXIST && errno != ENOTEMPTY) {
      status = ErrnoStatus(errno, absl::StrCat("rename to ", path));
    }
  }
  return FirstError(status, RemoveTree(scratch));
}

absl::StatusOr<std::vector<oci::ArchiveImage>> Trees::ReadArchive(
    int fd, const oci::Layout& layout, const Unpacker::Keep& keep,
    const Unpacker::Cancelled& cancelled) {
  ASSIGN_OR_RETURN(const std::string scratch, MakeScratch());
  const absl::Cleanup end = [&] { EndScratch(scratch); };
  auto images = unpacker_.ReadArchive(fd, scratch, layout, keep, cancelled);
  const absl::Status removed = RemoveTree(scratch);
  if (images.ok() && !removed.ok()) return removed;
  return images;
}

absl::Status Trees::RemoveOthers(const std::set<oci::Digest>& ids) {
  std::set<std::string> kept;
  for (const oci::Digest& id : ids) kept.insert(std::string(id.hex()));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory_));
  absl::Status status;
  for (const std::string& name : names) {
    std::string path = JoinPath(directory_, name);
    if (kept.count(name) != 0 || IsInUse(path)) continue;
    // A tree that is half removed must not be taken for an image's.
    if (name[0] != '.') {
      const std::string outgoing =
          absl::StrCat(JoinPath(directory_, kOutgoing), name);
      if (::rename(path.c_str(), outgoing.c_str()) != 0) {
        status = FirstError(status, ErrnoStatus(errno, "rename " + path));
        continue;
      }
      path = outgoing;
    }
    status = FirstError(status, RemoveTree(path));
  }
  return status;
}

absl::StatusOr<DiskUsage> Trees::Usage() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(directory_));
  const absl::MutexLock lock(&mutex_);
  std::map<std::string, DiskUsage> measured;
  DiskUsage sum;
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory_, name);
    const auto known = measured_.find(name);
    DiskUsage usage = UsageOf(path);
    if (known != measured_.end()) {
      usage = known->second;
    } else {
      ASSIGN_OR_RETURN(const DiskUsage below, UsageBelow(path));
      usage += below;
    }
    if (name[0] != '.') measured[name] = usage;
    sum += usage;
  }
  measured_ = std::move(measured);
  return sum;
}

}  // namespace serai::cri
