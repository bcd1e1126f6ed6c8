// SPDX-License-Identifier: Apache-2.0
#include "cri/image/catalog.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace serai::cri {
namespace {

constexpr size_t kShortestId = 4;
constexpr char kDigestPrefix[] = "sha256:";

bool IsDigestName(absl::string_view name) {
  return absl::StrContains(name, "@");
}

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// The digits of an id or of its beginning; nullopt for what is none.
std::optional<std::string> IdDigits(absl::string_view name) {
  absl::ConsumePrefix(&name, kDigestPrefix);
  if (name.size() < kShortestId || name.size() > 64 || !IsHex(name)) {
    return std::nullopt;
  }
  return std::string(name);
}

// The entry name that a reference means: its digest is stronger than its tag.
std::string EntryName(const oci::Reference& reference) {
  return reference.digest() ? reference.WithDigest(*reference.digest())
                            : reference.Tagged();
}

std::string NameOf(const oci::Descriptor& descriptor) {
  const auto name = descriptor.annotations.find(oci::kAnnotationRefName);
  return name == descriptor.annotations.end() ? "" : name->second;
}

template <typename Element, typename Predicate>
void EraseIf(std::vector<Element>& elements, const Predicate& predicate) {
  elements.erase(std::remove_if(elements.begin(), elements.end(), predicate),
                 elements.end());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const StoredManifest>> LoadManifest(
    const oci::Layout& layout, const oci::Descriptor& descriptor) {
  auto stored = std::make_shared<StoredManifest>();
  ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(descriptor.digest));
  ASSIGN_OR_RETURN(stored->manifest, oci::ParseManifest(text));
  ASSIGN_OR_RETURN(const std::string config,
                   layout.ReadBlob(stored->manifest.config.digest));
  ASSIGN_OR_RETURN(stored->config, oci::ParseImageConfig(config));
  stored->descriptor.media_type = stored->manifest.media_type;
  stored->descriptor.digest = descriptor.digest;
  stored->descriptor.size = static_cast<int64_t>(text.size());
  for (const oci::Descriptor& layer : stored->manifest.layers) {
    ASSIGN_OR_RETURN(const int64_t size, layout.BlobSize(layer.digest));
    if (size != layer.size) {
      return absl::DataLossError(
          absl::StrCat("layer ", layer.digest.ToString(), " has ", size,
                       " bytes and not ", layer.size, " as the manifest says"));
    }
  }
  return std::shared_ptr<const StoredManifest>(std::move(stored));
}

void Catalog::Add(const std::string& name,
                  std::shared_ptr<const StoredManifest> manifest) {
  const auto is_same = [&](const Entry& entry) {
    return entry.manifest->descriptor.digest == manifest->descriptor.digest;
  };
  // An image that gets a name needs its nameless entry no more.
  EraseIf(entries_, [&](const Entry& entry) {
    return entry.name.empty() ? is_same(entry) : entry.name == name;
  });
  EraseIf(unread_, [&](const oci::Descriptor& descriptor) {
    return !name.empty() && NameOf(descriptor) == name;
  });
  const bool known = std::any_of(entries_.begin(), entries_.end(), is_same);
  if (name.empty() && known) return;
  entries_.push_back({name, std::move(manifest)});
}

void Catalog::AddRemoved(std::shared_ptr<const StoredManifest> manifest) {
  entries_.push_back({"", std::move(manifest), true});
}

void Catalog::KeepHeld(const Catalog& before,
                       const std::set<oci::Digest>& held) {
  for (const oci::Digest& id : held) {
    if (Find(id) != nullptr) continue;
    std::shared_ptr<const StoredManifest> manifest = before.Find(id);
    if (manifest != nullptr) AddRemoved(std::move(manifest));
  }
}

void Catalog::AddUnread(oci::Descriptor descriptor) {
  unread_.push_back(std::move(descriptor));
}

std::vector<oci::Descriptor> Catalog::TakeUnread() {
  return std::exchange(unread_, {});
}

absl::StatusOr<oci::Digest> Catalog::Resolve(absl::string_view name) const {
  const absl::StatusOr<oci::Reference> reference = oci::Reference::Parse(name);
  if (reference.ok()) {
    const std::string wanted = EntryName(*reference);
    for (const Entry& entry : entries_) {
      if (entry.name == wanted) return entry.manifest->id();
    }
  }
  const std::optional<std::string> digits = IdDigits(name);
  if (!digits && !reference.ok()) return reference.status();
  std::optional<oci::Digest> found;
  for (const Entry& entry : entries_) {
    const oci::Digest& id = entry.manifest->id();
    if (entry.removed || !digits || !absl::StartsWith(id.hex(), *digits)) {
      continue;
    }
    if (found && !(*found == id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" is the beginning of several image ids"));
    }
    found = id;
  }
  if (!found) {
    return absl::NotFoundError(absl::StrCat(
        "no image \"", digits ? std::string(name) : reference->ToString(),
        "\" here"));
  }
  return *found;
}

