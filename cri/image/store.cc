// SPDX-License-Identifier: Apache-2.0
#include "cri/image/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "cri/image/catalog.h"
#include "cri/image/disk_usage.h"
#include "cri/image/pattern.h"
#include "cri/image/trees.h"
#include "lib/base/fault.h"
#include "lib/base/file.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr mode_t kRootMode = 0711;
// The unpacker's files are its user's for a moment.
constexpr mode_t kUnpackedMode = 0700;
// A file that Remove() gives up for its new index.
constexpr char kReserve[] = "reserve";
constexpr off_t kMinReserve = 64 * 1024;

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

// Content that will not come back by itself.
bool IsLost(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsDataLoss(status) ||
         absl::IsInvalidArgument(status);
}

bool IsPinned(const Image& image, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return false;
  const auto matches = [&](const std::string& name) {
    const absl::StatusOr<oci::Reference> reference =
        oci::Reference::Parse(name);
    return MatchesAny(name, patterns) ||
           (reference.ok() && MatchesAny(reference->Name(), patterns));
  };
  return std::any_of(image.repo_tags.begin(), image.repo_tags.end(), matches) ||
         std::any_of(image.repo_digests.begin(), image.repo_digests.end(),
                     matches);
}

}  // namespace

struct ImageStore::State {
  State(std::string directory, UnpackerOptions unpacker)
      : trees(std::move(directory), std::move(unpacker)) {}

  UniqueFd lock;
  Trees trees;
  // Held over a whole change, the write of index.json included. Taken before
  // `mutex`.
  absl::Mutex changing;
  absl::Mutex mutex;
  std::shared_ptr<const Catalog> catalog ABSL_GUARDED_BY(mutex) =
      std::make_shared<Catalog>();
  // By leases; each as often as it is.
  std::multiset<oci::Digest> kept ABSL_GUARDED_BY(mutex);
  bool collecting ABSL_GUARDED_BY(mutex) = false;
  bool restored ABSL_GUARDED_BY(mutex) = false;
  // The id of the image that each has.
  std::map<std::string, oci::Digest> holders ABSL_GUARDED_BY(mutex);

  bool NotCollecting() const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return !collecting;
  }
  std::shared_ptr<const Catalog> Snapshot() {
    const absl::MutexLock hold(&mutex);
    return catalog;
  }
  std::set<oci::Digest> Held() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::set<oci::Digest> held;
    for (const auto& [holder, id] : holders) held.insert(id);
    return held;
  }
};

ImageStore::ImageStore(std::string root, oci::Layout layout,
                       ImageStoreOptions options)
    : root_(std::move(root)),
      layout_(std::move(layout)),
      options_(std::move(options)),
      state_(std::make_unique<State>(JoinPath(root_, "unpacked"),
                                     options_.unpacker)) {}
ImageStore::~ImageStore() = default;

void ImageStore::Lease::Keep(const oci::Digest& digest) {
  State& state = *store_->state_;
  const absl::MutexLock hold(&state.mutex);
  // One that has begun does not know of it.
  state.mutex.Await(absl::Condition(&state, &State::NotCollecting));
  state.kept.insert(digest);
  kept_.push_back(digest);
}

ImageStore::Lease::~Lease() {
  if (store_ == nullptr) return;
  {
    State& state = *store_->state_;
    const absl::MutexLock hold(&state.mutex);
    for (const oci::Digest& digest : kept_) {
      state.kept.erase(state.kept.find(digest));
    }
  }
  store_->CollectOrTell();
}

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(
    const std::string& root, const ImageStoreOptions& options) {
  RETURN_IF_ERROR(MakeDirs(root, kRootMode));
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(root));
  const std::string unpacked = JoinPath(root, "unpacked");
  RETURN_IF_ERROR(MakeDirs(unpacked, kUnpackedMode));
  if (::chmod(unpacked.c_str(), kUnpackedMode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod ", unpacked));
  }
  ASSIGN_OR_RETURN(oci::Layout layout,
                   oci::Layout::Create(JoinPath(root, "images")));
  std::unique_ptr<ImageStore> store(
      new ImageStore(root, std::move(layout), options));
  store->state_->lock = std::move(lock);
  RETURN_IF_ERROR(store->Recover(), "image store ", root);
  store->KeepReserve();
  return store;
}

