// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the store has, in memory: the entries of the layout's index and the
// documents they lead to. A value: changed by making another one.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cri/image/image.h"
#include "lib/base/status.h"
#include "lib/oci/layout.h"
#include "lib/oci/manifest.h"
#include "lib/oci/reference.h"

namespace serai::cri {

// A manifest of the store with what it refers to.
struct StoredManifest {
  oci::Descriptor descriptor;  // without annotations
  oci::Manifest manifest;
  oci::ImageConfig config;

  const oci::Digest& id() const { return manifest.config.digest; }
};

// Reads it from the layout. NOT_FOUND when a blob is missing, DATA_LOSS when
// one is not what it should be, INVALID_ARGUMENT for bad documents; others for
// what may pass, such as a disk's failure.
absl::StatusOr<std::shared_ptr<const StoredManifest>> LoadManifest(
    const oci::Layout& layout, const oci::Descriptor& descriptor);

class Catalog {
 public:
  // Adds an entry in place of what `name` was; an empty name adds one without.
  // A name is Reference::Tagged() or Reference::WithDigest().
  void Add(const std::string& name,
           std::shared_ptr<const StoredManifest> manifest);
  // Adds what is kept though it has no name and can't be asked for: removed
  // images that something still uses.
  void AddRemoved(std::shared_ptr<const StoredManifest> manifest);
  // The same for those of `held` that were in `before` and are gone.
  void KeepHeld(const Catalog& before, const std::set<oci::Digest>& held);
  // Adds an entry of the index that can't be read now.
  void AddUnread(oci::Descriptor descriptor);

  // Takes away what `name`, as for Resolve(), means. A tag takes its
  // repository's digests with it when it is the last tag there of that image.
  void Remove(absl::string_view name);
  // Takes away all of the image, removed or not.
  void Forget(const oci::Digest& id);
  // Takes away the removed images that are not `held`.
  void DropRemoved(const std::set<oci::Digest>& held);
  // Takes out what AddUnread() added.
  std::vector<oci::Descriptor> TakeUnread();

  // The id that `name` means: see ImageStore::Resolve().
  absl::StatusOr<oci::Digest> Resolve(absl::string_view name) const;
  // The manifest of an image, removed or not; null for another.
  std::shared_ptr<const StoredManifest> Find(const oci::Digest& id) const;

  // Without the removed ones.
  std::vector<oci::Digest> Ids() const;
  // `id` must be one of Ids() or of a removed image. The root file system is
  // left empty.
  Image Describe(const oci::Digest& id) const;

  bool has_unread() const { return !unread_.empty(); }
  bool has_removed() const;
  // All that the entries need. Says nothing of what is unread.
  std::set<oci::Digest> NeededBlobs() const;
  std::set<oci::Digest> NeededTrees() const;
  // As the layout's index.json.
  oci::Index ToIndex() const;

 private:
  struct Entry {
    std::string name;  // empty: known by its id alone
    std::shared_ptr<const StoredManifest> manifest;
    bool removed = false;
  };
  void RemoveTag(const oci::Reference& reference);

  std::vector<Entry> entries_;
  std::vector<oci::Descriptor> unread_;
};

// The annotation of an index's entry that says it is a removed one.
inline constexpr char kAnnotationRemoved[] = "dev.serai.image.removed";

}  // namespace serai::cri