void Catalog::RemoveTag(const oci::Reference& reference) {
  const auto tag = std::find_if(
      entries_.begin(), entries_.end(),
      [&](const Entry& entry) { return entry.name == reference.Tagged(); });
  if (tag == entries_.end()) return;
  const oci::Digest id = tag->manifest->id();
  entries_.erase(tag);
  const std::string with_tag = reference.Name() + ":";
  const std::string with_digest = reference.Name() + "@";
  const auto of_image = [&](const Entry& entry, const std::string& prefix) {
    return entry.manifest->id() == id && absl::StartsWith(entry.name, prefix);
  };
  for (const Entry& entry : entries_) {
    if (of_image(entry, with_tag)) return;
  }
  EraseIf(entries_,
          [&](const Entry& entry) { return of_image(entry, with_digest); });
}

void Catalog::Remove(absl::string_view name) {
  const absl::StatusOr<oci::Reference> reference = oci::Reference::Parse(name);
  if (reference.ok()) {
    EraseIf(unread_, [&](const oci::Descriptor& descriptor) {
      return NameOf(descriptor) == EntryName(*reference);
    });
  }
  const absl::StatusOr<oci::Digest> id = Resolve(name);
  if (!id.ok()) return;
  if (reference.ok() && !reference->digest()) {
    const bool is_tag = std::any_of(
        entries_.begin(), entries_.end(),
        [&](const Entry& entry) { return entry.name == reference->Tagged(); });
    if (is_tag) return RemoveTag(*reference);
  }
  Forget(*id);
}

void Catalog::Forget(const oci::Digest& id) {
  EraseIf(entries_,
          [&](const Entry& entry) { return entry.manifest->id() == id; });
}

void Catalog::DropRemoved(const std::set<oci::Digest>& held) {
  EraseIf(entries_, [&](const Entry& entry) {
    return entry.removed && held.count(entry.manifest->id()) == 0;
  });
}

std::shared_ptr<const StoredManifest> Catalog::Find(
    const oci::Digest& id) const {
  for (const Entry& entry : entries_) {
    if (entry.manifest->id() == id) return entry.manifest;
  }
  return nullptr;
}

bool Catalog::has_removed() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return entry.removed; });
}

std::vector<oci::Digest> Catalog::Ids() const {
  std::set<oci::Digest> ids;
  for (const Entry& entry : entries_) {
    if (!entry.removed) ids.insert(entry.manifest->id());
  }
  return {ids.begin(), ids.end()};
}

Image Catalog::Describe(const oci::Digest& id) const {
  Image image;
  image.id = id.ToString();
  for (const Entry& entry : entries_) {
    const StoredManifest& stored = *entry.manifest;
    if (!(stored.id() == id)) continue;
    if (image.size == 0) {
      image.config = stored.config;
      image.annotations = stored.manifest.annotations;
      image.size = stored.descriptor.size + stored.manifest.config.size;
      for (const oci::Descriptor& layer : stored.manifest.layers) {
        image.size += layer.size;
      }
    }
    if (entry.name.empty()) continue;
    (IsDigestName(entry.name) ? image.repo_digests : image.repo_tags)
        .push_back(entry.name);
  }
  std::sort(image.repo_tags.begin(), image.repo_tags.end());
  std::sort(image.repo_digests.begin(), image.repo_digests.end());
  return image;
}

std::set<oci::Digest> Catalog::NeededBlobs() const {
  std::set<oci::Digest> needed;
  for (const Entry& entry : entries_) {
    needed.insert(entry.manifest->descriptor.digest);
    needed.insert(entry.manifest->id());
    for (const oci::Descriptor& layer : entry.manifest->manifest.layers) {
      needed.insert(layer.digest);
    }
  }
  return needed;
}

std::set<oci::Digest> Catalog::NeededTrees() const {
  std::set<oci::Digest> needed;
  for (const Entry& entry : entries_) needed.insert(entry.manifest->id());
  return needed;
}

oci::Index Catalog::ToIndex() const {
  oci::Index index;
  index.manifests = unread_;
  for (const Entry& entry : entries_) {
    oci::Descriptor descriptor = entry.manifest->descriptor;
    if (!entry.name.empty()) {
      descriptor.annotations[oci::kAnnotationRefName] = entry.name;
    }
    if (entry.removed) descriptor.annotations[kAnnotationRemoved] = "true";
    index.manifests.push_back(std::move(descriptor));
  }
  return index;
}

}  // namespace serai::cri