void ImageStore::KeepReserve() const {
  const absl::StatusOr<UniqueFd> fd =
      OpenFile(JoinPath(root_, kReserve), O_WRONLY | O_CREAT);
  if (!fd.ok()) return;
  struct stat index = {};
  ::stat(JoinPath(layout_.directory(), "index.json").c_str(), &index);
  // With the names that come while the disk is full.
  ::posix_fallocate(fd->get(), 0, std::max(kMinReserve, 2 * index.st_size));
}

void ImageStore::Load(const oci::Descriptor& entry, bool tell,
                      Catalog& catalog) const {
  const auto annotation = entry.annotations.find(oci::kAnnotationRefName);
  const std::string name =
      annotation == entry.annotations.end() ? "" : annotation->second;
  auto stored = LoadManifest(layout_, entry);
  if (!stored.ok()) {
    const bool lost = IsLost(stored.status());
    if (!lost) catalog.AddUnread(entry);
    if (!lost && !tell) return;
    spdlog::warn("image {} ({}): {}: {}", name, entry.digest.ToString(),
                 lost ? "forgotten, pull or load it again"
                      : "can't be read now, to be tried again",
                 std::string(stored.status().message()));
  } else if (entry.annotations.count(kAnnotationRemoved) != 0) {
    catalog.AddRemoved(*std::move(stored));
  } else {
    catalog.Add(name, *std::move(stored));
  }
}

absl::Status ImageStore::Recover() {
  RETURN_IF_ERROR(layout_.RemoveLeftovers());
  ASSIGN_OR_RETURN(const oci::Index index, layout_.ReadIndex());
  Catalog catalog;
  for (const oci::Descriptor& entry : index.manifests) {
    Load(entry, /*tell=*/true, catalog);
  }
  for (const oci::Digest& id : catalog.NeededTrees()) {
    const absl::Status made = MakeTree(*catalog.Find(id), nullptr);
    if (made.ok()) continue;
    spdlog::warn("image {}: {}: {}", id.ToString(),
                 IsLost(made) ? "forgotten, pull or load it again"
                              : "not unpacked, to be tried again on use",
                 std::string(made.message()));
    if (IsLost(made)) catalog.Forget(id);
  }
  RETURN_IF_ERROR(Commit(std::move(catalog)));
  return Collect();
}

absl::Status ImageStore::MakeTree(const StoredManifest& stored,
                                  const Cancelled& cancelled) const {
  absl::Status made = state_->trees.Make(layout_, stored, cancelled);
  if (!IsLost(made)) return made;
  // A layer that the disk has changed since it came would be taken for good by
  // the next pull.
  for (const oci::Descriptor& layer : stored.manifest.layers) {
    const absl::StatusOr<UniqueFd> fd = layout_.OpenBlob(layer.digest);
    if (!fd.ok()) continue;
    const absl::StatusOr<oci::Digest> found = oci::DigestOfFile(fd->get());
    if (!found.ok() || *found == layer.digest) continue;
    made = FirstError(absl::DataLossError(absl::StrCat(
                          "layer ", layer.digest.ToString(),
                          " is damaged on the disk, and removed from it")),
                      layout_.RemoveBlob(layer.digest));
  }
  return made;
}

void ImageStore::RetryUnread() const {
  Catalog catalog = *state_->Snapshot();
  if (!catalog.has_unread()) return;
  for (const oci::Descriptor& entry : catalog.TakeUnread()) {
    Load(entry, /*tell=*/false, catalog);
  }
  const absl::Status committed = Commit(std::move(catalog));
  if (!committed.ok()) {
    spdlog::warn("image index: {}", std::string(committed.message()));
  }
}

std::shared_ptr<const Catalog> ImageStore::Current() const {
  if (state_->Snapshot()->has_unread()) {
    const absl::MutexLock hold(&state_->changing);
    RetryUnread();
  }
  return state_->Snapshot();
}

absl::Status ImageStore::Change(absl::FunctionRef<void(Catalog&)> edit) {
  State& state = *state_;
  const absl::MutexLock hold(&state.changing);
  RetryUnread();
  const std::shared_ptr<const Catalog> before = state.Snapshot();
  Catalog catalog = *before;
  edit(catalog);
  {
    const absl::MutexLock lock(&state.mutex);
    const std::set<oci::Digest> held = state.Held();
    catalog.KeepHeld(*before, held);
    if (state.restored) catalog.DropRemoved(held);
  }
  return Commit(std::move(catalog));
}

