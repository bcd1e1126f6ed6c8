// SPDX-License-Identifier: Apache-2.0
#pragma once

// Brings an image from its registry into the store: reference → index → the
// manifest for this machine → config → the layers that are missing → Put().

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cri/image/image.h"
#include "cri/image/pull_progress.h"
#include "cri/image/signature_policy.h"
#include "cri/image/store.h"
#include "lib/base/status.h"
#include "lib/oci/reference.h"
#include "lib/oci/registry/client.h"

namespace serai::cri {

struct PullOptions {
  oci::RegistryOptions registry;
  // Largest sum of an image's config and (compressed) layers.
  int64_t max_image_bytes = int64_t{2} << 30;
  SignaturePolicy signatures;
};

// Whether a failed pull means that the registry could not be reached or did not
// work, which kubelet words differently ("RegistryUnavailable").
bool IsRegistryUnavailable(const absl::Status& status);

// Any method from any thread. Pulls at the same time fetch each blob once from
// a registry: the others wait for it. Where the one that fetches fails or is
// cancelled, another goes on from what it had.
class Puller {
 public:
  // The store must outlive this.
  Puller(ImageStore* store, PullOptions options)
      : store_(*store), options_(std::move(options)) {}

  // Returns when the image is in the store. `cancelled` as in
  // oci::HttpSession, may be empty, and so may `observer`. The errors are
  // RegistryClient's, and
  //   FAILED_PRECONDITION  no image for this machine; lists what there is
  //   INVALID_ARGUMENT     not a container image, or a broken one
  //   RESOURCE_EXHAUSTED   larger than the options allow; the disk is full
  //   PERMISSION_DENIED    also: not signed (IsSignatureInvalid())
  // and ImageStore::Put's. After a failure nothing stays behind.
  absl::StatusOr<Image> Pull(const oci::Reference& reference,
                             const oci::Credentials& credentials,
                             const oci::Cancelled& cancelled,
                             const PullObserver& observer = nullptr);

 private:
  // Of a blob that at least one pull wants.
  struct Fetch {
    int users = 0;
    bool busy = false;  // whose user alone touches what is below
    std::unique_ptr<oci::BlobWriter> partial;
    int64_t size = 0;  // that `partial` was made for
    std::atomic<int64_t> received = 0;
  };
  // The registry and the digest: one registry that is slow, or means to be,
  // holds up no pull from another that has the same blob.
  using FetchKey = std::pair<std::string, oci::Digest>;
  struct Run;

  absl::StatusOr<Image> Transfer(const oci::Reference& reference,
                                 oci::RegistryClient& client, Run& run);
  absl::StatusOr<oci::FetchedManifest> ManifestForThisMachine(
      const oci::FetchedManifest& top, oci::RegistryClient& client) const;
  absl::Status CheckManifest(const oci::Manifest& manifest) const;
  absl::Status CheckConfig(const oci::Manifest& manifest) const;
  absl::Status FetchBlob(const oci::Descriptor& blob,
                         oci::RegistryClient& client, Run& run);
  absl::Status FetchAlone(const oci::Descriptor& blob,
                          oci::RegistryClient& client, Fetch& fetch);
  std::shared_ptr<Fetch> Join(const FetchKey& key);
  void Leave(const FetchKey& key);
  absl::Status TakeTurn(Fetch& fetch, Run& run);
  void EndTurn(Fetch& fetch);

  ImageStore& store_;
  const PullOptions options_;
  absl::Mutex mutex_;
  absl::CondVar ended_;
  // `users` and `busy` of each are guarded as well.
  std::map<FetchKey, std::shared_ptr<Fetch>> fetches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace serai::cri
