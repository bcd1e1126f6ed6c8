// SPDX-License-Identifier: Apache-2.0
#include "cri/image/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "cri/image/catalog.h"
#include "cri/image/unpack.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"
#include "lib/oci/archive.h"

namespace serai::cri {
namespace {

constexpr mode_t kRootMode = 0711;
constexpr mode_t kTreeMode = 0755;
// A file that Remove() gives up for its new index.
constexpr char kReserve[] = "reserve";
constexpr off_t kReserveBytes = 64 * 1024;
// What is on its way in or out of unpacked/; never an image's name.
constexpr char kIncoming[] = ".incoming.";
constexpr char kOutgoing[] = ".outgoing.";

absl::StatusOr<UniqueFd> Lock(const std::string& root) {
  const std::string path = JoinPath(root, "lock");
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat("another process uses the image store ", root));
  }
  return ErrnoStatus(errno, absl::StrCat("lock ", path));
}

// The names of an image in an archive that are names here. A word alone is a
// tag without a repository (the OCI layout's own custom), which names nothing.
std::vector<std::string> NamesIn(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    if (word.find_first_of(":/") == word.npos) continue;
    const absl::StatusOr<oci::Reference> reference =
        oci::Reference::Parse(word);
    if (!reference.ok()) continue;
    names.push_back(reference->digest()
                        ? reference->WithDigest(*reference->digest())
                        : reference->Tagged());
  }
  return names;
}

absl::Status AddUsage(const std::string& directory, ImageFsUsage& usage) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error);
  // Files come and go meanwhile; what is gone counts no more.
  for (; !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    struct stat st = {};
    if (::lstat(it->path().c_str(), &st) != 0) continue;
    usage.used_bytes += static_cast<uint64_t>(st.st_blocks) * 512;
    ++usage.used_inodes;
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), absl::StrCat("reading ", directory));
  }
  return absl::OkStatus();
}

}  // namespace

struct ImageStore::State {
  UniqueFd lock;
  // Held over a whole change, the write of index.json included. Taken before
  // `mutex`.
  absl::Mutex changing;
  absl::Mutex mutex;
  std::shared_ptr<const Catalog> catalog ABSL_GUARDED_BY(mutex) =
      std::make_shared<Catalog>();
  int leases ABSL_GUARDED_BY(mutex) = 0;
  bool collecting ABSL_GUARDED_BY(mutex) = false;
  // Image ids by holder.
  std::map<std::string, oci::Digest> held ABSL_GUARDED_BY(mutex);

  bool NotCollecting() const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return !collecting;
  }
  std::shared_ptr<const Catalog> Snapshot() {
    const absl::MutexLock hold(&mutex);
    return catalog;
  }
  std::set<std::string> HeldTrees() {
    const absl::MutexLock hold(&mutex);
    std::set<std::string> names;
    for (const auto& [holder, id] : held) names.insert(std::string(id.hex()));
    return names;
  }
};

ImageStore::ImageStore(std::string root, oci::Layout layout)
    : root_(std::move(root)),
      layout_(std::move(layout)),
      state_(std::make_unique<State>()) {}
ImageStore::~ImageStore() = default;

ImageStore::Lease ImageStore::AcquireLease() {
  State& state = *state_;
  const absl::MutexLock hold(&state.mutex);
  state.mutex.Await(absl::Condition(&state, &State::NotCollecting));
  ++state.leases;
  return Lease(this);
}

ImageStore::Lease::~Lease() {
  if (store_ == nullptr) return;
  {
    State& state = *store_->state_;
    const absl::MutexLock hold(&state.mutex);
    --state.leases;
  }
  // What cannot be removed now is tried again with the next change.
  store_->Collect().IgnoreError();
}

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(
    const std::string& root) {
  RETURN_IF_ERROR(MakeDirs(root, kRootMode));
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(root));
  RETURN_IF_ERROR(MakeDirs(JoinPath(root, "unpacked"), kRootMode));
  ASSIGN_OR_RETURN(oci::Layout layout,
                   oci::Layout::Create(JoinPath(root, "images")));
  std::unique_ptr<ImageStore> store(new ImageStore(root, std::move(layout)));
  store->state_->lock = std::move(lock);
  RETURN_IF_ERROR(store->Recover(), "image store ", root);
  store->KeepReserve();
  return store;
}

void ImageStore::KeepReserve() const {
  const absl::StatusOr<UniqueFd> fd =
      OpenFile(JoinPath(root_, kReserve), O_WRONLY | O_CREAT);
  if (fd.ok()) ::posix_fallocate(fd->get(), 0, kReserveBytes);
}