absl::Status ImageStore::ChangeAndCollect(
    absl::FunctionRef<void(Catalog&)> edit) {
  const absl::Cleanup keep_reserve = [this] { KeepReserve(); };
  absl::Status changed = Change(edit);
  if (absl::IsResourceExhausted(changed)) {
    RETURN_IF_ERROR(RemovePath(JoinPath(root_, kReserve)));
    changed = Change(edit);
  }
  RETURN_IF_ERROR(changed);
  return Collect();
}

absl::Status ImageStore::Commit(Catalog catalog) const {
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

// What can't be removed now is tried again with the next change.
void ImageStore::CollectOrTell() {
  const absl::Status collected = Collect();
  if (collected.ok()) return;
  spdlog::warn("removing what no image needs: {}",
               std::string(collected.message()));
}

absl::Status ImageStore::Collect() {
  State& state = *state_;
  std::shared_ptr<const Catalog> catalog;
  std::set<oci::Digest> kept;
  {
    const absl::MutexLock hold(&state.mutex);
    // Another thread's collection may have begun before this one's change, so
    // it is waited for, not relied upon.
    state.mutex.Await(absl::Condition(&state, &State::NotCollecting));
    state.collecting = true;
    // As one: what an image has come to need, a lease kept until then.
    catalog = state.catalog;
    kept.insert(state.kept.begin(), state.kept.end());
  }
  absl::Status status = CollectNow(*catalog, kept);
  const absl::MutexLock hold(&state.mutex);
  state.collecting = false;
  return status;
}

absl::Status ImageStore::CollectNow(const Catalog& catalog,
                                    const std::set<oci::Digest>& kept) const {
  // What belongs to a manifest that can't be read is not known.
  if (catalog.has_unread()) return absl::OkStatus();
  absl::Status status;
  std::set<oci::Digest> needed = catalog.NeededBlobs();
  needed.insert(kept.begin(), kept.end());
  ASSIGN_OR_RETURN(const std::vector<oci::Digest> blobs, layout_.ListBlobs());
  for (const oci::Digest& blob : blobs) {
    if (needed.count(blob) != 0) continue;
    status = FirstError(status, layout_.RemoveBlob(blob));
  }
  // A tree is called as the image's config, which is a blob.
  return FirstError(status, state_->trees.RemoveOthers(needed));
}

Image ImageStore::Describe(const Catalog& catalog,
                           const oci::Digest& id) const {
  Image image = catalog.Describe(id);
  image.rootfs = state_->trees.PathOf(id);
  image.pinned = IsPinned(image, options_.pinned);
  return image;
}

absl::StatusOr<Image> ImageStore::Resolve(absl::string_view name) const {
  const std::shared_ptr<const Catalog> catalog = Current();
  ASSIGN_OR_RETURN(const oci::Digest id, catalog->Resolve(name));
  return Describe(*catalog, id);
}

std::vector<Image> ImageStore::List() const {
  const std::shared_ptr<const Catalog> catalog = Current();
  std::vector<Image> images;
  for (const oci::Digest& id : catalog->Ids()) {
    images.push_back(Describe(*catalog, id));
  }
  return images;
}

absl::StatusOr<Image> ImageStore::Acquire(absl::string_view name,
                                          const std::string& holder) {
  State& state = *state_;
  std::shared_ptr<const Catalog> catalog;
  oci::Digest id;
  {
    const absl::MutexLock changing(&state.changing);
    RetryUnread();
    catalog = state.Snapshot();
    const absl::StatusOr<oci::Digest> whole = oci::Digest::Parse(name);
    if (whole.ok() && catalog->Find(*whole) != nullptr) {
      id = *whole;
    } else {
      ASSIGN_OR_RETURN(id, catalog->Resolve(name));
    }
    const absl::MutexLock lock(&state.mutex);
    state.holders.insert_or_assign(holder, id);
  }
  // Without a lock: what is held is not collected.
  const absl::Status made = MakeTree(*catalog->Find(id), nullptr);
  if (made.ok()) return Describe(*catalog, id);
  RETURN_IF_ERROR(Release(holder));
  if (IsLost(made)) {
    RETURN_IF_ERROR(ChangeAndCollect([&](Catalog& c) { c.Forget(id); }));
  }
  return Annotate(made, absl::StrCat("unpacking image ", id.ToString()));
}

absl::Status ImageStore::Release(const std::string& holder) {
  {
    const absl::MutexLock lock(&state_->mutex);
    if (state_->holders.erase(holder) == 0) return absl::OkStatus();
  }
  DropUnheld();
  return absl::OkStatus();
}

void ImageStore::Restore(const std::map<std::string, std::string>& held) {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->restored = true;
    state_->holders.clear();
    for (const auto& [holder, text] : held) {
      absl::StatusOr<oci::Digest> id = oci::Digest::Parse(text);
      if (id.ok()) state_->holders.emplace(holder, *std::move(id));
    }
  }
  DropUnheld();
}

