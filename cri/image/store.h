// SPDX-License-Identifier: Apache-2.0
#pragma once

// The node's images: an OCI layout, and beside it each image's root file system
// unpacked once, so that all pods of an image map the same file.
//
//   <root>/images/                 layout; index.json is the list of names
//   <root>/unpacked/<config hex>/  files, directories and symbolic links only
//   <root>/reserve                 room for an index when the disk is full
//
// The commit point of an arrival is the write of index.json, after the blobs
// and the unpacked tree are complete. What a crash leaves before it is removed
// by the next Open().

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "cri/image/image.h"
#include "cri/image/source.h"
#include "cri/image/unpacker.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/reference.h"

namespace serai::cri {

class Catalog;
struct StoredManifest;

struct ImageStoreOptions {
  UnpackerOptions unpacker;
  // Patterns (pattern.h) of images' names: whole ("docker.io/library/web:1"),
  // or a repository's for all of its images.
  std::vector<std::string> pinned;
};

struct ImageFsUsage {
  std::string mountpoint;    // the store's root directory
  uint64_t used_bytes = 0;   // on disk: blobs and unpacked trees
  uint64_t used_inodes = 0;  // files, directories and links
};

// Any method from any thread. `cancelled` is asked some ten times a second on
// the calling thread; true ends the call with CANCELLED. It may be empty.
class ImageStore : public ImageSource {
 public:
  using Cancelled = std::function<bool()>;

  // What is on its way in. When it ends, what no image and no other lease needs
  // is collected. One thread at a time; must not outlive the store.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)),
          kept_(std::move(other.kept_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    // Neither the blob nor, of a config, the tree is collected until the lease
    // ends. To be said before layout().HasBlob() or the blob's arrival. Waits
    // for a collection under way.
    void Keep(const oci::Digest& digest);

   private:
    friend class ImageStore;
    explicit Lease(ImageStore* store) : store_(store) {}
    ImageStore* store_;
    std::vector<oci::Digest> kept_;
  };

  // Makes the directories where they are missing; removes leftovers of a crash;
  // unpacks again what is not unpacked. Names whose content is gone or damaged
  // are forgotten; where it only can't be read or unpacked now, they are kept
  // and tried again when they are asked for. On a full disk a store that is
  // whole still opens.
  // One process at a time: FAILED_PRECONDITION when another holds the store.
  static absl::StatusOr<std::unique_ptr<ImageStore>> Open(
      const std::string& root, const ImageStoreOptions& options);
  ~ImageStore() override;
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;

  // Where a pull puts its blobs.
  const oci::Layout& layout() const { return layout_; }
  Lease AcquireLease() { return Lease(this); }

  // `name` is a reference, a "repository@digest", an image id with or without
  // "sha256:", or an unambiguous beginning of one (4 digits at least).
  // NOT_FOUND; INVALID_ARGUMENT for what is none of these or is ambiguous.
  absl::StatusOr<Image> Resolve(absl::string_view name) const;
  // By id.
  std::vector<Image> List() const;

  // ImageSource. While an image is held its blobs and its tree stay, whether it
  // is removed or not; by its whole id a removed one can be had that another
  // still holds. Unpacks it where that could not be done before. Until
  // Restore(), removed images stay that had a holder before a restart.
  absl::StatusOr<Image> Acquire(absl::string_view name,
                                const std::string& holder) override;
  absl::Status Release(const std::string& holder) override;
  void Restore(const std::map<std::string, std::string>& held) override;

  // Records what a pull of `reference` brought: `manifest` with its config and
  // layers are in layout() already, and a lease keeps them. `resolved` is what
  // the registry says the reference is (the index's digest, or the manifest's):
  // it becomes the image's repo digest. Unpacks the layers, verified against
  // their diff ids; callers with the same image share the work. On error
  // nothing is recorded. A tag that named another image moves.
  absl::StatusOr<Image> Put(const oci::Reference& reference,
                            const oci::Descriptor& manifest,
                            const oci::Digest& resolved,
                            const Cancelled& cancelled = nullptr);

  // Takes in the images of an archive (lib/oci/archive.h), under the names that
  // stand in it, or the only image under `name`. Nothing stays on failure.
  absl::StatusOr<std::vector<Image>> Import(
      int fd, const std::optional<oci::Reference>& name,
      const Cancelled& cancelled = nullptr);

  // By tag: that name alone, and the image with it when it was its last tag
  // from that repository. By id or digest: the image and all its names. An
  // unknown name is success. What nothing needs any more leaves the disk now,
  // or when the last that keeps or holds it ends. Pinned images go like others.
  // Works on a full disk.
  absl::Status Remove(absl::string_view name);

  // Cheap enough to be asked every second, however many images there are.
  absl::StatusOr<ImageFsUsage> Usage() const;

 private:
  struct State;
  ImageStore(std::string root, oci::Layout layout, ImageStoreOptions options);
  absl::Status Recover();
  // Adds an entry of the index. Tells why it could not, where `tell`.
  void Load(const oci::Descriptor& entry, bool tell, Catalog& catalog) const;
  absl::Status MakeTree(const StoredManifest& stored,
                        const Cancelled& cancelled) const;
  // The catalog; first what could not be read is tried again.
  std::shared_ptr<const Catalog> Current() const;
  void RetryUnread() const;
  // Makes what `edit` makes of the catalog what the store has.
  absl::Status Change(absl::FunctionRef<void(Catalog&)> edit);
  // The same for an edit that takes away: removes what nothing needs any more,
  // on a full disk too.
  absl::Status ChangeAndCollect(absl::FunctionRef<void(Catalog&)> edit);
  // Takes away the removed images that nothing holds any more. What can't be
  // now goes with a later change.
  void DropUnheld();
  // The caller holds State::changing, or is alone.
  absl::Status Commit(Catalog catalog) const;
  // Keeps some of the disk for ChangeAndCollect(), where it has room.
  void KeepReserve() const;
  // Removes blobs and trees that neither an image nor a lease needs.
  absl::Status Collect();
  absl::Status CollectNow(const Catalog& catalog,
                          const std::set<oci::Digest>& kept) const;
  void CollectOrTell();
  Image Describe(const Catalog& catalog, const oci::Digest& id) const;

  const std::string root_;
  const oci::Layout layout_;
  const ImageStoreOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace serai::cri