absl::Status ImageStore::Recover() {
  RETURN_IF_ERROR(layout_.RemoveLeftovers());
  ASSIGN_OR_RETURN(const oci::Index index, layout_.ReadIndex());
  Catalog catalog;
  for (const oci::Descriptor& entry : index.manifests) {
    const auto stored = LoadManifest(layout_, entry);
    // An image that is not whole is pulled again when it is wanted.
    if (!stored.ok() || !Unpack(**stored).ok()) continue;
    const auto name = entry.annotations.find(oci::kAnnotationRefName);
    catalog.Add(name == entry.annotations.end() ? "" : name->second, *stored);
  }
  RETURN_IF_ERROR(Commit(std::move(catalog)));
  return Collect();
}

std::string ImageStore::TreePath(const oci::Digest& id) const {
  return JoinPath(JoinPath(root_, "unpacked"), id.hex());
}

absl::Status ImageStore::Unpack(const StoredManifest& stored) const {
  const std::string path = TreePath(stored.id());
  if (PathExists(path)) return absl::OkStatus();
  const std::string parent = JoinPath(root_, "unpacked");
  std::string temporary = absl::StrCat(JoinPath(parent, kIncoming), "XXXXXX");
  if (::mkdtemp(temporary.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("mkdir in ", parent));
  }
  absl::Status status =
      UnpackLayers(layout_, stored.manifest, stored.config, temporary);
  if (status.ok() && ::chmod(temporary.c_str(), kTreeMode) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("chmod ", temporary));
  }
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) == 0) {
    return absl::OkStatus();
  }
  // Another pull of the same image was faster.
  const bool lost_race = status.ok() && (errno == EEXIST || errno == ENOTEMPTY);
  if (status.ok() && !lost_race) {
    status = ErrnoStatus(errno, absl::StrCat("rename to ", path));
  }
  return FirstError(status, RemoveTree(temporary));
}

absl::Status ImageStore::Commit(Catalog catalog) {
  RETURN_IF_ERROR(FaultPoint("image-commit"));
  const oci::Index index = catalog.ToIndex();
  const absl::StatusOr<oci::Index> written = layout_.ReadIndex();
  if (!written.ok() || oci::ToJson(*written) != oci::ToJson(index)) {
    RETURN_IF_ERROR(layout_.WriteIndex(index));
  }
  const absl::MutexLock hold(&state_->mutex);
  state_->catalog = std::make_shared<const Catalog>(std::move(catalog));
  return absl::OkStatus();
}

absl::Status ImageStore::Collect() {
  State& state = *state_;
  {
    const absl::MutexLock hold(&state.mutex);
    // Another thread's collection may have begun before this one's change, so
    // it is waited for, not relied upon.
    state.mutex.Await(absl::Condition(&state, &State::NotCollecting));
    // The last lease collects.
    if (state.leases > 0) return absl::OkStatus();
    state.collecting = true;
  }
  absl::Status status = CollectNow(*state.Snapshot());
  const absl::MutexLock hold(&state.mutex);
  state.collecting = false;
  return status;
}