void ImageStore::DropUnheld() {
  {
    // A change under way may be about to say that one is still held.
    const absl::MutexLock changing(&state_->changing);
    if (!state_->Snapshot()->has_removed()) return;
  }
  const absl::Status dropped = ChangeAndCollect([](Catalog&) {});
  if (dropped.ok()) return;
  spdlog::warn("removing images that nothing uses: {}",
               std::string(dropped.message()));
}

absl::StatusOr<Image> ImageStore::Put(const oci::Reference& reference,
                                      const oci::Descriptor& manifest,
                                      const oci::Digest& resolved,
                                      const Cancelled& cancelled) {
  ASSIGN_OR_RETURN(const auto stored, LoadManifest(layout_, manifest));
  RETURN_IF_ERROR(MakeTree(*stored, cancelled), reference.ToString());
  Image image;
  RETURN_IF_ERROR(Change([&](Catalog& catalog) {
    // Who asks for a digest has not been told what the tag is.
    if (!reference.digest()) catalog.Add(reference.Tagged(), stored);
    catalog.Add(reference.WithDigest(resolved), stored);
    image = Describe(catalog, stored->id());
  }));
  KeepReserve();
  return image;
}

absl::StatusOr<std::vector<Image>> ImageStore::Import(
    int fd, const std::optional<oci::Reference>& name,
    const Cancelled& cancelled) {
  Lease lease = AcquireLease();
  const auto keep = [&](const oci::Digest& digest) { lease.Keep(digest); };
  ASSIGN_OR_RETURN(const std::vector<oci::ArchiveImage> found,
                   state_->trees.ReadArchive(fd, layout_, keep, cancelled));
  if (name && found.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the archive has ", found.size(),
                     " images; only one can be called ", name->Familiar()));
  }
  std::vector<std::pair<std::string, std::shared_ptr<const StoredManifest>>>
      arrivals;
  for (const oci::ArchiveImage& image : found) {
    ASSIGN_OR_RETURN(const auto stored, LoadManifest(layout_, image.manifest));
    RETURN_IF_ERROR(MakeTree(*stored, cancelled));
    const std::vector<std::string> names = NamesIn(
        name ? std::vector<std::string>{name->ToString()} : image.names);
    for (const std::string& each : names) arrivals.emplace_back(each, stored);
    if (names.empty()) arrivals.emplace_back("", stored);
  }
  std::vector<Image> images;
  RETURN_IF_ERROR(Change([&](Catalog& catalog) {
    for (const auto& [each, stored] : arrivals) catalog.Add(each, stored);
    std::set<oci::Digest> seen;
    for (const auto& [each, stored] : arrivals) {
      if (!seen.insert(stored->id()).second) continue;
      images.push_back(Describe(catalog, stored->id()));
    }
  }));
  KeepReserve();
  return images;
}

absl::Status ImageStore::Remove(absl::string_view name) {
  return ChangeAndCollect([&](Catalog& catalog) { catalog.Remove(name); });
}

absl::StatusOr<ImageFsUsage> ImageStore::Usage() const {
  DiskUsage sum;
  for (const char* name : {"images", "unpacked", "lock", kReserve}) {
    sum += UsageOf(JoinPath(root_, name));
  }
  ASSIGN_OR_RETURN(const DiskUsage layout, UsageBelow(layout_.directory()));
  ASSIGN_OR_RETURN(const DiskUsage trees, state_->trees.Usage());
  sum += layout;
  sum += trees;
  return ImageFsUsage{root_, sum.bytes, sum.inodes};
}

}  // namespace serai::cri