absl::Status ImageStore::CollectNow(const Catalog& catalog) const {
  absl::Status status;
  const std::set<oci::Digest> needed = catalog.NeededBlobs();
  ASSIGN_OR_RETURN(const std::vector<oci::Digest> blobs, layout_.ListBlobs());
  for (const oci::Digest& blob : blobs) {
    if (needed.count(blob) != 0) continue;
    status = FirstError(status, layout_.RemoveBlob(blob));
  }
  std::set<std::string> trees = state_->HeldTrees();
  for (const oci::Digest& id : catalog.Ids()) {
    trees.insert(std::string(id.hex()));
  }
  const std::string parent = JoinPath(root_, "unpacked");
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(parent));
  for (const std::string& name : names) {
    if (trees.count(name) != 0) continue;
    std::string path = JoinPath(parent, name);
    // A tree that is half removed must not be taken for an image's.
    if (name[0] != '.') {
      const std::string outgoing =
          absl::StrCat(JoinPath(parent, kOutgoing), name);
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

Image ImageStore::Describe(const Catalog& catalog,
                           const oci::Digest& id) const {
  Image image = catalog.Describe(id);
  image.rootfs = TreePath(id);
  return image;
}

absl::StatusOr<Image> ImageStore::Resolve(absl::string_view name) const {
  const std::shared_ptr<const Catalog> catalog = state_->Snapshot();
  ASSIGN_OR_RETURN(const oci::Digest id, catalog->Resolve(name));
  return Describe(*catalog, id);
}

absl::StatusOr<Image> ImageStore::Acquire(absl::string_view name,
                                          const std::string& holder) {
  State& state = *state_;
  const absl::MutexLock hold(&state.mutex);
  // What is being collected is not in the catalog any more.
  ASSIGN_OR_RETURN(const oci::Digest id, state.catalog->Resolve(name));
  state.held.insert_or_assign(holder, id);
  return Describe(*state.catalog, id);
}

absl::Status ImageStore::Release(const std::string& holder) {
  {
    const absl::MutexLock hold(&state_->mutex);
    if (state_->held.erase(holder) == 0) return absl::OkStatus();
  }
  return Collect();
}

void ImageStore::Restore(const std::map<std::string, std::string>& held) {
  const absl::MutexLock hold(&state_->mutex);
  state_->held.clear();
  for (const auto& [holder, text] : held) {
    absl::StatusOr<oci::Digest> id = oci::Digest::Parse(text);
    if (id.ok()) state_->held.emplace(holder, *std::move(id));
  }
}

std::vector<Image> ImageStore::List() const {
  const std::shared_ptr<const Catalog> catalog = state_->Snapshot();
  std::vector<Image> images;
  for (const oci::Digest& id : catalog->Ids()) {
    images.push_back(Describe(*catalog, id));
  }
  return images;
}

absl::StatusOr<Image> ImageStore::Put(const oci::Reference& reference,
                                      const oci::Descriptor& manifest,
                                      const oci::Digest& resolved) {
  const Lease lease = AcquireLease();
  ASSIGN_OR_RETURN(const auto stored, LoadManifest(layout_, manifest));
  RETURN_IF_ERROR(Unpack(*stored), reference.ToString());
  const absl::MutexLock hold(&state_->changing);
  Catalog catalog = *state_->Snapshot();
  // Who asks for a digest has not been told what the tag is.
  if (!reference.digest()) catalog.Add(reference.Tagged(), stored);
  catalog.Add(reference.WithDigest(resolved), stored);
  RETURN_IF_ERROR(Commit(catalog));
  return Describe(catalog, stored->id());
}

absl::StatusOr<std::vector<Image>> ImageStore::Import(
    int fd, const std::optional<oci::Reference>& name) {
  const Lease lease = AcquireLease();
  ASSIGN_OR_RETURN(const std::vector<oci::ArchiveImage> found,
                   oci::ReadArchive(fd, layout_));
  if (name && found.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the archive has ", found.size(),
                     " images; only one can be called ", name->Familiar()));
  }
  std::vector<std::pair<std::string, std::shared_ptr<const StoredManifest>>>
      arrivals;
  for (const oci::ArchiveImage& image : found) {
    ASSIGN_OR_RETURN(const auto stored, LoadManifest(layout_, image.manifest));
    RETURN_IF_ERROR(Unpack(*stored));
    const std::vector<std::string> names = NamesIn(
        name ? std::vector<std::string>{name->ToString()} : image.names);
    for (const std::string& each : names) arrivals.emplace_back(each, stored);
    if (names.empty()) arrivals.emplace_back("", stored);
  }
  const absl::MutexLock hold(&state_->changing);
  Catalog catalog = *state_->Snapshot();
  for (const auto& [each, stored] : arrivals) catalog.Add(each, stored);
  RETURN_IF_ERROR(Commit(catalog));
  std::vector<Image> images;
  std::set<oci::Digest> seen;
  for (const auto& [each, stored] : arrivals) {
    if (!seen.insert(stored->id()).second) continue;
    images.push_back(Describe(catalog, stored->id()));
  }
  return images;
}

absl::Status ImageStore::Remove(absl::string_view name) {
  {
    const absl::MutexLock hold(&state_->changing);
    Catalog catalog = *state_->Snapshot();
    if (!catalog.Resolve(name).ok()) return absl::OkStatus();
    catalog.Remove(name);
    absl::Status committed = Commit(catalog);
    if (absl::IsResourceExhausted(committed)) {
      RETURN_IF_ERROR(RemovePath(JoinPath(root_, kReserve)));
      committed = Commit(std::move(catalog));
    }
    RETURN_IF_ERROR(committed);
  }
  RETURN_IF_ERROR(Collect());
  KeepReserve();
  return absl::OkStatus();
}

absl::StatusOr<ImageFsUsage> ImageStore::Usage() const {
  ImageFsUsage usage;
  usage.mountpoint = root_;
  RETURN_IF_ERROR(AddUsage(layout_.directory(), usage));
  RETURN_IF_ERROR(AddUsage(JoinPath(root_, "unpacked"), usage));
  return usage;
}

}  // namespace serai::cri
